"""What files of weights and states say about their training, and how it is checked."""

import dataclasses
import json

import pytest
import torch

from dp_bench.errors import BadInput
from dp_bench.evaluation.evaluate import evaluate
from dp_bench.runs.facts import load_facts
from dp_bench.runs.folder import RunFolder
from dp_bench.training.state import TrainingState
from dp_bench.util.tensors import load_tensors, save_tensors
from made_up import written_run
from made_up_training import TRAINING, fresh

BAD = {
    "missing": {"seconds": 1.0},
    "empty": {},
    "a list": {"update": [5], "seconds": 1.0},
    "a word": {"update": "=1+1", "seconds": 1.0},
    "no whole number": {"update": 2.5, "seconds": 1.0},
    "negative": {"update": -1, "seconds": 1.0},
    "beyond every type": {"update": 10**400, "seconds": 1.0},
    "true": {"update": True, "seconds": 1.0},
    "time without an end": {"update": 5, "seconds": float("inf")},
    "no time": {"update": 5, "seconds": None},
    "another's": {"update": 5, "seconds": 1.0, "epoch": 3},
}
bad = pytest.mark.parametrize("facts", BAD.values(), ids=BAD)


@bad
def test_weights_with_other_facts_are_refused_wherever_they_are_used(tmp_path, facts):
    run = written_run(tmp_path / "run")
    save_tensors(run.weights, load_tensors(run.weights)[0], facts)
    for use in (run.last_step, run.load_policy, lambda: evaluate(run, episodes=1)):
        with pytest.raises(BadInput, match=r"weights\.safetensors: .*delete the file"):
            use()
    assert not run.records.exists()


@bad
def test_a_state_with_other_facts_is_refused(tmp_path, facts):
    file = tmp_path / "resume.safetensors"
    state = trained_state()
    state.save(file)
    save_tensors(file, load_tensors(file)[0], facts)
    with pytest.raises(BadInput, match=r"resume\.safetensors: .*delete the file"):
        load_facts(file)  # as a forecast reads it
    with pytest.raises(BadInput, match=r"resume\.safetensors: .*delete the file"):
        trained_state().restore(file)


def trained_state():
    """A state after one update."""
    policy = fresh()
    policy.fit(torch.rand(9, 3), torch.rand(9, 2), torch.Generator())
    state = TrainingState(policy, TRAINING, torch.device("cpu"))
    for values in state.values:
        values.grad = torch.ones_like(values)
    state.optimizer.step()
    state.update = 1
    return state


@pytest.mark.parametrize("name", ["average.0", "optimizer.0.exp_avg", "optimizer.step"])
def test_a_state_whose_tensors_have_another_shape_is_refused(tmp_path, name):
    """A single number would fill the whole tensor without a word."""
    file = tmp_path / "resume.safetensors"
    trained_state().save(file)
    tensors, facts = load_tensors(file)
    tensors[name] = torch.zeros(1, 1)
    save_tensors(file, tensors, facts)
    with pytest.raises(BadInput, match="is not a state of this training"):
        trained_state().restore(file)


def test_good_facts_come_back(tmp_path):
    run = written_run(tmp_path / "run")
    assert run.last_step() == 5
    assert dataclasses.asdict(load_facts(run.weights)) == {
        "update": 5, "seconds": 1.0, "loss_sum": 0.0, "loss_count": 0,
    }  # fmt: skip
    file = tmp_path / "resume.safetensors"
    trained_state().save(file)
    assert load_facts(file).update == 1


HUGE = {
    "action_dim": {"action_dim": 10**9},
    "both": {"action_dim": 10**9, "obs_dim": 10**9},
    "beyond torch": {"obs_dim": 2**62},
    "channels": {"policy": {"channels": [2**20, 2**20]}},
    "levels": {"policy": {"channels": [8] * 14}},
    "step_dim": {"policy": {"channels": [8, 16], "step_dim": 10**9}},
    "transformer": {"method": "dp_t", "policy": {"width": 10**6, "heads": 1}},
    "layers": {"method": "dp_t", "policy": {"layers": 10**9, "width": 8, "heads": 2}},
    "clusters": {"method": "bet", "policy": {"clusters": 10**9}},
    "a little": {
        "method": "bet",
        "policy": {"clusters": 5 * 10**5},
        "action_dim": 10**3,
    },
    "hidden": {"method": "lstm_gmm", "policy": {"hidden": 10**9}},
    "ibc": {"method": "ibc", "policy": {"hidden": 10**9}},
}


@pytest.mark.parametrize("changes", HUGE.values(), ids=HUGE)
def test_settings_of_a_giant_are_refused_before_it_is_made(tmp_path, changes):
    run = written_run(tmp_path / "run")
    edited(run, changes)
    with pytest.raises(BadInput, match=r"far more|at most|not fit|multiple of 8192"):
        run.load_policy()


def edited(run, changes):
    """Writes other values into run.json."""
    file = run.path / "run.json"
    data = json.loads(file.read_text()) | changes
    file.write_text(json.dumps(data))


NUMBERS = ("train_episodes", "train_seed", "obs_dim", "action_dim")
VALUES = [None, "5", [], {}, -1, 1.5, True, 10**400, float("nan"), float("inf"), 2**64]


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_in_run_json_have_a_type_and_a_range(tmp_path, name, value):
    run = written_run(tmp_path / "run")
    edited(run, {name: value})
    with pytest.raises(BadInput, match=rf"run\.json: {name} must be ") as caught:
        run.info()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("text", ["[]", "3", '"x"', "null", "[" * 10**5, '{"a":' * 999])
def test_run_json_that_is_json_but_not_ours_is_refused(tmp_path, text):
    run = written_run(tmp_path / "run")
    (run.path / "run.json").write_text(text)
    with pytest.raises(BadInput, match=r"run\.json is damaged"):
        run.info()


def test_only_names_that_training_gives_are_checkpoints(tmp_path):
    run = written_run(tmp_path / "run")
    (run.path / "kept").mkdir()
    for name in ("000003", "1000000", "٣", "9" * 200, "3", "-00001", "x"):
        (run.path / "kept" / f"{name}.safetensors").touch()
    assert RunFolder(run.path).steps() == [3, 1_000_000]
