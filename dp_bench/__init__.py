"""dp-bench: a benchmark for imitation learning on robots.

Importing this package registers the tasks with Gymnasium. It loads neither torch nor
a simulator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING

import gymnasium as _gym

from dp_bench.envs import TASKS as _TASKS
from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons

if _TYPE_CHECKING:
    from dp_bench.policies.agent import Agent
    from dp_bench.runs.agents import load_agent

__version__ = "0.1.0"

for _task in _TASKS.values():
    _gym.register(
        id=_task.env_id,
        entry_point=_task.entry_point,
        max_episode_steps=_task.max_steps,
    )


def __getattr__(name: str) -> object:
    """Imports `Agent` and `load_agent` on first use; neither import loads torch."""
    if name == "Agent":
        from dp_bench.policies.agent import Agent

        return Agent
    if name == "load_agent":
        from dp_bench.runs.agents import load_agent

        return load_agent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Agent", "BadInput", "Horizons", "load_agent"]
