"""Damaged runs, results, settings and plug-ins, and the commands that read them."""

import dataclasses
import shutil
import sys

import pytest

from dp_bench.cli import main
from dp_bench.evaluation import multimodality, records
from dp_bench.evaluation.records import Record
from dp_bench.runs.folder import RunFolder
from dp_bench.runs.trained import Stage, Trained
from dp_bench.training.log import LogLine
from dp_bench.training.state import TrainingState
from dp_bench.util import jsonl
from fuzz import containers, damage
from fuzz.damage import pick
from fuzz.demos import TINY, UPDATES, train_words, write_ours
from made_up import written_run

FILES = ("run.json", "log.jsonl", "records.jsonl", "weights.safetensors",
         "kept/000003.safetensors")  # fmt: skip
STAGE = Stage(0, "cpu", "a CPU", "", "float32", 2, "2.0", "abc")
PUBLISHED = """\
task,demos,obs,method,metric,selection,value,source
pusht,ph,state,dp_c,score,last10,0.70,A & B (2020)
pusht,ph,state,dp_c,score,max,0.90,A & B (2020)
pusht,mh,image,bet,score,max,0.22,Nobody
"""


def record(info, env_seed, step=5, variant="default", starts="test"):
    """A record of an episode of a run."""
    return Record(
        **dataclasses.asdict(info.identity),
        step=step,
        starts=starts,
        variant=variant,
        env_seed=env_seed,
        score=0.5,
        success=True,
        success_once=True,
        success_at_end=False,
        sub_scores={"final_iou": 0.25},
        length=8,
        decision_latency=0.01,
        parameters=1000,
        train_seconds=1.0,
        commit="abc",
        versions={"numpy": "2.0"},
        trained=Trained((STAGE, dataclasses.replace(STAGE, update=3)), "0" * 12),
    )


def log():
    """A log of a training of five updates."""
    lines = [LogLine(k, 1.0 / k, 1e-3, float(k)) for k in range(1, 5)]
    return [*lines, LogLine(5, 0.2, 1e-3, 5.0, 0.5, 0.25)]


def write_run(folder, **changes):
    """A trained run with a kept checkpoint, a log and records."""
    run = written_run(folder / "run", demos_source="mine", **changes)
    run.write_info(run.info(), "cpu")
    run.write_weights_digest()
    run.kept(3).parent.mkdir()
    shutil.copy(run.weights, run.kept(3))
    jsonl.write(run.log, log())
    episodes = [record(run.info(), 100_000, variant=v) for v in ("default", "legacy")]
    records.append(run.records, episodes)
    return run


def write_results(folder):
    """A folder of results of two methods, with checkpoints and rollouts from a fork."""
    task = folder / "results" / "pusht"
    for method, policy in (("dp_c", {"channels": [8, 16]}), ("bet", {})):
        run = RunFolder(folder / method)
        info = dataclasses.replace(
            write_run(folder / "made").info(), method=method, policy=policy
        )
        shutil.rmtree(folder / "made")
        run.write_info(info, "cpu")
        episodes = [record(info, 100_000 + k, s) for k in range(2) for s in (3, 5)]
        for place, lines in (("records", episodes), ("logs", log())):
            (task / place).mkdir(parents=True, exist_ok=True)
            jsonl.write(task / place / f"{method}.jsonl", lines)
        (task / "runs").mkdir(exist_ok=True)
        shutil.copy(run.path / "run.json", task / "runs" / f"{method}.json")
        shutil.rmtree(run.path)
        (task / "modes.jsonl").write_bytes(jsonl.to_line(_rollout(info)))
    (task / "published.csv").write_text(PUBLISHED)


def _rollout(info):
    return multimodality.Rollout(
        **dataclasses.asdict(info.identity),
        step=5,
        env_seed=70_000,
        start=(178.0, 334.0, 320.0, 192.0, 0.785),
        path=((178.0, 334.0), (180.0, 330.0), (250.0, 200.0)),
        commit="abc",
        versions={"numpy": "2.0"},
    )


