"""Environments and actions of Robomimic that several test files use."""

import pytest

from dp_bench.envs.robomimic.base import Robomimic
from dp_bench.envs.robomimic.env import Can, Lift, Square, ToolHang, Transport

TASKS = {
    "lift": Lift,
    "can": Can,
    "square": Square,
    "transport": Transport,
    "tool_hang": ToolHang,
}
each_task = pytest.mark.parametrize("name", TASKS)
_envs: dict[tuple[str, str], Robomimic] = {}


def env_of(name, control="velocity"):
    """Returns one environment for all tests. Making one takes a second."""
    if (name, control) not in _envs:
        _envs[name, control] = TASKS[name](control=control)
    return _envs[name, control]


def some_actions(env, count, seed=0):
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(count)]
