"""Following a training: what is shown equals the log, also after a kill."""

import os
import signal
import subprocess
import sys
import time
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from dp_bench.cli import main
from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.grid import live
from dp_bench.runs.folder import RunFolder
from dp_bench.training.log import read_log

SETTINGS = [
    *("policy.channels=8,16", "policy.step_dim=8", "policy.sample_steps=2"),
    *("training.batch_size=8", "training.log_every=2", "training.validate_every=4"),
]
WORDS = [
    *("train", "--demos", "tiny.hdf5", "--task", "pusht", "--method", "dp_c"),
    *("--preset", "smoke", "--episodes", "1"),
]


def command(*more, updates=6):
    return [*WORDS, *more, "--set", *SETTINGS, f"training.updates={updates}"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch, demos_file):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.hdf5").write_bytes(demos_file.read_bytes())


def only_run(tmp_path):
    (folder,) = (p for p in (tmp_path / "runs" / "pusht").iterdir() if p.is_dir())
    return RunFolder(folder)


def events_of(run):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    events = accumulator.EventAccumulator(str(run.path / live.FOLDER))
    events.Reload()
    return events


def images_of(run):
    """Reads back at which updates there are images, by name."""
    events = events_of(run)
    return {n: [e.step for e in events.Images(n)] for n in events.Tags()["images"]}


def shown_by(run):
    """Reads back event files: update and value by name."""
    events = events_of(run)
    names = events.Tags()["scalars"]
    return {n: [(e.step, e.value) for e in events.Scalars(n)] for n in names}


def logged_in(run, key):
    lines = [(line.update, getattr(line, key)) for line in read_log(run.log)]
    return [(u, pytest.approx(v)) for u, v in lines if v is not None]


def test_tensorboard_shows_the_log_and_the_scores(tmp_path):
    pytest.importorskip("tensorboard")
    main(command("--log", "tensorboard"))
    run = only_run(tmp_path)
    shown = shown_by(run)
    assert shown["loss/training"] == logged_in(run, "loss")
    assert shown["loss/validation"] == logged_in(run, "val_loss")
    assert shown["training/lr"] == logged_in(run, "lr")
    played = records.read(run.records)
    for variant in ("default", "legacy"):
        (score,) = [r.score for r in played if r.variant == variant]
        assert shown[f"score/test/{variant}"] == [(6, pytest.approx(score))]
    assert images_of(run) == {"episode": [6]}


def times_of(run):
    return {
        file: file.stat().st_mtime_ns
        for file in run.path.rglob("*")
        if file.is_file() and not file.name.endswith("lock")
    }


def test_a_run_that_is_followed_is_the_same_run(tmp_path):
    pytest.importorskip("tensorboard")
    main(command())
    alone = only_run(tmp_path)
    files = times_of(alone)
    main(command("--log", "tensorboard"))  # done already, so nothing happens
    assert times_of(alone) == files
    main(command("--log", "tensorboard", "--runs", "others"))
    (followed,) = (tmp_path / "others" / "pusht").glob("dp_c-*")
    assert followed.name == alone.path.name
    assert RunFolder(followed).trained().weights == alone.trained().weights != ""


