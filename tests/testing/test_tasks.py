"""The contract tests of tasks refuse what breaks the contract."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.task import Outcome
from dp_bench.testing import tasks


class Still(gym.Env):
    """Shows a seed and a constant, or only constants."""

    def __init__(self, obs="state", seen=1.0):
        self.observation_space = gym.spaces.Box(-9, 9, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        self._seen = seen

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._first = self._seen * (seed or 0)
        return np.array([self._first, 0], np.float32), {}

    def step(self, action):
        return np.array([self._first, 0], np.float32), 0.0, False, False, {}


SPEC = gym.envs.registration.EnvSpec(
    "still-v0", entry_point=Still, max_episode_steps=20
)


@pytest.fixture
def task(monkeypatch):
    """Registers a changed PushT as the task "still"."""

    pusht = registry.task("pusht")

    def register(**changes):
        task = dataclasses.replace(
            pusht,
            **{
                "name": "still",
                "env_id": "still-v0",
                "obs_kinds": ("state",),
                "controls": ("position",),
                "variants": {"default": {"seen": 1.0}},
                **changes,
            },
        )
        monkeypatch.setattr(registry, "task", lambda name: task)
        monkeypatch.setitem(gym.registry, "still-v0", SPEC)
        return task.name

    return register


def test_equal_starts_need_a_reason(task):
    tasks.task_starts_differ(task())
    equal = {"default": {"seen": 0.0}}
    with pytest.raises(AssertionError, match="two seeds gave the same start"):
        tasks.task_starts_differ(task(variants=equal))
    tasks.task_starts_differ(task(variants=equal, fixed_start="nothing moves"))
    with pytest.raises(AssertionError, match="fixed_start says: nothing moves"):
        tasks.task_starts_differ(task(fixed_start="nothing moves"))


def test_a_constant_observation_needs_a_meaning(task):
    with pytest.raises(AssertionError, match=r"\[1\] of 'state' are constant"):
        tasks.task_observations_change(task())
    tasks.task_observations_change(task(constant_obs={"state": {1: "zero"}}))


@pytest.mark.parametrize("field", ["score", "features"])
def test_a_reference_to_nothing_is_refused(task, field):
    tasks.task_references_load(task())
    with pytest.raises(BadInput, match="scores:nothing cannot be loaded"):
        tasks.task_references_load(task(**{field: "dp_bench.envs.scores:nothing"}))


def late(rewards, infos):
    return Outcome(0.5, True, {}, success_once=False, success_at_end=True)


def test_success_at_the_end_is_success(task, monkeypatch):
    with pytest.raises(AssertionError, match="success_once must be true, too"):
        tasks.task_scores_an_episode(task(score=f"{__name__}:late", columns=()))
