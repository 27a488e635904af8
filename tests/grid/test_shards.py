"""A grid in shards, in one folder or in several, gives the results of one command."""

import dataclasses
from pathlib import Path

import gymnasium as gym
import pytest

from dp_bench.cli import main
from dp_bench.evaluation import records
from dp_bench.grid import local, probe
from dp_bench.grid.cell import resolve
from dp_bench.grid.forecast import CellForecast, GridForecast
from dp_bench.grid.local import Finished
from dp_bench.grid.run import run

TINY = (
    *("policy.channels=8,16", "policy.step_dim=8"),
    *("training.updates=6", "training.batch_size=8", "training.log_every=2"),
)


def forecast_of_nothing(cells, jobs, per_device):
    """Nothing is probed, and no cell is known to be finished."""
    unknown = (
        CellForecast(cell.method, cell.train_seed, 1, 1.0, 1.0) for cell in cells
    )
    return GridForecast(0.0, tuple(unknown))


@pytest.fixture
def compare(tmp_path, monkeypatch, demos_file):
    """Types `dp-bench compare` in a folder; trainings run in this process."""

    def in_this_process(self, cell, progress):
        return Finished(cell, run(*resolve([cell])))

    monkeypatch.setattr(local.Children, "run", in_this_process)
    monkeypatch.setattr(gym.spec("dp_bench/PushT-v0"), "max_episode_steps", 3)
    monkeypatch.setattr(
        "dp_bench.grid.forecast.describe", lambda ahead, cells, out, where: where
    )
    monkeypatch.setattr(
        "dp_bench.grid.forecast.forecast",
        forecast_of_nothing,
    )

    def type_command(folder, *words):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        main(
            [
                *("compare", "--task", "pusht", "--methods", "dp_c", "dp_c-flow"),
                *("--seeds", "0", "1", "--preset", "smoke", "--episodes", "1"),
                *("--demos", str(demos_file), "--device", "cpu", *words),
                *("--jobs", "1"),
                *("--set", *TINY),
            ]
        )

    return type_command


def results(folder):
    """Records without times, in an order of their own; and the table."""
    (place,) = folder.rglob("records")
    read = [
        dataclasses.replace(r, decision_latency=0.0, train_seconds=0.0)
        for r in records.read(place)
    ]
    key = [(r.method, r.train_seed, r.variant, r.env_seed) for r in read]
    return [r for _, r in sorted(zip(key, read, strict=True), key=lambda pair: pair[0])]


@pytest.mark.slow
def test_shards_give_the_records_of_one_command(compare, tmp_path, capsys):
    compare("whole")
    whole = results(tmp_path / "whole")
    assert len(whole) == 8  # two methods, two seeds, two variants
    capsys.readouterr()
    compare("shared", "--shard", "1/3")
    assert "part 1 of 3: 2 of 4 trainings" in capsys.readouterr().out
    for shard in ("3/3", "2/3"):
        compare("shared", "--shard", shard)
    assert results(tmp_path / "shared") == whole
    tables = [next((tmp_path / f).rglob("table.csv")) for f in ("whole", "shared")]
    rows = [len(table.read_text(encoding="utf-8").splitlines()) for table in tables]
    assert rows[0] == rows[1]

    for number in (1, 2):
        compare(f"machine{number}", "--shard", f"{number}/2")
    folders = [str(tmp_path / f"machine{n}" / "runs" / "results") for n in (1, 2)]
    main(["collect", *folders, "--out", str(tmp_path / "collected")])
    assert results(tmp_path / "collected") == whole


def test_a_shard_without_trainings_says_so(compare, capsys):
    compare("here", "--shard", "7/9")
    assert "part 7 of 9: 0 of 4 trainings" in capsys.readouterr().out
    assert not list(Path.cwd().iterdir())


def test_finished_trainings_start_no_process(compare, monkeypatch, capsys):
    def in_this_process(cells, jobs, per_device):
        return GridForecast(0.0, tuple(probe.cell_forecasts(resolve(cells))))

    monkeypatch.setattr("dp_bench.grid.forecast.forecast", in_this_process)
    monkeypatch.setattr(probe, "UPDATE_SECONDS", 0.02)
    compare("here", "--shard", "1/4")
    capsys.readouterr()
    monkeypatch.setattr(local.Children, "run", None)  # fails if it is called
    monkeypatch.setattr("dp_bench.grid.forecast.forecast", None)
    (page,) = Path("runs/results").rglob("index.html")
    made = page.stat().st_mtime_ns
    compare("here", "--shard", "1/4")
    said = " ".join(capsys.readouterr().out.split())
    assert "the training is done" in said
    assert "1 train seed" in said
    assert page.stat().st_mtime_ns == made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shard", "3/2"], "a part must be I/N"),
        (["--shard", "1/2", "--until-decided"], "--until-decided takes no --shard"),
    ],
)
def test_wrong_input_is_one_sentence(compare, words, said, capsys):
    with pytest.raises(SystemExit):
        compare("here", *words)
    assert said in capsys.readouterr().err
