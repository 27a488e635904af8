"""Measuring functions in turn, and the policy whose speed is measured."""

import statistics
import time

import torch

from dp_bench import references, registry
from dp_bench.presets import preset

TASK, METHOD = "pusht", "dp_c"
OBS_DIM, ACTION_DIM = 20, 2  # of PushT with keypoints


def in_turn(functions, *, repeats, warm=3):
    """Returns the median seconds of each function; every round calls them all.

    So a change in the load of the machine affects all functions alike. The first
    `warm` rounds do not count.
    """
    times = [[] for _ in functions]
    for round_ in range(warm + repeats):
        for function, seconds in zip(functions, times, strict=True):
            began = time.perf_counter()
            function()
            if round_ >= warm:
                seconds.append(time.perf_counter() - began)
    return [statistics.median(seconds) for seconds in times]


def fitted_policy(tier="laptop", method=METHOD):
    """Builds an untrained policy with fitted normalisers, and returns its settings."""
    settings = preset(registry.method(method), TASK, tier)
    cls = references.load(registry.method(method).policy)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        policy = cls(settings.policy, obs_dim=OBS_DIM, action_dim=ACTION_DIM)
    obs, actions = torch.randn(500, OBS_DIM), torch.randn(500, ACTION_DIM)
    policy.fit(obs, actions, torch.Generator())
    return policy, settings
