"""The grid: each cell in a process of its own, whatever happens to the others."""

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dp_bench.evaluation import records
from dp_bench.grid import local
from dp_bench.grid import run as grid_run
from dp_bench.grid.cell import resolve
from dp_bench.grid.local import Children, Finished, run_cells
from dp_bench.grid.progress import shown
from dp_bench.runs.folder import RunFolder
from dp_bench.util.tensors import load_tensors
from killing import descendants, processes_of


def test_a_cell_that_fails_does_not_stop_the_others(cell):
    bad, good = cell, dataclasses.replace(cell, train_seed=1)
    resume = grid_run.prepare(*resolve([bad])).folder.resume
    resume.parent.mkdir(parents=True)
    resume.write_bytes(b"not a state")
    seen = []
    ends = run_cells([bad, good], finished=seen.append)
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
    assert grid_run.run(*resolve([good])) == folder.path
    of_child = (
        folder.path / "of_child.safetensors"
    )  # tensors are mapped from their file
    of_child.write_bytes(weights)
    one, other = load_tensors(folder.weights)[0], load_tensors(of_child)[0]
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)


def test_the_next_cell_starts_while_the_last_one_is_tabulated(cell, monkeypatch):
    cells = [cell, dataclasses.replace(cell, train_seed=1)]
    second_began, told = threading.Event(), []

    def of_a_child(self, one, progress):
        if one is cells[1]:
            second_began.set()
        return Finished(one, Path("folder"))

    def finished(end):
        told.append((end.cell, threading.current_thread(), second_began.wait(30)))

    monkeypatch.setattr(Children, "run", of_a_child)
    ends = run_cells(cells, finished=finished)
    assert [end.cell for end in ends] == cells
    here = threading.current_thread()
    assert told == [(cells[0], here, True), (cells[1], here, True)]


def test_each_place_has_its_device(cell, monkeypatch):
    cells = [dataclasses.replace(cell, train_seed=seed) for seed in range(6)]
    used, both = [], threading.Barrier(2)

    def of_a_child(self, one, _):
        used.append(one.device)
        both.wait(10)  # so that no place runs two cells in a row
        return Finished(one, Path("folder"))

    monkeypatch.setattr(Children, "run", of_a_child)
    run_cells(cells, jobs=2, devices=["cuda:0", "cuda:1"])
    assert sorted(used) == ["cuda:0"] * 3 + ["cuda:1"] * 3


def test_a_table_that_fails_is_the_error_of_its_cell_alone(cell, monkeypatch):
    cells = [cell, dataclasses.replace(cell, train_seed=1)]

    def finished(end):
        if end.cell is cells[0]:
            raise ValueError("no\ntable")

    monkeypatch.setattr(Children, "run", lambda self, one, _: Finished(one, Path("f")))
    ends = run_cells(cells, finished=finished)
    assert [end.error for end in ends] == ["no table", ""]


def test_the_log_of_a_failure_goes_when_the_cell_succeeds(cell):
    resume = grid_run.prepare(*resolve([cell])).folder.resume
    resume.parent.mkdir(parents=True)
    resume.write_bytes(b"not a state")
    (failed,) = run_cells([cell])
    log = Path(failed.error.split("whole output: ")[1].rstrip("]"))
    assert "resume.safetensors is damaged" in log.read_text()
    resume.unlink()
    (end,) = run_cells([cell])
    assert not end.error
    assert not log.parent.exists()


def test_no_cell_begins_after_a_signal_has_ended_the_others(cell):
    children = Children(1)
    children.end()
    with shown(1) as progress:
        end = children.run(cell, progress)
    assert end.error == "stopped before it began"
    assert not Path(cell.runs).exists()


ENDINGS = {
    "at an update": (
        "print('stopped; the same command goes on from update 1,200', file=sys.stderr)"
        "; sys.exit(130)",
        "pusht dp_c seed 0: stopped; the same command goes on from update 1,200\n",
    ),
    "without a word": (
        "os._exit(130)",
        "pusht dp_c seed 0: stopped; the same command goes on from what is saved\n",
    ),
    "by a fault": ("os._exit(3)", "[1/1] pusht dp_c seed 0: failed: exit code 3 "),
}


@pytest.mark.parametrize(("code", "said"), ENDINGS.values(), ids=ENDINGS)
def test_a_cell_that_a_signal_stopped_has_not_failed(
    cell, monkeypatch, capsys, tmp_path, code, said
):
    def start(module, word, environment):
        command = [sys.executable, "-c", f"import os, sys; {code}"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, text=True, **pipes)

    monkeypatch.setattr("dp_bench.grid.local.start_child", start)
    (end,) = run_cells([cell])
    fault = "failed" in said
    assert end.stopped is not fault
    shown = capsys.readouterr().err
    assert shown.startswith(said)
    assert ("failed" in shown) is fault
    assert (tmp_path / "runs" / "failed").exists() is fault


