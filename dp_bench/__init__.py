"""dp-bench: a benchmark for imitation learning on robots.

Importing registers the tasks with Gymnasium, and loads neither torch nor a simulator.
"""

from __future__ import annotations

from typing import Any as _Any

import gymnasium as _gym

from dp_bench.envs import TASKS as _TASKS
from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons

__version__ = "0.1.0"

for _task in _TASKS.values():
    _gym.register(
        id=_task.env_id,
        entry_point=_task.entry_point,
        max_episode_steps=_task.max_steps,
    )


def __getattr__(name: str) -> _Any:
    """Finds `load_agent` and `Agent` when asked; the former loads torch when called."""
    if name in ("Agent", "load_agent"):
        from dp_bench.policies import agent

        return getattr(agent, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Agent", "BadInput", "Horizons", "load_agent"]