@pytest.mark.slow
def test_a_killed_training_leaves_events_and_goes_on_where_it_was(tmp_path):
    pytest.importorskip("tensorboard")
    words = command("--log", "tensorboard", updates=800)
    words.append("training.save_seconds=0.05")
    child = subprocess.Popen([sys.executable, "-m", "dp_bench", *words], cwd=tmp_path)
    _wait_until(lambda: list(tmp_path.glob("runs/pusht/*/resume.safetensors")), child)
    run = only_run(tmp_path)
    lines = len(read_log(run.log))
    _wait_until(lambda: len(read_log(run.log)) > lines + 20, child)
    child.send_signal(signal.SIGKILL)
    child.wait()
    steps = [step for step, _ in shown_by(run)["loss/training"]]
    assert len(steps) > 20
    subprocess.run(
        [sys.executable, "-m", "dp_bench", *words],
        cwd=tmp_path,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    shown = shown_by(run)["loss/training"]
    assert shown == logged_in(run, "loss")
    assert [step for step, _ in shown] == list(range(2, 801, 2))


def _wait_until(condition, child, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)


class FakeWandb(types.ModuleType):
    """Weights & Biases that drops what it is told for a step that has passed."""

    def __init__(self):
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None)  # other packages look for it
        self.shown, self.codes, self.fails = [], [], False
        self.summary = {}

    def init(self, **settings):
        self.settings = settings
        return self

    def define_metric(self, name, step_metric=None):
        assert (name, step_metric) in (("update", None), ("*", "update"))

    def log(self, numbers, step=None):
        if self.fails:
            raise OSError("the service is gone")
        assert step is None
        self.shown.append(numbers)

    def Video(self, path, format):
        return ("video", Path(path).name, format)

    def finish(self, exit_code):
        self.codes.append(exit_code)


@pytest.fixture
def wandb(monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def test_wandb_shows_losses_scores_and_an_episode_by_update(tmp_path, wandb):
    main(command("--log", "wandb"))
    run = only_run(tmp_path)
    losses = [(n["update"], n["loss/training"]) for n in wandb.shown if len(n) > 3]
    assert losses == logged_in(run, "loss")
    scores = [n for n in wandb.shown if "score/test/default" in n]
    assert [n["update"] for n in scores] == [6]
    assert wandb.summary["score/test/default"] == scores[0]["score/test/default"]
    [film] = [n for n in wandb.shown if "episode" in n]
    assert film["update"] == 6
    assert film["episode"][1].endswith("-default-100000.mp4")
    assert wandb.settings["config"]["training"]["updates"] == 6
    assert wandb.codes == [0, 0]


def test_a_training_outlives_a_service_that_fails(tmp_path, wandb, capsys):
    wandb.fails = True
    main(command("--log", "wandb"))
    assert only_run(tmp_path).weights.is_file()
    assert "the service is gone" in capsys.readouterr().err


def test_a_run_keeps_its_id_and_says_if_it_failed(tmp_path, wandb):
    main(command("--log", "wandb"))
    known = wandb.settings["id"]
    with (
        pytest.raises(ValueError, match="broken"),
        live.opened("wandb", only_run(tmp_path)),
    ):
        raise ValueError("broken")
    assert wandb.settings["id"] == known
    assert wandb.codes[-1] == 1


def test_the_real_wandb_takes_what_is_shown_without_a_network(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    main(command("--log", "wandb"))
    run = only_run(tmp_path)
    known = (run.path / live.ID_FILE).read_text(encoding="utf-8").strip()
    folders = list((run.path / "wandb").glob(f"offline-run-*-{known}"))
    assert folders
    assert all(list(folder.glob("*.wandb")) for folder in folders)


def test_a_missing_package_is_named_before_any_work(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(SystemExit):
        main(command("--log", "tensorboard"))
    said = capsys.readouterr().err
    assert "pip install 'dp-bench[tensorboard]'" in said
    assert not (tmp_path / "runs").exists()


def test_wandb_that_cannot_begin_says_what_to_do(monkeypatch, tmp_path, wandb):
    def fail(**_):
        raise OSError("no network")

    main(command())
    monkeypatch.setattr(wandb, "init", fail)
    with (
        pytest.raises(BadInput, match=r"no network.*WANDB_MODE=offline"),
        live.opened("wandb", only_run(tmp_path)),
    ):
        pass


def test_a_search_takes_no_log(capsys):
    pytest.importorskip("optuna")
    with pytest.raises(SystemExit):
        main(["tune", "--task", "pusht", "--method", "dp_c", "--log", "tensorboard"])
    assert "a search takes no --log" in capsys.readouterr().err
