"""Forecasts of how long a grid takes."""

from dataclasses import replace

import pytest

from dp_bench import registry
from dp_bench.data import hdf5, store
from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.grid import forecast, probe, timing
from dp_bench.grid.cell import Cell, resolve
from dp_bench.grid.demos_ahead import demonstrations_ahead
from dp_bench.grid.forecast import CellForecast, GridForecast
from dp_bench.grid.run import run
from dp_bench.runs.folder import RunFolder
from dp_bench.util.progress import duration
from made_up import demonstrations

SMALL = (("training.updates", "40"), ("training.batch_size", "8"))


@pytest.fixture
def cell(tmp_path, monkeypatch):
    """A small training on made-up demonstrations."""
    monkeypatch.setattr(probe, "UPDATE_SECONDS", 0.02)
    monkeypatch.setattr(timing, "SECONDS", 0.02)
    file = tmp_path / "demos.hdf5"
    hdf5.save(demonstrations("blockpush", lengths=(20, 20, 20)), file)
    return Cell(
        "blockpush",
        "bet",
        0,
        preset="smoke",
        episodes=2,
        changes=SMALL,
        demos=str(file),
        runs=str(tmp_path / "runs"),
        device="cpu",
    )


def test_times_add_up_and_jobs_share_them():
    cells = (
        CellForecast("bet", 0, 100, 30.0, 5.0),
        CellForecast("bet", 1, 100, 30.0, 5.0),
    )
    assert GridForecast(10.0, cells).seconds == 80.0
    assert GridForecast(10.0, cells, jobs=2).seconds == 45.0


def test_trainings_that_share_cores_take_longer(monkeypatch):
    monkeypatch.setattr(forecast, "cores", lambda: 2)
    cells = tuple(CellForecast("bet", n, 100, 30.0, 5.0, threads=2) for n in (0, 1))
    assert GridForecast(0.0, cells).seconds == 70.0
    assert GridForecast(0.0, cells, jobs=2).seconds == 65.0  # evaluation gains only


def test_a_gpu_takes_as_many_trainings_as_its_memory_holds():
    cell = CellForecast("bet", 0, 100, 30.0, 5.0, gpu_memory=2 * 2**30)
    ahead = GridForecast(0.0, (cell,), images=0.5, free_gpu_memory=10 * 2**30)
    forecast.refuse_crowded_gpu(ahead, 3)
    message = r"--per-gpu 4: one training takes 3\.0 GiB and the GPU has 10\.0 GiB"
    with pytest.raises(BadInput, match=f"{message} free; use --per-gpu 3"):
        forecast.refuse_crowded_gpu(ahead, 4)
    forecast.refuse_crowded_gpu(GridForecast(0.0, ()), 4)  # all is done


def test_a_long_grid_says_how_many_machines_pay(cell):
    cells = tuple(CellForecast("bet", n, 100, 1000.0, 0.0) for n in range(4))
    text = forecast.describe(GridForecast(0.0, cells), [cell], "results")
    assert "4 trainings, 1.11 hours in all; 2 take 33 min 20 s, 4 take 16 min" in text
    assert "more than 4 machines save less than 5 %" in text
    text = forecast.describe(GridForecast(0.0, cells, jobs=2), [cell], "results")
    assert "2 take 16 min 40 s; more than 2 machines save less" in text
    on_gpu = tuple(replace(part, gpu_memory=2.0**30) for part in cells)
    text = forecast.describe(GridForecast(0.0, on_gpu), [cell], "results")
    assert "4 trainings, 1.11 GPU-hours in all" in text
    short = tuple(CellForecast("bet", n, 100, 10.0, 0.0) for n in range(4))
    text = forecast.describe(GridForecast(0.0, short), [cell], "results")
    assert "several machines" not in text


def test_a_probe_does_at_most_a_twentieth_of_the_work():
    calls = []
    timing.timed(lambda: calls.append(1), at_most=timing.part_of(100))
    assert len(calls) == 1 + 5  # the first one does not count
    assert timing.part_of(3) == 1


def test_evaluation_counts_groups_that_are_played_side_by_side():
    cost = probe._Costs(
        start=2.0, update=0.1, group=10.0, episode=0.5, lanes=25, processes=2
    )
    assert cost.evaluation(4) == 10 + 4 * 0.5
    assert cost.evaluation(50) == 10 + 25 * 0.5  # a group in each process
    assert cost.evaluation(51) == 2 * (10 + 25 * 0.5)


