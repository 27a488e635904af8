"""`dp-bench study samplers`, as a user types it."""

import shutil
from pathlib import Path

import matplotlib.image
import pytest

from dp_bench.cli import main
from dp_bench.evaluation import records, samplers
from dp_bench.grid.cell import Cell, resolve
from dp_bench.grid.run import run
from dp_bench.reports import sampler_table as report

TINY = (
    *(("policy.channels", "8,16"), ("policy.step_dim", "8")),
    *(("policy.sample_steps", "2"), ("training.updates", "4")),
    *(("training.batch_size", "8"), ("training.log_every", "2")),
)


def trained(demos_file, folder, method="dp_c"):
    changes = TINY if method != "dp_c-mip" else TINY[:2] + TINY[3:]
    cell = Cell(
        *("pusht", method, 0, "smoke"), demos=str(demos_file), changes=changes,
        episodes=1,
        runs=str(folder), device="cpu",
    )  # fmt: skip
    return run(*resolve([cell]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, demos_file):
    return trained(demos_file, tmp_path_factory.mktemp("runs"))


@pytest.fixture
def study(tmp_path, monkeypatch, finished):
    """Types the command for a copy of a tiny run."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, tmp_path / "run")

    def type_command(*words):
        main(["study", "samplers", "run", "--episodes", "2", *words])

    type_command.file = Path("results/pusht/made-up/samplers.jsonl")
    return type_command


def test_samplers_play_the_same_starts_and_are_tabulated(study, capsys):
    study("--samplers", "ddim", "heun", "--calls", "2", "4")
    out = capsys.readouterr().out
    assert "pusht: samplers of Diffusion Policy, CNN (DP-C)" in out
    evaluations = samplers.read(study.file)
    assert [(p.sampler, p.calls, p.is_runs_own) for p in evaluations] == [
        ("ddim", 2, True), ("ddim", 4, False), ("heun", 2, False), ("heun", 4, False),
    ]  # fmt: skip
    starts = {
        tuple(r.env_seed for r in evaluation.records) for evaluation in evaluations
    }
    assert starts == {(50000, 50001)}
    rows = report.rows_of(evaluations)
    is_runs_own, other = rows[0], rows[1]
    assert is_runs_own.difference is None
    assert other.difference.value == pytest.approx(
        other.score.value - is_runs_own.score.value
    )
    figure = matplotlib.image.imread(study.file.with_suffix(".png"))
    assert figure.shape[1] > 1000


def test_a_study_goes_on_and_grows(study, monkeypatch):
    study("--samplers", "ddim", "--calls", "2")
    first = samplers.read(study.file)
    before = len(records.read("run/records.jsonl"))
    study("--samplers", "ddim", "--calls", "2")
    assert samplers.read(study.file) == first
    assert len(records.read("run/records.jsonl")) == before
    study("--samplers", "ddpm", "--calls", "3", "--spacings", "quadratic")
    names = [(p.sampler, p.spacing) for p in samplers.read(study.file)]
    assert names == [("ddim", "uniform"), ("ddpm", "quadratic")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--samplers", "dpm"), "; there are ddim, ddpm"),
        (("--calls", "1"), "at least 2 where the network predicts the noise"),
        (("--calls", "101"), "sample_steps must be in 1..train_steps = 100, got 101"),
        (("--episodes", "201"), "1..200, the number of validation starts"),
        (("--spacings",), "--spacings needs uniform, quadratic or both"),
    ],
)
def test_what_a_run_cannot_do_is_refused(study, words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        study(*words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not study.file.exists()


def test_a_policy_without_a_sampler_is_refused(demos_file, tmp_path, capsys):
    folder = trained(demos_file, tmp_path / "runs", "dp_c-mip")
    with pytest.raises(SystemExit):
        main(["study", "samplers", str(folder), "--out", str(tmp_path / "out")])
    assert "with the objective ddpm or flow, got mip" in capsys.readouterr().err


def test_a_flow_is_studied_with_one_call_too(demos_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = trained(demos_file, tmp_path / "runs", "dp_c-flow")
    words = ("--calls", "1", "2", "--episodes", "1")
    main(["study", "samplers", str(folder), *words])
    evaluations = samplers.read(Path("results/pusht/made-up/samplers.jsonl"))
    assert [(p.sampler, p.calls) for p in evaluations] == [
        ("euler", 1), ("euler", 2), ("heun", 1), ("heun", 2),
    ]  # fmt: skip
    one, other = evaluations[0].records[0], evaluations[2].records[0]
    assert one.score == other.score  # with one call both are one step of Euler
