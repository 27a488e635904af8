"""Commands that are killed again and again end with what an undisturbed one gives."""

import csv
import dataclasses
import json
import signal
import sys
import time
from pathlib import Path

import pytest

from dp_bench.data import hdf5
from dp_bench.evaluation import records
from dp_bench.grid import run as grid_run
from dp_bench.grid.cell import resolve
from dp_bench.util.tensors import load_tensors
from killing import ORPHANS, Command
from killing_plan import Killing, planned
from made_up_images import pushing

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads processes from /proc"
)
TIMES = ("seconds", "train_seconds", "decision_latency", "update_seconds")
MEASURED = ("training", "decision", *TIMES)  # of tables
COMPARE = (
    *("compare", "--task", "pusht", "--methods", "bet", "lstm_gmm"),
    *("--seeds", "0", "1", "--preset", "smoke", "--episodes", "26", "--device", "cpu"),
    *("--set", "training.updates=40", "training.log_every=10"),
    *("training.validate_every=20", "training.save_seconds=1e-9"),
)
# Twenty-five episodes share a batch, so 26 are played by two worker processes.
COMPARE_KILLS = {"command": 26, "group": 8, "cell": 28, "worker": 32, "probe": 6}
DEMOS_KILLS = {"command": 10, "group": 4, "worker": 10}
STUDY = (
    *("study", "encoders", "--task", "pusht", "--encoders", "cnn", "cnn_frozen"),
    *("--preset", "smoke", "--episodes", "2", "--updates", "12", "--device", "cpu"),
    *("--set", "policy.channels=8,16", "policy.step_dim=8", "policy.sample_steps=2"),
    *("training.batch_size=8", "training.log_every=5", "training.save_seconds=1e-9"),
)
STUDY_KILLS = {"command": 10, "group": 4, "cell": 4, "probe": 2}
A_SERIES = 20  # kills before a command runs to its end


@pytest.fixture
def settings(tmp_path):
    folder = tmp_path / "settings"
    folder.mkdir()
    return folder