def test_a_forecast_describes_what_is_done_and_how_long_the_rest_takes(cell):
    done = Cell("blockpush", "ibc", 0, preset="laptop")
    todo = Cell("blockpush", "bet", 0, preset="laptop")
    ahead = GridForecast(
        60.0,
        (
            CellForecast("ibc", 0, 0, 0.0, 0.0),
            CellForecast("bet", 0, 7000, 600.0, 12.0),
        ),
    )
    text = forecast.describe(ahead, [done, todo], "results/blockpush")
    assert f"about {duration(672)} on this machine" in text
    assert f"made by a script, {duration(60)}" in text
    assert f"BET: 7,000 updates in {duration(600)}" in text
    assert "IBC: already done" in text
    assert "results/blockpush" in text


@pytest.mark.parametrize(
    ("updates", "training", "evaluation", "line"),
    [
        (20, 0.2, 0.3, "20 updates in 1 s, then the test starts in 1 s at most"),
        (0, 0.0, 0.3, "already trained, the test starts in 1 s at most"),
        (0, 0.0, 0.0, "already done"),
    ],
)
def test_only_finished_work_is_called_done(updates, training, evaluation, line):
    cells = (CellForecast("bet", 0, updates, training, evaluation),)
    todo = [Cell("blockpush", "bet", 0, preset="smoke")]
    text = forecast.describe(GridForecast(0.0, cells), todo, "results/blockpush")
    assert f"  BET: {line}\n" in text


@pytest.mark.parametrize("task", registry.tasks())
@pytest.mark.parametrize("method", registry.methods())
def test_every_method_can_be_probed_on_every_task(
    method, task, tmp_path, monkeypatch, cell
):
    monkeypatch.setattr(store, "find", lambda *_: None)
    probed = Cell(task, method, 0, preset="smoke", runs=str(tmp_path), device="cpu")
    (resolved,) = resolve([probed])
    (ahead,) = probe.cell_forecasts([resolved])
    assert ahead.updates == resolved.settings.training.updates
    assert ahead.training > 0
    assert ahead.evaluation > 0


def test_a_script_is_timed(monkeypatch):
    monkeypatch.setattr(store, "find", lambda *_: None)

    def seconds(task):
        return demonstrations_ahead(*resolve([Cell(task, "bet", 0)]))["demonstrations"]

    assert seconds("blockpush") > 0
    assert seconds("pusht") == 0


def test_a_grid_that_was_run_has_nothing_left(cell):
    (before,) = probe.cell_forecasts(resolve([cell]))
    assert (before.updates, before.evaluation > 0) == (40, True)
    run(*resolve([cell]))
    (after,) = probe.cell_forecasts(resolve([cell]))
    assert (after.updates, after.seconds) == (0, 0)


def test_records_of_other_settings_or_steps_finish_nothing(cell):
    folder = RunFolder(run(*resolve([cell])))
    played = records.read(folder.records)
    for change in ({"settings": "0" * 8}, {"step": 20}):
        folder.records.unlink()
        records.append(folder.records, [replace(r, **change) for r in played])
        (after,) = probe.cell_forecasts(resolve([cell]))
        assert after.updates == 0
        assert after.evaluation > 0


def test_further_starts_of_a_finished_grid_are_left(cell):
    run(*resolve([cell]))
    (after,) = probe.cell_forecasts(resolve([Cell(**(vars(cell) | {"episodes": 60}))]))
    assert after.updates == 0
    assert after.evaluation > 0


def test_an_interrupted_training_has_the_rest_left(cell, monkeypatch):
    class Interrupted(Exception):
        pass

    from dp_bench.training.update import Updater

    real = Updater.step

    def step(updater):
        if updater.state.update == 20:
            raise Interrupted
        return real(updater)

    often = (("training.log_every", "10"), ("training.save_seconds", "1e-9"))
    cell = Cell(**(vars(cell) | {"changes": SMALL + often}))
    with monkeypatch.context() as patched:
        patched.setattr(Updater, "step", step)
        with pytest.raises(Interrupted):
            run(*resolve([cell]))
    (ahead,) = probe.cell_forecasts(resolve([cell]))
    assert ahead.updates == 20


def test_probes_run_in_a_process_of_their_own(cell, capsys):
    ahead = forecast.forecast([cell])
    assert capsys.readouterr().err.startswith("Timing 1 method on this machine")
    assert ahead.demonstrations == 0
    assert [(made.method, made.updates) for made in ahead.cells] == [("bet", 40)]


def test_what_a_probe_cannot_do_is_said(cell):
    wrong = Cell(**(vars(cell) | {"demos": "/nowhere.hdf5"}))
    with pytest.raises(BadInput, match="nowhere"):
        forecast.forecast([wrong])
