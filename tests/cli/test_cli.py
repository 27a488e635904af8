"""The command line as a newcomer meets it: wrong input gets one sentence."""

import os
import signal
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

import dp_bench
from dp_bench import registry
from dp_bench.cli import main
from dp_bench.cli.app import COMMANDS
from dp_bench.evaluation import records
from dp_bench.policies.diffusion.policy import UnetDiffusion
from dp_bench.runs.folder import RunFolder
from dp_bench.util.tensors import load_tensors

TINY = [
    *("--task", "pusht"),
    *("--set", "policy.channels=8,16", "policy.step_dim=8", "policy.sample_steps=2"),
    *("training.updates=6", "training.batch_size=8", "training.log_every=2"),
    *("training.keep_every=2", "--preset", "smoke", "--episodes", "2"),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch, demos_file):
    """A folder with made-up demonstrations, and files that are none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path / "data"))
    whole = demos_file.read_bytes()
    (tmp_path / "tiny.hdf5").write_bytes(whole)
    (tmp_path / "short.hdf5").write_bytes(whole[:20_000])
    (tmp_path / "nan.hdf5").write_bytes(whole)
    with h5py.File(tmp_path / "nan.hdf5", "r+") as file:
        file["data/demo_1/actions"][3, 0] = np.nan
    (tmp_path / "text.hdf5").write_text("hello")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "pusht").write_text("a file, where a folder should be")
    with h5py.File(tmp_path / "foreign.hdf5", "w") as file:
        file["data/demo_0/actions"] = np.zeros((4, 7))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("a/b", "1")
    (tmp_path / "short.zip").write_bytes((tmp_path / "other.zip").read_bytes()[:30])


def refused(words, capsys):
    """What a command says that exits with 2: one line, and nothing on stdout."""
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert out == ""
    assert err.startswith("dp-bench: ")
    assert err.count("\n") == 1
    return err


WRONG = {
    "demos get nosuch": "no task 'nosuch'; there are blockpush, kitchen, pusht, lift",
    "demos get": "name a task: `dp-bench demos get TASK`; there are blockpush, kitch",
    "demos get pusht --mask low": "--mask low goes with --from FILE",
    "demos check": "name the file",
    "demos compare": "name a task",
    "demos compare pusht": "name the second set: --against FILE",
    "demos pusht": "is now `dp-bench demos get pusht`",
    "demos pusht tiny.hdf5": "is now `dp-bench demos get pusht --from tiny.hdf5`",
    "demos pusht --source human": "`dp-bench demos get pusht --source human`",
    "demos can --against a --other ph": "demos compare can --against a --other ph`",
    "demos check nowhere": "nowhere does not exist",
    "demos check short.hdf5": "short.hdf5 is truncated",
    "demos get pusht --from other.zip": "holds no replay buffer",
    "list --method dp_cc": "did you mean 'dp_c'?",
    "report nowhere": "nowhere holds no folder of records",
    "eval": "name a run folder",
    "eval nowhere": "nowhere is not a run folder",
    "eval nowhere --processes 0": "--processes must be at least 1",
    "eval nowhere --steps some": "--steps must be a number, last or all; got 'some'",
    "compare --task pushd": "did you mean 'pusht'?",
    "compare --methods dp_x": "there are dp_c, dp_t",
    "compare --methods dp_c dp_c": "method dp_c is named twice",
    "compare --seeds 0 1 0": "seed 0 is named twice",
    "compare --seeds 0 -1": "0 or above, got -1",
    "compare --seeds": "at least one seed",
    "compare --jobs 0": "--jobs must be at least 1",
    "compare --episodes 1001": "1..1000, the number of test starts; got 1001",
    "compare --set dp_x:training.lr=1": "changes 'dp_x', which is not among the m",
    "compare --task pusht --out text.hdf5": "--out text.hdf5: text.hdf5 is not a fold",
    "compare --task pusht --out text.hdf5/deep": "text.hdf5 is not a folder; name a",
    "compare --task pusht --out taken": "--out taken: taken/pusht is not a folder",
    "compare --task robomimic --out text.hdf5": "text.hdf5 is not a folder; name a",
    "compare --task pusht --demos tiny.hdf5 --out taken": "taken/pusht is not a folder",
    "compare --task pusht --runs text.hdf5": "--runs text.hdf5: text.hdf5 is not a fo",
    "train --task pusht --runs text.hdf5": "--runs text.hdf5: text.hdf5 is not a fold",
    "eval nowhere --video 100000 --out text.hdf5": "--out text.hdf5: text.hdf5 is not",
    "modes --out text.hdf5": "--out text.hdf5: text.hdf5 is not a folder",
    "study encoders --task blockpush": "tasks with images are pusht, lift",
    "study encoders --task pusht --obs state": "no images in state observations",
    "study encoders --encoders cnn resnet": "no encoder 'resnet'; there are resnet18,",
    "study encoders --minutes 1 --updates 9": "--minutes and --updates exclude each o",
    "study encoders --minutes 0": "--minutes must be above 0, got 0",
    "study encoders --updates 0": "--updates must be at least 1, got 0",
    "study encoders --jobs 0": "--jobs must be at least 1, got 0",
    "study encoders --seeds": "at least one seed",
    "study encoders --episodes 201": "1..200, the number of validation starts; got 201",
    "study encoders --set training.updates=9": "updates itself; use --minutes or --upd",
    "study encoders --set dp_c:vision.norm=batch": "vision.norm itself; use --encoders",
    "study encoders --task pusht --out text.hdf5": "text.hdf5 is not a folder",
    "tune --minutes 0": "--minutes must be above 0, got 0",
    "tune --run-minutes -1": "--run-minutes must be above 0, got -1",
    "tune --jobs 0": "--jobs must be at least 1, got 0",
    "tune --method dp_x": "did you mean",
    "tune --episodes 201": "1..200, the number of validation starts; got 201",
    "tune --set training.updates=9": "decides training.updates itself; use --run-minut",
    "study encoders --demos nowhere.hdf5": "nowhere.hdf5 does not exist",
    "demos compare pusht --against tiny.hdf5 --out taken": "taken/pusht is not a fold",
    "train --method dp_cc": "did you mean 'dp_c'?",
    "train --set training.lr": "takes NAME=VALUE, got 'training.lr'",
    "train --set lr=1": "no setting 'lr' of dp_c; there are policy.obs_scale",
    "train --set training.updtes=1": "did you mean 'updates'?",
    "train --set training.lr=fast": "training.lr must be a number, got 'fast'",
    "train --preset gpu --task pusht": "on pusht with keypoints observations; there is",
    "train --set policy.sampler=plms": "no sampler 'plms'; there are ddim, ddpm",
    "train --set policy.sample_steps=0": "sample_steps must be in 1..",
    "train --control torque": "no control mode 'torque'; it has",
    "train --demos nowhere.hdf5": "nowhere.hdf5 does not exist",
    "train --demos short.hdf5": "short.hdf5 is truncated or damaged",
    "train --demos nan.hdf5": "actions must be finite, got nan in episode 1 at st",
    "train --demos text.hdf5": "has an unknown format",
    "train --demos foreign.hdf5": "has no converter for its scripted demonstrations",
    "train --task pusht --demos other.zip": "holds no replay buffer",
    "train --task pusht --demos short.zip": "short.zip is truncated",
    "train --task pusht --demos tiny.hdf5 --source human": "holds 'made-up' demons",
    "train --task pusht --demos tiny.hdf5 --set vision.encoder=cnn": "setting for ima",
    "train --task pusht --obs image --set vision.encoder=cnm": "must be one of resnet",
    "compare --task blockpush --obs image": "no observation 'image'; it has state",
    "train --task pusht --demos tiny.hdf5 --device abacus": "'abacus'; choose one of",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(words, capsys):
    assert WRONG[words] in refused(words, capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("trian", "Unrecognized options: trian"),
        ("train --sead 3", "Unrecognized options: --sead"),
        ("train --seed x", "--seed: invalid literal for int() with base 10: 'x'"),
        ("train --preset huge", "'huge' for argument '--preset'"),
    ],
)
def test_words_that_do_not_parse_are_named(words, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert message in " ".join(err.split())
    assert "Traceback" not in err


def help_of(words, capsys):
    """The help of a command."""
    with pytest.raises(SystemExit) as caught:
        main([*words.split(), "--help"])
    assert not caught.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_shows_examples_and_its_description_once(
    command, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    shown = help_of(command, capsys)
    assert "Example" in shown
    assert f"\n   dp-bench {command}" in shown
    summary = COMMANDS[command].__doc__.splitlines()[0]
    assert shown.count(summary) == 1
    assert "{None}" not in shown
    assert "None)" not in shown
    usage, _, rest = shown.partition("\n\n")
    assert usage.startswith("usage: ")
    assert max(map(len, rest.splitlines())) <= 80


@pytest.mark.parametrize("group", ["", "demos", "study"])
def test_lists_of_commands_give_each_command_one_line(group, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = help_of(group, capsys)
    usage, _, rest = shown.partition("\n\n")
    assert usage.startswith("usage: ")  # one line, however many commands there are
    assert max(map(len, rest.splitlines())) <= 80
    for name, command in COMMANDS.items():
        if name.startswith(f"{group} ") or not (group or " " in name):
            assert f" {name.split()[-1]} " in shown
            assert command.__doc__.splitlines()[0] in shown


@pytest.mark.parametrize("command", ["train", "compare"])
def test_help_lists_the_choices_of_an_option(command, capsys):
    shown = " ".join(help_of(command, capsys).replace("│", "").split())
    for names in (registry.tasks(), registry.methods(), ("auto", "cpu", "cuda:1")):
        assert f"one of {', '.join(names)}".removesuffix("cuda:1") in shown
    assert "cuda:1" in shown
    assert "one of velocity, position;" in shown


def test_the_version_is_shown(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"dp-bench {dp_bench.__version__}\n"


def test_every_setting_that_list_shows_can_be_set(capsys):
    main(["list", "--method", "dp_c", "--task", "pusht"])
    assert "policy.horizons.action" in capsys.readouterr().out


def test_list_fits_on_a_screen_and_cuts_no_word(capsys):
    main(["list"])
    shown = capsys.readouterr().out
    assert shown.count("\n") <= 25
    assert max(map(len, shown.splitlines())) <= 100
    assert "…" not in shown
    assert "\x1b" not in shown
    for task in registry.tasks().values():
        (row,) = [line for line in shown.splitlines() if line.split()[0] == task.name]
        assert f" {task.max_steps} " in row
        assert task.controls[0] in row
        words = set(shown.replace(",", " ").split())
        assert words >= {*task.obs_kinds, *map(str, task.obs_dims.values())}
        assert words >= set(registry.full_sources(task))
    for method in registry.methods().values():
        assert method.title in shown


def test_list_shows_one_task_in_detail(capsys):
    main(["list", "--task", "can"])
    shown = capsys.readouterr().out
    for name, source in registry.task("can").sources.items():
        assert f"{name}: {source.about}" in shown


def test_compare_report_and_eval_from_end_to_end(tmp_path, capsys):
    main(["compare", "--methods", "dp_c", "--demos", "tiny.hdf5", *TINY])
    out, err = capsys.readouterr()
    assert "[1/1] pusht dp_c seed 0: done" in err
    assert "this will take about" in out.splitlines()[0]
    assert "Diffusion Policy" in out
    # demonstrations of another source than the task's have a folder of their own
    results = tmp_path / "runs" / "results" / "pusht" / "made-up"
    assert str(results.relative_to(tmp_path)) in "".join(out.split())
    found = records.read(results / "records")
    assert [(r.variant, r.preset) for r in found] == [
        *[("default", "custom")] * 2,
        *[("legacy", "custom")] * 2,
    ]
    made = ["table.md", "table.tex", "table.csv", "success.png", "loss.png"]
    before = {name: (results / name).read_bytes() for name in made}
    for name in made:
        (results / name).unlink()
    main(["report", "runs/results"])
    assert {name: (results / name).read_bytes() for name in made} == before
    assert "Diffusion Policy" in capsys.readouterr().out

    (run,) = (tmp_path / "runs" / "pusht").iterdir()
    steps = ["--steps", "all", "--episodes", "1", "--variants", "legacy"]
    main(["eval", str(run), *steps])
    assert {r.step for r in records.read(run / "records.jsonl")} == {2, 4, 6}
    capsys.readouterr()
    said = refused(f"eval {run} --steps 3", capsys)
    assert "kept at updates: 2, 4, 6" in said

    main(["report", "runs/results/pusht/made-up", "--runs", str(run)])  # its own folder
    assert not (results / "pusht").exists()
    assert {r.step for r in records.read(results / "records")} == {2, 4, 6}
    (tmp_path / "runs" / "results" / "reach" / "records").mkdir(parents=True)
    capsys.readouterr()
    said = refused(f"report runs/results/reach --runs {run}", capsys)
    assert "is a run of pusht" in said

    said = refused(f"compare --task pusht --out {results}", capsys)
    assert "--out names the folder above it" in said

    (results / "runs" / f"{run.name}.json").unlink()
    assert "has no settings" in refused("report runs/results", capsys)


def test_what_was_imported_under_a_name_of_its_own_is_a_source(tmp_path, capsys):
    main(["demos", "get", "pusht", "--from", "tiny.hdf5"])
    main(["train", "--source", "made-up", *TINY])
    (run,) = (tmp_path / "runs" / "pusht").iterdir()
    assert RunFolder(run).info().demos_source == "made-up"
    capsys.readouterr()
    assert "it has human" in refused("train --task pusht --source mode-up", capsys)


def test_ctrl_c_is_one_sentence_and_the_same_command_goes_on(
    tmp_path, capsys, monkeypatch
):
    command = ["train", "--demos", "tiny.hdf5", *TINY]
    loss, times = UnetDiffusion.loss, []

    def interrupted(policy, *given):
        times.append(policy.training)
        if sum(times) == 3:
            signal.raise_signal(signal.SIGINT)
        return loss(policy, *given)

    with monkeypatch.context() as patch:
        patch.setattr(UnetDiffusion, "loss", interrupted)
        with pytest.raises(SystemExit) as caught:
            main(command)
    assert caught.value.code == 130
    err = capsys.readouterr().err
    assert err.strip() == "dp-bench: stopped; the same command resumes here"
    (run,) = (tmp_path / "runs" / "pusht").iterdir()
    assert load_tensors(RunFolder(run).resume)[1]["update"] == 3

    main(command)
    assert "run folder" in capsys.readouterr().out
    main([*command, "--runs", "others"])
    (other,) = (tmp_path / "others" / "pusht").iterdir()
    one, again = (load_tensors(RunFolder(f).weights)[0] for f in (run, other))
    assert all((one[name] == again[name]).all() for name in one)


HEAVY = {"torch", "pymunk", "mujoco", "matplotlib", "pandas", "h5py", "zarr"}


def loaded_by(code):
    """The heavy packages that a fresh interpreter has after some code."""
    words = [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


def test_importing_loads_nothing_heavy():
    assert not loaded_by("import dp_bench")
    assert not loaded_by("import dp_bench.cli")


@pytest.mark.parametrize("wish", [None, "7"])
def test_threads_do_not_wait_busily_unless_the_user_says_so(wish, monkeypatch, capsys):
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if wish:
        monkeypatch.setenv("GOMP_SPINCOUNT", wish)
    main(["list"])
    assert int(os.environ["GOMP_SPINCOUNT"]) == int(wish or 10_000)
    capsys.readouterr()


def test_a_foreign_file_is_checked_only_with_its_task(tmp_path, capsys):
    file = tmp_path / "foreign.npz"
    file.write_bytes(b"PK")
    with pytest.raises(SystemExit) as caught:
        main(["demos", "check", str(file)])
    assert caught.value.code == 2
    assert "does not name its task: add --task and one of" in capsys.readouterr().err
