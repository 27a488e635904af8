"""Commands with nothing left to do work on a disk that cannot be written."""

import shutil

import pytest
from read_only import read_only

from dp_bench.cli import main
from dp_bench.grid.cell import Cell, resolve
from dp_bench.grid.run import run

TINY = [
    *("--task", "pusht", "--preset", "smoke", "--episodes", "1", "--set"),
    *("policy.channels=8,16", "policy.step_dim=8", "policy.sample_steps=2"),
    *("training.updates=4", "training.batch_size=8", "training.keep_every=2"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, demos_file):
    """A disk with demonstrations, a finished run, and its results."""
    disk = tmp_path_factory.mktemp("disk")
    shutil.copy(demos_file, disk / "tiny.hdf5")
    command = ["train", "--demos", str(disk / "tiny.hdf5"), *TINY]
    main([*command, "--runs", str(disk / "runs")])
    (folder,) = (disk / "runs" / "pusht").iterdir()
    main(["eval", str(folder), "--steps", "all", "--episodes", "1"])
    (disk / "results").mkdir()
    main(["report", str(disk / "results"), "--runs", str(folder)])
    for lock in folder.glob(".*lock"):
        lock.unlink()  # a copy on a disk, without them
    return disk


COMMANDS = {
    "train": ["train", "--demos", "DISK/tiny.hdf5", *TINY, "--runs", "DISK/runs"],
    "eval": ["eval", "RUN", "--episodes", "1"],
    "eval all": ["eval", "RUN", "--episodes", "1", "--steps", "all"],
    "report": ["report", "DISK/results"],
    "report runs": ["report", "OUT", "--runs", "RUN"],
    "modes": ["modes", "RUN", "--rollouts", "1", "--out", "OUT"],
    "export": ["export", "DISK/results/pusht/made-up", "--form", "csv", "--out", "OUT"],
    "demos check": ["demos", "check", "DISK/tiny.hdf5"],
    "list": ["list"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("locks", [False, True])
def test_a_command_that_only_reads_needs_no_writable_disk(
    finished, tmp_path, monkeypatch, capsys, words, locks
):
    (folder,) = (finished / "runs" / "pusht").iterdir()
    for name in (".lock", ".records.lock"):
        (folder / name).touch() if locks else (folder / name).unlink(missing_ok=True)
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(tmp_path)
    places = {"DISK": str(finished), "RUN": str(folder), "OUT": str(out)}
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    capsys.readouterr()
    with read_only(monkeypatch, finished):
        main(words)
    said = capsys.readouterr().out
    if words[0] in ("train", "eval", "report"):
        assert "Diffusion Policy" in said
    if words == ["report", str(finished / "results")]:
        assert "cannot be written, so its files stay as they are" in said


def test_work_that_is_left_is_refused_on_a_read_only_disk(
    finished, monkeypatch, capsys
):
    (folder,) = (finished / "runs" / "pusht").iterdir()
    demos = ["--demos", str(finished / "tiny.hdf5"), "--runs", str(finished / "runs")]
    for words in (
        ["eval", str(folder), "--episodes", "2"],
        ["train", *demos, *TINY, "training.lr=2e-3"],
    ):
        with read_only(monkeypatch, finished), pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2
        assert "cannot write" in capsys.readouterr().err


def test_a_cell_of_a_comparison_is_done_on_a_read_only_disk(finished, monkeypatch):
    """What a child process of compare does."""
    changes = tuple(tuple(word.split("=")) for word in TINY[TINY.index("--set") + 1 :])
    cell = Cell(
        task="pusht", method="dp_c", train_seed=0, preset="smoke", changes=changes,
        demos=str(finished / "tiny.hdf5"), episodes=1, runs=str(finished / "runs"),
    )  # fmt: skip
    with read_only(monkeypatch, finished):
        assert run(*resolve([cell])).is_relative_to(finished)
