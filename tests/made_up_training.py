"""A tiny training that the tests of every part of training share."""

import dataclasses
import signal

import numpy as np
import torch

from dp_bench.horizons import Horizons
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
from dp_bench.policies.diffusion.policy import UnetDiffusion
from dp_bench.policies.layers import dropout
from dp_bench.runs.folder import RunFolder
from dp_bench.training.config import Training
from dp_bench.training.log import read_log
from dp_bench.training.loop import train
from dp_bench.util.tensors import load_tensors

CONFIG = UnetDiffusionConfig(
    horizons=Horizons(2, 4, 8), channels=(16, 32), step_dim=8, sample_steps=4
)
TRAINING = Training(
    updates=24,
    batch_size=8,
    lr=1e-3,
    warmup=4,
    log_every=4,
    validate_every=8,
    save_seconds=1e-9,
    precision="float32",
)
# Long enough to be killed on the way.
LONG = {"updates": 120, "log_every": 3, "validate_every": 30}


def walks(seed=0, lengths=(30, 40, 25)):
    """Random walks as demonstrations: obs, actions, episode ends."""
    rng = np.random.default_rng(seed)
    obs = rng.normal(size=(sum(lengths), 3)).cumsum(0).astype(np.float32)
    return obs, obs[:, :2] * 2 + 1, np.cumsum(lengths)


HELD_BACK = walks(1)


class Dropping(UnetDiffusion):
    """Drops observations in training, which draws from the ambient generator.

    Attributes:
        dropout_calls: How often it did.
    """

    dropout_calls = 0

    def loss(self, obs, actions, generator):
        if self.training:
            self.dropout_calls += 1
            obs = dropout(obs, 0.5)
        return super().loss(obs, actions, generator)


class Interrupted(Dropping):
    """Raises one or more signals as it computes its training loss for the n-th time."""

    at, signals = 10, (signal.SIGINT,)

    def loss(self, obs, actions, generator):
        if self.training and self.dropout_calls + 1 == self.at:
            for number in self.signals:
                signal.raise_signal(number)
        return super().loss(obs, actions, generator)


def fresh(cls=UnetDiffusion, seed=0):
    """A policy with new weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(CONFIG, obs_dim=3, action_dim=2)


def trained(
    path, policy=None, *, seed=0, held_back=HELD_BACK, until=None, copying=None,
    **changes,
):  # fmt: skip
    """Weights `{name: tensor}` and log of a training, without its wall-clock times.

    No two trainings begin in the same state of the global generator, so weights that
    depend on it differ.
    """
    torch.rand(1)
    settings = dataclasses.replace(TRAINING, **changes)
    folder = RunFolder(path)
    policy = policy or fresh()
    data, more = (
        (policy, walks(), held_back, settings),
        {"until": until, "copying": copying},
    )
    train(*data, train_seed=seed, folder=folder, **more)
    log = [dataclasses.replace(line, seconds=0.0) for line in read_log(folder.log)]
    weights = folder.kept(until) if until else folder.weights
    return load_tensors(weights)[0] if weights.is_file() else None, log


def same(one, other):
    """Whether two sets of weights are equal bit by bit."""
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)