def write_resumable(folder):
    """A training that was stopped before its end, and its demonstrations."""
    write_ours(folder)
    words = resumed_words(folder / "demos.hdf5", folder / "runs")
    with pytest.MonkeyPatch.context() as patch:

        def stop(*_):
            raise KeyboardInterrupt

        patch.setattr(TrainingState, "finish", stop)
        with pytest.raises(SystemExit):
            main(words)


def resumed_words(demos, runs):
    settings = (*UPDATES, *TINY["dp_c"], "training.updates=3", "training.log_every=1")
    words = ["train", "--task", "pusht", "--demos", str(demos), "--runs", str(runs)]
    words += ["--method", "dp_c", "--preset", "smoke", "--episodes", "1"]
    return [*words, "--device", "cpu", "--set", *settings, "training.save_seconds=1e-9"]


def damage_file(rng, file, outside):
    """Damages a file by what it holds."""
    if rng.random() < 0.06:
        damage.path(rng, file, outside)
    elif file.suffix == ".safetensors":
        containers.safetensors_file(rng, file)
    else:
        change = {
            ".json": damage.json_bytes,
            ".jsonl": damage.lines_bytes,
            ".csv": damage.csv_bytes,
        }[file.suffix]
        file.write_bytes(change(rng, file.read_bytes()))


def _odd_file(rng, folder):
    """Sometimes adds a file that does not belong in a folder."""
    if rng.random() < 0.1:
        odd = pick(
            rng,
            ("٣.safetensors", "x.jsonl", "9" * 40 + ".safetensors",
             "\x1b[31m.jsonl", "two\nlines.jsonl", "\udcff.jsonl"),
        )  # fmt: skip
        (folder / odd).write_bytes(pick(rng, damage.OTHER_FILES))


def make_run(rng, template, place):
    run = shutil.copytree(template / "run", place / "input" / "run")
    damage_file(rng, run / pick(rng, FILES), place / "home" / "secret")
    _odd_file(rng, pick(rng, (run, run / "kept")) if (run / "kept").is_dir() else run)
    kind = int(rng.integers(8))
    if kind == 0:
        words = ["report", "results", "--runs", str(run)]
        return words, [place / "work" / "results"]
    if kind == 1:
        return ["modes", str(run), "--rollouts", "2"], [place / "work" / "results"]
    starts = pick(rng, ("test", "test", "validation"))
    steps = pick(rng, ("last", "all", "3"))
    words = ["eval", str(run), "--episodes", "1", "--variants", "default"]
    return [*words, "--processes", "1", "--starts", starts, "--steps", steps], [run]


def make_resumed(rng, template, place):
    folder = shutil.copytree(template, place / "input")
    (resume,) = folder.glob("runs/pusht/*/resume.safetensors")
    files = (resume, resume, resume, resume.with_name("run.json"),
             resume.with_name("log.jsonl"))  # fmt: skip
    damage_file(rng, pick(rng, files), place / "home" / "secret")
    own = [folder / "runs", place / "data"]
    return resumed_words(folder / "demos.hdf5", folder / "runs"), own


def make_results(rng, template, place):
    results = shutil.copytree(template / "results", place / "input" / "results")
    files = sorted(file for file in results.rglob("*") if file.is_file())
    tables = [file for file in files if file.suffix == ".csv"]
    file = pick(rng, (*files, *tables))
    damage_file(rng, file, place / "home" / "secret")
    _odd_file(rng, file.parent)
    return ["report", str(results)], [results]


