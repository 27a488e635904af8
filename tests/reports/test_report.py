"""Where results lie: a folder for each task, and for each of its demonstrations."""

from pathlib import Path

import pytest

from dp_bench.errors import BadInput
from dp_bench.reports import report
from made_up import written_run


def run(path, source):
    folder = written_run(path, demos_source=source)
    folder.records.write_text("")
    return path


def test_demonstrations_of_another_source_have_a_folder_of_their_own(tmp_path):
    people, script = run(tmp_path / "a", "human"), run(tmp_path / "b", "scripted")
    results = tmp_path / "results"
    report.collect([people, script], results)
    own, other = results / "pusht", results / "pusht" / "scripted"
    assert report.tasks_in(results) == [own, other]
    assert report.tasks_in(other) == [other]
    assert [p.name for p in (own / "records").iterdir()] == ["a.jsonl"]
    assert [p.name for p in (other / "records").iterdir()] == ["b.jsonl"]
    report.collect([script], other)  # its own folder is one to name, too
    assert report.tasks_in(results) == [own, other]
    for run_folder, folder in ((people, other), (script, own)):
        with pytest.raises(BadInput, match="holds results of others"):
            report.collect([run_folder], folder)


@pytest.mark.parametrize("source", ["records", "../elsewhere", "/tmp/x", ""])
def test_a_source_cannot_name_a_folder_elsewhere(source):
    with pytest.raises(BadInput, match="cannot name a folder of results"):
        report.folder_of("pusht", source)


def test_results_of_a_task_that_is_gone_lie_under_its_name():
    assert report.folder_of("gone", "anything") == Path("gone")


def test_published_values_are_found_above_either_folder(tmp_path):
    (tmp_path / "published.csv").write_text("task,value\npusht,1\n")
    for folder in (tmp_path / "pusht", tmp_path / "pusht" / "scripted"):
        assert len(report.published(folder)) == 1
