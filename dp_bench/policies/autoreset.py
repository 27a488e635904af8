"""When a vector environment shows the first observation of a new episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import gymnasium as gym
import numpy as np

from dp_bench.errors import BadInput

# One environment, a vector environment, or one environment for each lane.
Played: TypeAlias = "gym.Env | gym.vector.VectorEnv | Sequence[gym.Env]"

SAME_STEP, NEXT_STEP, DISABLED = "SameStep", "NextStep", "Disabled"  # as in Gymnasium


def check_lanes(env: Played, env_seed: int | Sequence[int]) -> None:
    """Refuses an environment that has another number of lanes than there are seeds."""
    lanes = None
    if isinstance(env, gym.vector.VectorEnv):
        lanes = env.num_envs
    elif isinstance(env, Sequence):
        lanes = len(env)
    if np.ndim(env_seed) == 0:
        if lanes is not None:
            raise BadInput(
                f"agent.reset was given {lanes} lanes and one env seed, {env_seed}; "
                "give it a list with one env seed per lane"
            )
        return
    seeds = len(np.atleast_1d(np.asarray(env_seed)))
    if lanes is None:
        raise BadInput(
            f"agent.reset was given a list of {seeds} env seeds and one environment; "
            "give it one env seed as a number, or a vector environment"
        )
    if lanes != seeds:
        raise BadInput(
            f"agent.reset was given {seeds} env seeds for {lanes} lanes; give it one "
            "env seed per lane"
        )


def shows_last_observation_first(env: Played) -> bool:
    """Tells whether a lane shows its last observation before it begins an episode.

    Gymnasium's default, next-step autoreset, does: the step after the last one ignores
    its action and returns the first observation of the next episode. Same-step
    autoreset returns that observation in place of the last one. Environments that
    their user resets show it whenever the user has reset them.

    Raises:
        BadInput: When a vector environment does not declare its autoreset mode, or
            declares one that Gymnasium does not have.
    """
    if not isinstance(env, gym.vector.VectorEnv):
        return False
    declared = (env.metadata or {}).get("autoreset_mode")
    mode = getattr(declared, "value", declared)
    if mode not in (SAME_STEP, NEXT_STEP, DISABLED):
        raise BadInput(
            f"{type(env).__name__} declares the autoreset mode {declared!r}; set its "
            'metadata["autoreset_mode"] to a gymnasium.vector.AutoresetMode '
            "(Gymnasium 1.1 or later does)"
        )
    return bool(mode == NEXT_STEP)