def make_settings(rng, template, place):
    """A wrong word on the command line; sizes stay small enough to be used."""
    words = train_words(rng, "pusht", template / "demos.hdf5")
    if rng.random() < 0.5:
        run = shutil.copytree(template / "run", place / "input" / "run")
        words = ["eval", str(run), "--episodes", "1", "--variants", "default"]
        words += ["--processes", "1", "--starts", "validation", "--set"]
    texts = [str(n) for n in damage.NUMBERS if abs(n) < 100 or n != n]
    texts += [str(t)[:300].replace("\0", "") for t in damage.TEXTS]
    texts += ["[1,2]", "{}", "1,2,3", "true", "[" * 50_000, "1e400", "-1e400", "8,,16"]
    names = (
        "policy.channels", "policy.horizons.obs", "policy.horizons", "policy.groups",
        "policy.sample_steps", "policy.sampler", "training.lr", "training.betas",
        "training.grad_clip", "training.ema", "training.precision", "training.warmup",
        "policy.obs_scale", "policy.obs_min_range", "training", "policy", "x", "",
        "policy.channels.x", "dp_c:training.lr", "x:training.lr", ":", "policy.",
        "training.weight_decay", "training.sensor_noise", "policy.kernel_size",
    )  # fmt: skip
    words.append(f"{pick(rng, names)}={pick(rng, texts)}".replace("\ud800", "?"))
    if rng.random() < 0.3:
        options = (
            "--device", "--obs", "--control", "--source", "--seed", "--runs",
            "--demos", "--method", "--task", "--episodes", "--steps",
        )  # fmt: skip
        words[1:1] = [pick(rng, options), pick(rng, texts).replace("\ud800", "?")]
    own = [place / "work" / "runs", place / "data", place / "input" / "run"]
    return words, own


def write_settings(folder):
    write_ours(folder)
    write_run(folder)


MODULE = """\
from dp_bench.method import Method
from dp_bench.task import Task
METHOD = Method(name="fuzzed", title="Fuzzed", policy="fuzzed_plugin:P", about="x",
                presets="fuzzed_plugin:PRESETS")
TASK = Task(name="fuzzed", env_id="fuzzed/Fuzzed-v0", entry_point="fuzzed_plugin:E",
            about="x", max_steps=10, score="fuzzed_plugin:score")
P = E = score = None
PRESETS = {}
"""
POINTS = """\
[dp_bench.tasks]
fuzzed = fuzzed_plugin:TASK
[dp_bench.policies]
fuzzed = fuzzed_plugin:METHOD
"""


def write_plugin(folder):
    """An installed package with a task and a method."""
    (folder / "fuzzed_plugin.py").write_text(MODULE)
    about = folder / "fuzzed_plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fuzzed-plugin\n")
    (about / "entry_points.txt").write_text(POINTS)


def make_plugin(rng, template, place):
    folder = shutil.copytree(template, place / "input")
    about = folder / "fuzzed_plugin-1.0.dist-info"
    file = pick(rng, (about / "METADATA", about / "entry_points.txt"))
    kind = int(rng.integers(6))
    if kind == 0:
        module = folder / "fuzzed_plugin.py"
        words = ("None", "print", "Task", "raise SystemExit(3)", "1 / 0", "lambda: 0")
        old = pick(rng, ("Method(", "Task(", '"fuzzed"', "10", "METHOD", "TASK"))
        module.write_text(MODULE.replace(old, pick(rng, words), 1))
    elif kind == 1:
        damage.path(rng, file, place / "home" / "secret")
        if file.is_fifo():  # Python itself would wait for it
            file.unlink()
    elif kind == 2:
        old, new = (
            pick(rng, ("fuzzed_plugin", "fuzzed =", ":", "dp_bench.tasks", "=")),
            "",
        )
        text = file.read_text().replace(
            old, new or str(pick(rng, damage.TEXTS))[:300], 1
        )
        file.write_text(text, encoding="utf-8", errors="replace")
    else:
        file.write_bytes(damage.bytes_of(rng, file.read_bytes()))
    sys.path.insert(0, str(folder))
    words = pick(
        rng,
        (["list"], ["list", "--task", "fuzzed"], ["list", "--method", "bet"],
         ["list", "--method", "fuzzed"]),
    )  # fmt: skip
    sys.dont_write_bytecode = True
    return words, []
