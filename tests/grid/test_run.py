"""The grid: each cell once, in a process of its own, whatever becomes of the others."""

import dataclasses
import fcntl
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.data import hdf5
from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.grid import run as bench
from dp_bench.grid.run import Cell
from dp_bench.runs.folder import RunFolder
from dp_bench.util.tensors import load_tensors, save_tensors

CHANGES = (
    ("policy.channels", "8,16"),
    ("policy.step_dim", "8"),
    ("policy.sample_steps", "2"),
    ("training.updates", "6"),
    ("training.batch_size", "8"),
    ("training.log_every", "2"),
)


@pytest.fixture
def cell(demos_file, tmp_path):
    return Cell(
        task="pusht",
        method="dp_c",
        train_seed=0,
        preset="smoke",
        demos=str(demos_file),
        changes=CHANGES,
        episodes=1,
        runs=str(tmp_path / "runs"),
    )


def folder_of(cell):
    """The run folder of a cell, which is made but not trained."""
    with bench.opened(cell, train_it=False) as folder:
        return folder


def test_a_cell_that_fails_does_not_stop_the_others(cell):
    bad, good = cell, dataclasses.replace(cell, train_seed=1)
    resume = folder_of(bad).resume
    resume.write_bytes(b"not a state")
    seen = []
    ends = bench.grid([bad, good], finished=seen.append)
    assert [end.cell for end in ends] == [bad, good]
    assert ends == seen
    assert ends[0].folder is None
    assert "resume.safetensors is damaged" in ends[0].error
    assert "Traceback" not in ends[0].error
    folder = RunFolder(ends[1].folder)
    assert [r.variant for r in records.read(folder.records)] == ["default", "legacy"]

    # the child did what this process would have done
    weights = folder.weights.read_bytes()
    folder.weights.unlink()
    folder.records.unlink()
    assert bench.run(good) == folder.path
    one, _ = load_tensors(folder.weights)
    folder.weights.write_bytes(weights)
    other, _ = load_tensors(folder.weights)
    assert all((one[name] == other[name]).all() for name in one)


def test_a_finished_cell_is_not_made_again_and_another_setting_is(cell, monkeypatch):
    folder = RunFolder(bench.run(cell))
    before = {f: f.stat().st_mtime_ns for f in folder.path.glob("[!.]*.*")}
    with monkeypatch.context() as patch:
        patch.setattr(
            "dp_bench.training.loop.train", lambda *_, **__: pytest.fail("trained")
        )
        patch.setattr(
            "dp_bench.evaluation.rollout.play", lambda *_, **__: pytest.fail("played")
        )
        assert bench.run(cell) == folder.path
    assert {f: f.stat().st_mtime_ns for f in folder.path.glob("[!.]*.*")} == before

    slower = (*CHANGES, ("training.lr", "1e-5"))
    other = RunFolder(bench.run(dataclasses.replace(cell, changes=slower)))
    assert other.path != folder.path
    assert folder.weights.read_bytes() != other.weights.read_bytes()

    bench.run(dataclasses.replace(cell, episodes=2))
    assert len(records.read(folder.records)) == 4


def test_velocity_control_is_learned_from_displacements(cell, demos_file, monkeypatch):
    by_velocity = dataclasses.replace(cell, control="velocity")
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(
            "dp_bench.training.loop.train", lambda *given, **_: seen.append(given)
        )
        for each in (cell, by_velocity):
            with bench.opened(each, train_it=True):
                pass
    (_, data, validation, *_), (_, displaced, displaced_validation, *_) = seen
    for positions, converted in ((data, displaced), (validation, displaced_validation)):
        np.testing.assert_array_equal(converted[0], positions[0])
        np.testing.assert_array_equal(converted[2], positions[2])
    demos = hdf5.load(demos_file)
    learned = np.concatenate([displaced[1], displaced_validation[1]])
    expected = (demos.actions - demos.states[:, :2]).astype(np.float32)
    assert sorted(learned.tolist()) == sorted(expected.tolist())

    folder = RunFolder(bench.run(by_velocity))
    assert {r.control for r in records.read(folder.records)} == {"velocity"}
    position = folder_of(cell)
    assert folder.path != position.path
    assert folder.info().control == "velocity"
    assert folder.info().demos_digest == position.info().demos_digest == demos.digest
    assert folder.info().split_digest == position.info().split_digest


