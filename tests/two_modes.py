"""Demonstrations that go left and right equally often, and what policies make of it."""

import numpy as np
import torch

from dp_bench.runs.folder import RunFolder
from dp_bench.training.config import Training
from dp_bench.training.loop import train


def fresh(cls, config, obs_dim=3, action_dim=1):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return cls(config, obs_dim=obs_dim, action_dim=action_dim)


def decisions_between_two_modes(cls, config, folder, updates, lr=3e-3):
    """Makes 200 decisions after demonstrations that went to -300 and to 300 equally."""
    rng = np.random.default_rng(0)
    side = rng.choice([-300.0, 300.0], size=200)
    actions = np.repeat(side, 16)[:, None] + rng.normal(0, 5, (3200, 1))
    data = np.full((3200, 3), 0.5), actions, np.arange(16, 3201, 16)
    training = Training(
        updates=updates, batch_size=64, lr=lr, warmup=50, precision="float32"
    )
    policy = train(
        fresh(cls, config), data, None, training, train_seed=0, folder=RunFolder(folder)
    )
    policy.reset(range(200))
    return policy.act(np.full((200, 1, 3), 0.5))[:, 0, 0]