@pytest.fixture
def endless(cell, tmp_path, request):
    """A comparison of two trainings that both run, in a process group of its own."""
    more = getattr(request, "param", ())
    words = [f"{name}={value}" for name, value in cell.changes]
    command = [
        *(sys.executable, "-m", "dp_bench", "compare", "--task", "pusht"),
        *("--preset", "smoke", "--methods", "dp_c", "--seeds", "0", "1"),
        *("--jobs", "2", "--episodes", "1"),
        *("--demos", cell.demos, "--runs", cell.runs, "--device", "cpu"),
        *("--set", *words, "training.updates=100000", *more),
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
    yield parent
    with contextlib.suppress(ProcessLookupError):
        os.killpg(parent.pid, signal.SIGKILL)
    parent.wait()


def group_runs(group):
    """Whether any process of a group is left, but for zombies where that shows."""
    if Path("/proc").is_dir():
        return bool(processes_of(group))
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def states(folder):
    """The update of every saved state."""
    return [load_tensors(f)[1]["update"] for f in folder.rglob("resume.safetensors")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_every_cell_save_its_state(endless, tmp_path, number):
    """A signal to the parent alone, as an editor sends it, ends the children too."""
    sent = time.monotonic()
    endless.send_signal(number)
    said = endless.communicate(timeout=60)[1]
    assert time.monotonic() - sent < 5
    assert endless.returncode == 130
    assert "the same command resumes" in said
    assert "Traceback" not in said
    assert "failed" not in said
    places = r"dp_c seed \d: stopped; the same command goes on from update ([\d,]+)"
    updates = [int(place.replace(",", "")) for place in re.findall(places, said)]
    assert sorted(updates) == sorted(states(tmp_path / "runs"))
    assert not group_runs(endless.pid)
    assert len(states(tmp_path / "runs")) == 2
    assert all(update > 0 for update in states(tmp_path / "runs"))


@pytest.mark.slow
def test_cells_save_their_state_and_end_when_their_parent_is_killed(endless, tmp_path):
    endless.kill()
    killed = time.monotonic()
    endless.wait()
    while group_runs(endless.pid) and time.monotonic() - killed < 5:
        time.sleep(0.05)
    assert not group_runs(endless.pid)
    assert len(states(tmp_path / "runs")) == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads processes from /proc")
@pytest.mark.parametrize("endless", [["training.save_seconds=1e-9"]], indirect=True)
def test_a_cell_that_cannot_stop_is_killed_and_keeps_its_saved_state(endless, tmp_path):
    """A stopped process heeds no signal, like one in an update of many minutes."""
    cells = descendants(endless.pid, processes_of(endless.pid))
    while len(states(tmp_path / "runs")) < 2:
        time.sleep(0.1)
    for number in cells:
        os.kill(number, signal.SIGSTOP)
    saved = states(tmp_path / "runs")
    endless.send_signal(signal.SIGTERM)
    said = endless.communicate(timeout=30)[1]
    assert "the same command resumes" in said
    assert not group_runs(endless.pid)
    assert states(tmp_path / "runs") == saved


@pytest.mark.parametrize(
    ("cores", "gibibytes", "threads", "jobs"),
    [
        (2, 100.0, 1, 2),
        (8, 100.0, 1, 3),  # no more than there are trainings
        (2, 100.0, 2, 1),
        (1, 100.0, 2, 1),
        (8, 4.0, 1, 2),
        (8, 0.5, 1, 1),
    ],
)
def test_trainings_at_a_time_fill_cores_and_memory(
    cores, gibibytes, threads, jobs, cell, monkeypatch
):
    monkeypatch.setattr(local, "cores", lambda: cores)
    monkeypatch.setattr(local, "free_main_memory", lambda: gibibytes * 2**30)
    more = (*cell.changes, ("training.threads", str(threads)))
    cells = [
        dataclasses.replace(cell, train_seed=k, device="cpu", changes=more)
        for k in range(3)
    ]
    assert local.usual_jobs(resolve(cells)) == jobs


def test_a_gpu_trains_one_at_a_time(cell, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr(local, "is_gpu", lambda device: device == "auto")
    cells = [dataclasses.replace(cell, train_seed=k, device="auto") for k in range(3)]
    assert local.usual_jobs(resolve(cells)) == 1