def test_a_method_takes_its_usual_control_where_the_task_has_it(monkeypatch):
    assert bench.settings_of(Cell("pusht", "bet", 0)).control == "velocity"
    assert bench.settings_of(Cell("pusht", "dp_c", 0)).control == "position"
    chosen = Cell("pusht", "bet", 0, control="position")
    assert bench.settings_of(chosen).control == "position"
    pusht = registry.task("pusht")
    only = dataclasses.replace(pusht, controls=("position",))
    monkeypatch.setattr(registry, "task", lambda name: only)
    assert bench.settings_of(Cell("pusht", "bet", 0)).control == "position"
    with pytest.raises(BadInput, match="no control mode 'velocity'"):
        bench.settings_of(Cell("pusht", "bet", 0, control="velocity"))


def test_no_two_processes_work_in_one_run_folder(cell):
    folder = folder_of(cell)
    with open(folder.path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BadInput, match=r"another process is working in .*dp_c-"):
            bench.run(cell)
    with bench.opened(cell, train_it=False):  # and it is free again
        pass


def test_what_a_killed_process_left_half_written_is_cleared_away(cell):
    left = folder_of(cell).path / ".part.123.weights.safetensors"
    left.write_bytes(b"half")
    folder_of(cell)
    assert not left.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "pushed"}, "did you mean 'pusht'"),
        ({"method": "dp_cc"}, "did you mean 'dp_c'"),
        ({"obs_kind": "smell"}, "no observation 'smell'; it has keypoints"),
        ({"obs_kind": "image"}, "'image' observations are pictures: choose of keyp"),
        ({"control": "torque"}, "no control mode 'torque'"),
        ({"changes": (("episodes", "3"),)}, "no setting 'episodes'"),
        ({"changes": (("policy.channels", "9"),)}, "multiples of groups"),
        ({"preset": "huge"}, "no preset 'huge'"),
        ({"device": "abacus"}, "no device 'abacus'"),
        ({"demos": "/nowhere.hdf5"}, "/nowhere.hdf5 does not exist"),
        ({"runs": "/dev/null/runs"}, "cannot write /dev/null/runs"),
    ],
)
def test_a_cell_that_makes_no_sense_is_refused(cell, change, said):
    with pytest.raises(BadInput, match=said):
        bench.run(dataclasses.replace(cell, **change))


def test_weights_that_are_there_are_taken_as_they_are(cell):
    folder = RunFolder(bench.run(cell))
    tensors, facts = load_tensors(folder.weights)
    save_tensors(folder.weights, tensors, facts | {"update": 99})
    folder.records.unlink()
    bench.run(cell)
    assert {r.step for r in records.read(folder.records)} == {99}


@pytest.mark.slow
def test_ctrl_c_lets_every_cell_save_its_state(cell, tmp_path):
    """A signal to the parent alone, as an editor sends it, ends the children too."""
    words = [f"{name}={value}" for name, value in CHANGES]
    command = [
        *(sys.executable, "-m", "dp_bench", "compare", "--task", "pusht"),
        *("--preset", "smoke", "--methods", "dp_c", "--seeds", "0", "1"),
        *("--jobs", "2", "--episodes", "1"),
        *("--demos", cell.demos, "--runs", cell.runs, "--device", "cpu"),
        *("--set", *words, "training.updates=100000"),
    ]
    parent = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    logs: list[object] = []
    deadline = time.monotonic() + 90
    while len(logs) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
        found = (tmp_path / "runs").rglob("log.jsonl")
        logs = [log for log in found if log.stat().st_size]
    parent.send_signal(signal.SIGINT)
    said = parent.communicate(timeout=60)[1]
    assert parent.returncode == 130
    assert "the same command goes on from here" in said
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):  # nobody of the family is left
        os.killpg(parent.pid, 0)
    states = list((tmp_path / "runs").rglob("resume.safetensors"))
    assert len(states) == 2
    assert all(load_tensors(state)[1]["update"] > 0 for state in states)
