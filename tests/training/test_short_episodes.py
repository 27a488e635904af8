"""Episodes shorter than a window: every method learns from each of them."""

import numpy as np
import pytest
import torch

from dp_bench import references, registry
from dp_bench.presets import preset
from dp_bench.runs.folder import RunFolder
from dp_bench.training.config import Training
from dp_bench.training.log import read_log
from dp_bench.training.loop import train

LENGTHS = (1, 60, 2, 3, 40, 1)
TRAINING = Training(
    updates=20, batch_size=16, log_every=10, validate_every=10, precision="float32"
)


def episodes(lengths, seed=0):
    """Random episodes; the first observation is the number of the episode."""
    rng = np.random.default_rng(seed)
    obs = rng.normal(size=(sum(lengths), 3)).astype(np.float32)
    obs[:, 0] = np.repeat(np.arange(len(lengths)), lengths)
    actions = rng.normal(size=(sum(lengths), 2)).astype(np.float32)
    return obs, actions, np.cumsum(lengths)


def policy_of(name):
    """A policy with smoke settings that counts the gradients of each episode."""
    method = registry.method(name)
    base = references.load(method.policy)

    class Counting(base):
        counts = np.zeros(len(LENGTHS), int)

        def loss(self, obs, actions, generator):
            if not self.training:
                return super().loss(obs, actions, generator)
            obs = obs.clone().requires_grad_(True)
            loss = super().loss(obs, actions, generator)
            (slope,) = torch.autograd.grad(loss, obs, retain_graph=True)
            with torch.no_grad():
                number = self.obs_normalizer.inverse(obs)[:, 0, 0].round().long()
            learned = slope.abs().flatten(1).amax(1) > 0
            self.counts += np.bincount(number[learned].numpy(), minlength=len(LENGTHS))
            return loss

    config = preset(method, "*", "smoke").policy
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Counting(config, obs_dim=3, action_dim=2)


@pytest.mark.parametrize("held_back", [(1,), (2, 1), None])
@pytest.mark.parametrize("name", registry.METHODS)
def test_every_episode_moves_the_weights(tmp_path, name, held_back):
    policy, folder = policy_of(name), RunFolder(tmp_path)
    policy.counts = np.zeros(len(LENGTHS), int)
    validation = held_back and episodes(held_back, seed=1)
    train(policy, episodes(LENGTHS), validation, TRAINING, train_seed=0, folder=folder)
    assert (policy.counts > 0).all(), policy.counts
    for line in read_log(folder.log):
        assert (line.val_loss is not None) == bool(held_back)
        assert (line.val_action_error is not None) == bool(held_back)


@pytest.mark.parametrize("name", registry.METHODS)
def test_training_says_which_episodes_it_pads(tmp_path, name, capsys):
    policy, folder = policy_of(name), RunFolder(tmp_path)
    h = policy.horizons
    least = h.prediction - h.action - h.obs + 2
    short = sum(length < least for length in LENGTHS)
    train(policy, episodes(LENGTHS), None, TRAINING, train_seed=0, folder=folder)
    said = " ".join(capsys.readouterr().err.split())
    sentence = (
        f"{short} of 6 training episodes have fewer than {least} steps; each gives one "
        f"window of {h.prediction} steps, which repeats its last step"
    )
    assert (sentence in said) == bool(short)
    assert ("training episodes have" in said) == bool(short)
