"""The training loop: a function of data, settings and seed."""

import dataclasses
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from dp_bench.errors import BadInput
from dp_bench.policies.base import Policy
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
from dp_bench.runs.folder import RunFolder
from dp_bench.training import loop
from dp_bench.training.log import read_log
from dp_bench.training.loop import train, update_seconds
from dp_bench.training.state import TrainingState
from dp_bench.util.tensors import load_tensors
from made_up_training import HELD_BACK, TRAINING, Dropping, fresh, same, trained, walks


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path):
    one, log = trained(tmp_path / "a")
    again, log_again = trained(tmp_path / "b")
    assert same(one, again)
    assert log == log_again
    other, _ = trained(tmp_path / "c", seed=1)
    assert not same(one, other)


def test_a_training_leaves_log_and_weights_and_no_state(tmp_path):
    weights, log = trained(tmp_path)
    assert [line.update for line in log] == [4, 8, 12, 16, 20, 24]
    assert [line.update for line in log if line.val_loss is not None] == [8, 16, 24]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "log.jsonl",
        "weights.safetensors",
    ]
    assert not same(weights, fresh().state_dict())


def test_dropout_depends_neither_on_the_log_nor_on_the_global_generator(tmp_path):
    policies = fresh(Dropping), fresh(Dropping)
    one, _ = trained(tmp_path / "a", policies[0])
    other, _ = trained(tmp_path / "b", policies[1], log_every=24)
    assert [policy.dropout_calls for policy in policies] == [24, 24]
    assert same(one, other)
    without, _ = trained(tmp_path / "c", fresh())
    assert not same(one, without)


def test_validation_data_never_move_a_weight(tmp_path):
    one, _ = trained(tmp_path / "a")
    other, log = trained(tmp_path / "b", held_back=walks(7), validate_every=4)
    without, _ = trained(tmp_path / "c", held_back=None)
    assert same(one, other)
    assert same(one, without)
    assert [line.val_loss is not None for line in log] == [True] * 6


def test_a_training_that_pauses_ends_with_the_same_bits(tmp_path):
    whole, log = trained(tmp_path / "a", keep_every=8)
    for until in (8, 8, 10, 16):
        trained(tmp_path / "b", keep_every=8, until=until)
        assert not RunFolder(tmp_path / "b").weights.exists()
    paused, log_paused = trained(tmp_path / "b", keep_every=8)
    assert same(whole, paused)
    assert [line.loss for line in log] == [line.loss for line in log_paused]
    for step in (8, 16):
        kept, _ = load_tensors(RunFolder(tmp_path / "b").kept(step))
        assert same(kept, load_tensors(RunFolder(tmp_path / "a").kept(step))[0])


def test_kept_weights_are_those_of_a_shorter_constant_training(tmp_path):
    trained(tmp_path / "a", schedule="constant", keep_every=12)
    short, _ = trained(tmp_path / "b", schedule="constant", updates=12)
    kept, facts = load_tensors(RunFolder(tmp_path / "a").kept(12))
    assert RunFolder(tmp_path / "a").steps() == [12, 24]
    assert facts["update"] == 12
    assert same(kept, short)


def test_training_neither_reads_nor_changes_the_global_generators(tmp_path):
    weights = []
    for seed in (1, 2):
        policy, folder = fresh(Dropping), RunFolder(tmp_path / str(seed))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            torch_before = torch.random.get_rng_state()
            numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002
            python_before = random.getstate()
            train(policy, walks(), HELD_BACK, TRAINING, train_seed=0, folder=folder)
            assert torch.equal(torch_before, torch.random.get_rng_state())
        assert np.array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002
        assert python_before == random.getstate()
        assert policy.dropout_calls == 24
        weights.append(load_tensors(folder.weights)[0])
    assert same(*weights)


