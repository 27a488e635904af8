"""Observations and rewards of recordings that hold only states and actions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dp_bench.util import progress

from .base import Robomimic
from .observations import NUMBERS_PER_ARM, arm_keys


def observed(
    env: Robomimic,
    states: np.ndarray,
    actions: np.ndarray,
    episode_ends: np.ndarray,
    models: np.ndarray,
) -> Mapping[str, np.ndarray]:
    """Puts an environment into every recorded state, and observes it.

    The last action of an episode is played, because the state after it is not recorded.

    Args:
        env: An environment with the control mode of the actions.
        states: `(N, S)`.
        actions: In this control mode, `(N, Da)`.
        episode_ends: `(E,)`.
        models: MuJoCo XML of each episode, `(E,)`, "" for the environment's own.

    Returns:
        "rewards", 1 for each step after which the task is solved, `(N,)`, and the
        observations "obs/object", "obs/robot0_...".
    """
    numbers, solved = [], []
    begins = np.array([0, *episode_ends[:-1]])
    with progress.bar("Observing the recorded states", len(states)) as bar:
        for begin, end, model in zip(begins, episode_ends, models, strict=True):
            given = {"model": str(model)} if model else {}
            env.reset(seed=0, options={"state": states[begin], **given})
            of_states = [env.observe(state) for state in states[begin:end]]
            numbers += [observation for observation, _ in of_states]
            *_, info = env.step(actions[end - 1])
            solved += [done for _, done in of_states[1:]] + [info["success"]]
            bar.advance(int(end - begin))
    rows = np.array(numbers)
    widths = {
        "object": rows.shape[1] - NUMBERS_PER_ARM * env.arms,
        **arm_keys(env.arms),
    }
    parts = np.split(rows, np.cumsum([*widths.values()])[:-1], axis=1)
    by_name = {f"obs/{key}": part for key, part in zip(widths, parts, strict=True)}
    return {"rewards": np.array(solved, np.float64), **by_name}
