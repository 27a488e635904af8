"""dp-bench: a benchmark for imitation learning on robots.

Importing registers the tasks with Gymnasium, and loads neither torch nor a simulator.
"""

from __future__ import annotations

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

__all__ = ["BadInput", "Horizons"]
