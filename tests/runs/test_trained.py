"""How a run was trained: written once it is known, checked when it is read."""

import dataclasses
import json

import pytest
import torch

from dp_bench.errors import BadInput
from dp_bench.runs import folder as runs_folder
from dp_bench.runs.folder import read_run
from dp_bench.runs.trained import TF32, Stage, Trained
from dp_bench.util.tensors import digest_of, load_tensors, save_tensors
from made_up import written_run

CPU = Stage(0, "cpu", "a CPU", "", "float32", 2, "2.0", "abc")
GPU = Stage(40, "cuda", "a CPU", "a GPU", TF32, 1, "2.1", "abc")


@pytest.fixture
def run(tmp_path):
    """A trained run that says how it was trained."""
    run = written_run(tmp_path / "run", training={"precision": "float32"})
    run.write_info(run.info(), "cpu")
    run.write_weights_digest()
    return run


def changed(run, **facts):
    """Changes run.json."""
    file = run.path / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))
    return file


def test_a_run_says_how_it_was_trained(run):
    trained = run.trained()
    (stage,) = trained.stages
    assert (stage.device, stage.gpu, stage.precision) == ("cpu", "", "float32")
    assert stage.torch == torch.__version__
    assert stage.threads == torch.get_num_threads()
    assert stage.processor
    assert trained.weights == digest_of(run.load_policy().state_dict())


def test_equal_weights_have_equal_digests_whatever_the_facts(run):
    tensors, _ = load_tensors(run.weights)
    save_tensors(run.weights, tensors, {"update": 9, "seconds": 7.0})
    assert run.load()[1].update == 9
    other = tensors | {"obs_units.offset": tensors["obs_units.offset"] + 1}
    assert digest_of(other) != digest_of(tensors) == run.trained().weights


def test_weights_of_another_run_are_refused(run):
    tensors, facts = load_tensors(run.weights)
    name = next(iter(tensors))
    save_tensors(run.weights, tensors | {name: tensors[name] + 1}, facts)
    with pytest.raises(BadInput, match=r"run.json says [0-9a-f]{12}: one of the two"):
        run.load_policy()
    changed(run, trained=dataclasses.asdict(Trained(run.trained().stages)))
    run.load_policy()  # no digest is known, as in runs of earlier versions


@pytest.mark.parametrize(
    ("stage", "updates"),
    [(CPU, [0]), (dataclasses.replace(CPU, torch="2.2"), [0, 40]), (GPU, [0, 40])],
)
def test_a_resumed_training_lists_its_stages(run, monkeypatch, stage, updates):
    changed(run, trained=dataclasses.asdict(Trained((CPU,))))
    save_tensors(run.resume, {}, {"update": 40, "seconds": 1.0})
    resumed = dataclasses.replace(stage, update=40)
    monkeypatch.setattr(runs_folder, "stage_here", lambda *_: resumed)
    run.write_info(run.info(), "cpu")
    stages = run.trained().stages
    assert [stage.update for stage in stages] == updates
    assert stages[0] == CPU
    if len(updates) > 1:
        assert stages[1] == resumed
        assert " then " in run.trained().conditions
    assert run.trained().until(40).stages == (CPU,)  # weights kept before it resumed


def test_a_training_from_the_start_forgets_an_earlier_one(run, monkeypatch):
    monkeypatch.setattr(runs_folder, "stage_here", lambda *_: GPU)
    run.write_info(run.info(), "cuda")
    assert run.trained() == Trained((GPU,))


@pytest.mark.parametrize(
    ("gpu", "precision", "words"),
    [
        (None, "auto", "CPU, float32, torch 2.13.0+cpu"),
        (None, "bfloat16", "CPU, bfloat16, torch 2.13.0+cpu"),
        ("NVIDIA H100", "float32", "NVIDIA H100, TF32, torch 2.13.0+cpu"),
    ],
)
def test_a_run_of_an_earlier_version_names_its_machine(run, gpu, precision, words):
    machine = {"processor": "a CPU", "cores": 2, "threads": 1, "gpu": gpu}
    file = changed(
        run,
        machine=machine,
        versions={"torch": "2.13.0+cpu"},
        training={"precision": precision},
        commit="abc",
    )
    data = json.loads(file.read_text())
    del data["trained"]
    file.write_text(json.dumps(data))
    _, trained = read_run(file)
    assert trained.conditions == words
    assert trained.stages[0].commit == "abc"
    assert trained.weights == ""


DAMAGED = {
    "list": ([], "must be an object"),
    "field": ({"colour": "red"}, "unknown field 'colour'"),
    "digest": ({"weights": "zz"}, "'zz' is not a digest, which is 12 hex digits"),
    "stages": ({"stages": 3}, "stages: the data must be an object"),
    "threads": ({"stages": [{"threads": -1}]}, "threads must be at least 0, got -1"),
    "torch": ({"stages": [{"torch": 2}]}, "torch must be"),
    "order": ({"stages": [{"update": 4}, {"update": 2}]}, "in the order of their upd"),
}


@pytest.mark.parametrize(("trained", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_account_is_refused(run, trained, message):
    changed(run, trained=trained)
    with pytest.raises(BadInput, match=message) as refused:
        run.info()
    assert "run.json" in str(refused.value)
    assert "\n" not in str(refused.value)