class Diverging(Policy):
    """Its loss, or only its gradient, is NaN from the 11th update on."""

    config_class = UnetDiffusionConfig
    gradient_only, times = False, 0

    def __init__(self, config, **dims):
        super().__init__(config, **dims)
        self.weight = nn.Parameter(torch.ones(()))

    def predict(self, obs, generators):
        return obs.new_zeros(len(obs), self.horizons.prediction, self.action_dim)

    def loss(self, obs, actions, generator):
        self.times += self.training
        bad = self.times > 10
        if bad and self.gradient_only:
            return self.weight + (self.weight.detach() - self.weight).sqrt()
        return self.weight * (float("nan") if bad else 1.0)


@pytest.mark.parametrize("gradient_only", [False, True])
def test_a_diverging_training_is_refused_where_the_log_has_its_next_line(
    tmp_path, gradient_only
):
    policy = fresh(Diverging)
    policy.gradient_only = gradient_only
    with pytest.raises(BadInput, match=r"diverged around update 12 .*training\.lr"):
        trained(tmp_path, policy, save_seconds=1e9)
    assert not RunFolder(tmp_path).weights.exists()


def test_states_are_saved_as_often_as_the_settings_say(tmp_path, monkeypatch):
    """On a clock that goes on by a second at each update."""
    policy, saved = fresh(Dropping), []
    clock = SimpleNamespace(monotonic=lambda: float(policy.dropout_calls))
    monkeypatch.setattr(loop, "time", clock)
    monkeypatch.setattr(
        TrainingState, "save", lambda state, path: saved.append(state.update)
    )
    trained(tmp_path, policy, save_seconds=5.0)
    assert saved == [6, 12, 18]


@pytest.mark.parametrize("gradient_only", [False, True])
def test_a_diverging_training_names_the_update_and_keeps_the_last_good_state(
    tmp_path, gradient_only
):
    policy = fresh(Diverging)
    policy.gradient_only = gradient_only
    loss = r"0\.99\d" if gradient_only else "nan"  # a mean, not a sum
    message = rf"diverged around update 11 \(loss {loss}, .*training\.lr"
    with pytest.raises(BadInput, match=message):
        trained(tmp_path, policy)
    tensors, facts = load_tensors(RunFolder(tmp_path).resume)
    assert facts["update"] == 10
    assert tensors["policy.weight"].isfinite()
    assert [line.update for line in read_log(RunFolder(tmp_path).log)] == [4, 8]
    assert not RunFolder(tmp_path).weights.exists()


def test_a_learning_rate_far_too_high_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="diverged around update"):
        trained(tmp_path, lr=1e30, warmup=0)


def test_the_time_of_an_update_is_measured_on_the_prepared_policy():
    policy = fresh(Dropping)
    with torch.random.fork_rng(devices=[]):
        seconds = update_seconds(policy, walks(), TRAINING, at_least=0.05)
    measured = policy.dropout_calls - 4  # the first four do not count
    assert measured >= 1
    assert 0.05 <= seconds * measured < 5


def test_the_time_of_an_update_is_measured_on_few_updates_of_a_short_training():
    policy = fresh(Dropping)
    with torch.random.fork_rng(devices=[]):
        update_seconds(policy, walks(), TRAINING, at_least=600.0, at_most=2)
    assert policy.dropout_calls == 4 + 2


def test_training_names_a_constant_that_is_far_from_zero(tmp_path, capsys):
    obs, actions, ends = walks()
    far = 1.7e9 + 0.05 * np.arange(len(obs))
    actions = np.stack([far, np.full(len(obs), 123456.0)], axis=1)
    folder = RunFolder(tmp_path)
    train(fresh(), (obs, actions, ends), None, TRAINING, train_seed=0, folder=folder)
    assert "in every decision: 1 = 123456" in capsys.readouterr().err


def test_training_says_which_dimensions_are_constant(tmp_path, capsys):
    obs, actions, ends = walks()
    obs[:, 2], actions[:, 1] = 7.0, 0.125
    settings = dataclasses.replace(TRAINING, updates=2)
    folder = RunFolder(tmp_path)
    train(fresh(), (obs, actions, ends), None, settings, train_seed=0, folder=folder)
    error = capsys.readouterr().err
    assert "action dimensions that are constant" in error
    assert "1 = 0.125" in error
    assert "observation dimensions that count as constant" in error
    assert error.rstrip().endswith(": 2")