def contents(folder: Path) -> dict[str, object]:
    """What every file says, by its name, but for measured times."""
    return {
        str(file.relative_to(folder)): content(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def content(file):
    if file.suffix == ".safetensors":
        tensors, facts = load_tensors(file)
        return facts["update"], {k: v.numpy().tobytes() for k, v in tensors.items()}
    if file.suffix == ".jsonl":
        return [without_times(json.loads(line)) for line in file.open()]
    if file.name == "encoders_plan.json":
        return without_times(json.loads(file.read_text()))
    if file.suffix == ".hdf5":
        return hdf5.load(file).checksum()
    if file.name in ("table.csv", "encoders.csv"):
        with file.open(newline="") as opened:
            rows = list(csv.DictReader(opened))
        return [
            {k: v for k, v in row.items() if not k.startswith(MEASURED)} for row in rows
        ]
    if file.name == "table.md":
        return [without_last_cells(line) for line in file.read_text().splitlines()]
    if file.name == "encoders.md":
        return [line for line in file.read_text().splitlines() if line[:1] != "|"]
    if file.name == "table.tex":
        return [line for line in file.read_text().splitlines() if r"\\" not in line]
    return file.read_bytes()


def without_times(data):
    """JSON without what is measured."""
    if isinstance(data, list):
        return [without_times(item) for item in data]
    if not isinstance(data, dict):
        return data
    return {k: without_times(item) for k, item in data.items() if k not in TIMES}


def without_last_cells(line):
    """A line of a table without its two last cells, which hold measured times."""
    return line.rsplit("|", 3)[0] if line.startswith("|") else line


def kill_often(words, counts, tmp_path, settings, **options):
    """Kills a command in several series, each in a folder of its own.

    Returns:
        What was done. Every series ended with the files of an undisturbed command.
    """
    undisturbed = Command(words, tmp_path / "undisturbed", settings, **options)
    attempt = undisturbed.start()
    assert attempt.to_the_end() == 0, attempt.output()
    attempt.close()
    expected = contents(undisturbed.folder)

    killing, number = Killing(attempt.events), 0
    todo = planned(attempt.events, counts)
    while todo:
        series = -(-len(todo) // A_SERIES)
        missed = []
        for chosen in (todo[k::series] for k in range(series)):
            number += 1
            command = Command(words, tmp_path / f"killed-{number}", settings, **options)
            missed += killing.series(command, chosen)
            found = contents(command.folder)
            assert sorted(found) == sorted(expected)
            assert [f for f in expected if found[f] != expected[f]] == []
            report(killing, number, tmp_path)
        todo = missed
    assert len(killing.done) == sum(counts.values())
    return killing.done


def report(killing, series, tmp_path):
    """Writes what was done so far, and prints a summary."""
    lines = [json.dumps(dataclasses.asdict(done)) for done in killing.done]
    (tmp_path / "kills.jsonl").write_text("\n".join(lines))
    print(f"{series} series; {killing.summary()}", flush=True)


def test_demonstrations_survive_a_killed_worker_and_a_killed_command(
    tmp_path, settings
):
    kills = {"worker": 1, "command": 1}
    done = kill_often(("demos", "get", "blockpush"), kills, tmp_path, settings)
    assert max(kill.orphans for kill in done) < ORPHANS


@pytest.mark.slow
def test_demonstrations_killed_at_every_stage(tmp_path, settings):
    done = kill_often(
        ("demos", "get", "blockpush"), DEMOS_KILLS, tmp_path, settings, episodes=20
    )
    assert max(kill.orphans for kill in done) < ORPHANS


@pytest.mark.slow
def test_a_comparison_killed_a_hundred_times(tmp_path, settings, demos_file):
    words = (*COMPARE, "--demos", demos_file)
    done = kill_often(words, COMPARE_KILLS, tmp_path, settings)
    assert len(done) == 100
    assert max(kill.orphans for kill in done) < ORPHANS


@pytest.mark.slow
def test_a_study_killed_at_every_stage(tmp_path, settings):
    file = tmp_path / "pushing.hdf5"
    hdf5.save(pushing(), file)
    words = (*STUDY, "--demos", file)
    done = kill_often(words, STUDY_KILLS, tmp_path, settings)
    assert max(kill.orphans for kill in done) < ORPHANS


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def stopped(command, number, whole_group):
    """Sends a signal once workers are at work, and returns what the command said."""
    attempt = command.start()
    try:
        while "worker" not in attempt.events[-1].roles:
            assert not attempt.ended, attempt.output()
            attempt.look()
            time.sleep(0.01)
        time.sleep(1)
        orphans = attempt.stop(number, whole_group=whole_group)
        assert orphans < ORPHANS
        assert attempt.process.returncode == 130, attempt.output()
        return attempt.output()
    finally:
        attempt.close()


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_demonstrations(number, whole_group, tmp_path, settings):
    words = ("demos", "get", "blockpush")
    command = Command(words, tmp_path / "demos", settings, episodes=1000)
    said = stopped(command, number, whole_group)
    assert "dp-bench: stopped; the same command resumes here" in said
    assert "Traceback" not in said
    assert [
        file.name for file in (tmp_path / "demos").rglob("*") if file.is_file()
    ] == ["blockpush-scripted.lock"]


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_an_evaluation(number, whole_group, tmp_path, settings, cell):
    folder = grid_run.run(*resolve([cell]))
    words = ("eval", folder, "--processes", "2", "--starts", "validation")
    command = Command(words, tmp_path / "evaluation", settings)
    said = stopped(command, number, whole_group)
    assert "dp-bench: stopped; the same command resumes here" in said
    assert "Traceback" not in said
    attempt = command.start()
    assert attempt.to_the_end() == 0
    attempt.close()
    played = records.read(folder / "records.jsonl")
    validation = [record for record in played if record.starts == "validation"]
    assert len({(r.env_seed, r.variant) for r in validation}) == len(validation) == 100
