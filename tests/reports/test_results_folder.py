"""Where results lie: a folder for each task, and for each of its demonstrations."""

from pathlib import Path

import pytest

from dp_bench.errors import BadInput
from dp_bench.reports.results_folder import collect, folder_of, folders_with_records
from made_up import written_run


def run(path, source):
    folder = written_run(path, demos_source=source)
    folder.records.write_text("")
    return path


def test_demonstrations_of_another_source_have_a_folder_of_their_own(tmp_path):
    people, script = run(tmp_path / "a", "human"), run(tmp_path / "b", "scripted")
    results = tmp_path / "results"
    collect([people, script], results)
    own, other = results / "pusht", results / "pusht" / "scripted"
    assert folders_with_records(results) == [own, other]
    assert folders_with_records(other) == [other]
    assert [p.name for p in (own / "records").iterdir()] == ["a.jsonl"]
    assert [p.name for p in (other / "records").iterdir()] == ["b.jsonl"]
    collect([script], other)  # its own folder is one to name, too
    assert folders_with_records(results) == [own, other]
    for run_folder, folder in ((people, other), (script, own)):
        with pytest.raises(BadInput, match="holds results of others"):
            collect([run_folder], folder)


@pytest.mark.parametrize("source", ["records", "../elsewhere", "/tmp/x", ""])
def test_a_source_cannot_name_a_folder_elsewhere(source):
    with pytest.raises(BadInput, match="cannot name a folder of results"):
        folder_of("pusht", source)


def test_results_of_a_task_that_is_gone_lie_under_its_name():
    assert folder_of("gone", "anything") == Path("gone")


def test_results_of_a_group_lie_together():
    assert folder_of("can", "scripted") == Path("robomimic/can")
    assert folder_of("lift", "mh") == Path("robomimic/lift/mh")


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no folder of records"):
        folders_with_records(tmp_path)
