"""Run folders of strangers: links in them are never followed."""

import os
from pathlib import Path

import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation.evaluate import evaluate
from dp_bench.grid.run import opened
from dp_bench.reports.results_folder import collect
from dp_bench.runs.agents import load_agent
from dp_bench.runs.folder import RunFolder
from dp_bench.util import jsonl
from dp_bench.util.files import PART, atomic_write, locked, remove_parts
from made_up import run_info, written_run

FILES = (
    "run.json", "log.jsonl", "resume.safetensors", "weights.safetensors",
    "records.jsonl", "kept", "kept/000500.safetensors", ".lock", ".records.lock",
)  # fmt: skip
SECRET = "alias ls=ls\n"


@pytest.fixture
def outside(tmp_path):
    """A file of the user, outside every run folder."""
    file = tmp_path / "home" / "startup"
    file.parent.mkdir()
    file.write_text(SECRET)
    return file


def plant(link: Path, target: Path) -> None:
    """Makes a link inside a run folder, in place of its file."""
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)


@pytest.mark.parametrize("dangling", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_a_run_folder_with_a_link_is_refused(tmp_path, outside, name, dangling):
    run = written_run(tmp_path / "run").path
    target = outside.with_name("missing") if dangling else outside
    plant(run / name, target)
    before = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    for use in (
        lambda: evaluate(RunFolder(run), episodes=1),
        lambda: load_agent(run),
        lambda: collect([run], tmp_path / "results"),
    ):
        with pytest.raises(BadInput, match=rf"{run / name} is a symbolic link"):
            use()
    after = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    assert after == before
    assert outside.read_text() == SECRET


def test_a_link_that_appears_later_is_not_followed_either(tmp_path, outside):
    folder = written_run(tmp_path / "run")
    plant(folder.records, outside.with_name("missing"))
    with pytest.raises(BadInput, match="is a symbolic link"):
        jsonl.append(folder.records, [run_info()])
    assert not outside.with_name("missing").exists()
    plant(folder.records, outside)
    with pytest.raises(BadInput, match="is a symbolic link"):
        jsonl.read(folder.records, type(run_info()))
    plant(folder.path / "run.json", outside)
    with pytest.raises(BadInput, match="is a symbolic link"):
        folder.info()
    plant(folder.path / ".lock", outside)
    with pytest.raises(BadInput, match="is a symbolic link"), opened(folder):
        pytest.fail("locked a file of the user")
    assert outside.read_text() == SECRET


def test_a_lock_never_empties_a_file_with_another_name(tmp_path, outside):
    lock = tmp_path / ".lock"
    os.link(outside, lock)
    with pytest.raises(BadInput, match="hard link"), locked(lock):
        pytest.fail("locked a file of the user")
    assert outside.read_text() == SECRET


def test_a_write_does_not_go_through_a_link_with_its_temporary_name(tmp_path, outside):
    file = tmp_path / "run" / "run.json"
    plant(file.with_name(f"{PART}{os.getpid()}.run.json"), outside)
    with atomic_write(file) as part:
        part.write_text("{}")
    assert file.read_text() == "{}"
    assert outside.read_text() == SECRET


def test_parts_are_not_removed_behind_a_link(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / f"{PART}1.weights.safetensors").write_text("")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "kept").symlink_to(other)
    remove_parts(tmp_path / "run")
    assert os.listdir(other) == [f"{PART}1.weights.safetensors"]


def test_a_run_folder_may_itself_be_reached_through_a_link(tmp_path):
    run = written_run(tmp_path / "run")
    (tmp_path / "link").symlink_to(run.path)
    assert load_agent(tmp_path / "link").info == run.info()
