"""`dp-bench study encoders`, as a user types it."""

import json
from pathlib import Path

import matplotlib.image
import pytest

from dp_bench.cli import main
from dp_bench.data import hdf5
from dp_bench.errors import BadInput
from dp_bench.evaluation import encoders
from dp_bench.grid.cell import resolve
from dp_bench.grid.local import Children, Finished
from dp_bench.grid.run import run
from dp_bench.grid.update_time import UpdateTime
from dp_bench.util.files import locked
from made_up_images import pushing

TINY = (
    "policy.channels=8,16",
    "policy.step_dim=8",
    "policy.sample_steps=2",
    "training.batch_size=8",
)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Types the command for a tiny study, whose probe is a fake."""
    monkeypatch.chdir(tmp_path)
    hdf5.save(pushing(), tmp_path / "demos.hdf5")
    timed = []

    def measure(cell, jobs):
        timed.append(cell.label)
        return UpdateTime(10.0, 100, 10)

    monkeypatch.setattr("dp_bench.grid.study_plan.time_in_child", measure)

    def type_command(*words, more=()):
        main(
            [
                *("study", "encoders", "--task", "pusht", "--preset", "smoke"),
                *("--demos", "demos.hdf5", "--episodes", "1", "--minutes", "1"),
                *("--device", "cpu", "--encoders", *words, "--set", *TINY, *more),
            ]
        )

    type_command.timed = timed
    type_command.folder = Path("runs/results/pusht/made-up")
    return type_command


def in_this_process(self, cell, progress):
    """Runs a cell as a child would, without the start of a process."""
    return Finished(cell, run(*resolve([cell])))


def contents(folder, *names):
    return {name: (folder / name).read_bytes() for name in names}


def test_two_encoders_are_planned_trained_tabulated_and_remade(
    study, capsys, monkeypatch
):
    study("cnn", "cnn_frozen")
    out = capsys.readouterr().out
    assert "cnn: 6 updates of 10,000 ms in 1 min 0 s" in out
    assert "pusht: encoders of Diffusion Policy, CNN (DP-C), 1 min of training" in out
    assert study.timed == ["cnn", "cnn_frozen"]
    done = encoders.read(study.folder / "encoders.jsonl")
    assert [(t.name, t.records[0].step, len(t.records)) for t in done] == [
        ("cnn", 6, 1),
        ("cnn_frozen", 6, 1),
    ]
    assert {t.records[0].starts for t in done} == {"validation"}
    assert matplotlib.image.imread(study.folder / "encoders.png").shape[1] > 1000

    files = ("encoders.md", "encoders.csv", "encoders.png")
    made = contents(study.folder, *files)
    for name in files:
        (study.folder / name).unlink()
    main(["report", "runs/results"])
    assert contents(study.folder, *files) == made
    assert capsys.readouterr().out == made["encoders.md"].decode() + "\n"

    # the same command times and trains nothing again
    monkeypatch.setattr(Children, "run", in_this_process)
    runs = [*Path("runs/pusht").rglob("[!.]*.*")]
    before = {f: f.stat().st_mtime_ns for f in runs}
    study("cnn", "cnn_frozen")
    assert len(runs) == 8
    assert study.timed == ["cnn", "cnn_frozen"]
    assert {f: f.stat().st_mtime_ns for f in runs} == before
    assert contents(study.folder, *files) == made


def test_a_study_is_refused_before_it_trains(study, capsys, monkeypatch):
    file = study.folder / "encoders.jsonl"
    file.parent.mkdir(parents=True)

    def refusal(*more):
        with pytest.raises(SystemExit) as caught:
            study("cnn", more=more)
        assert caught.value.code == 2
        return capsys.readouterr().err

    file.write_text("")
    assert "encoders.jsonl is empty; delete it" in refusal()
    file.unlink()
    with locked(study.folder / ".encoders.lock"):
        assert "another process is working in runs/results/pusht" in refusal()
    assert "use --encoders" in refusal("vision.lr-factor=0.3")
    monkeypatch.setattr("dp_bench.cli.study_encoders.cores", lambda: 2)
    assert "--jobs 3 on 2 cores: trainings would take longer" in refusal("--jobs", "3")
    assert study.timed == []
    assert not Path("runs/pusht").exists()


def test_an_encoder_that_cannot_be_timed_counts_with_all_its_seeds(
    study, capsys, monkeypatch
):
    def measure(cell, jobs):
        raise BadInput("the images are too small")

    monkeypatch.setattr("dp_bench.grid.study_plan.time_in_child", measure)
    with pytest.raises(SystemExit):
        study("cnn", more=["--seeds", "0", "1", "2"])
    error = capsys.readouterr().err.splitlines()[-1]
    assert "3 of 3 trainings failed: cnn could not be timed: the images" in error


def test_a_setup_that_fails_stops_no_other_and_is_named_with_its_log(study, capsys):
    with pytest.raises(SystemExit) as caught:  # 28 pixels are too few for a ResNet-18
        study("resnet18", "cnn", more=["vision.crop=0.3"])
    assert caught.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("dp-bench: 1 of 2 trainings failed: pusht dp_c resnet18 se")
    log = Path(error.split("whole output: ")[1].split("]")[0])
    assert log == Path("runs/failed/pusht-dp_c-resnet18-seed-0.log")
    assert log.is_file()
    assert [t.name for t in encoders.read(study.folder / "encoders.jsonl")] == ["cnn"]
    plan = json.loads((study.folder / "encoders_plan.json").read_text())
    assert plan["plans"][0]["conditions"]["changes"] == [*TINY, "vision.crop=0.3"]
