"""Demonstrations of BlockPush: the published file, and actions for position control."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput

from .geometry import (
    AIM,
    ENTERED,
    HISTORY,
    PLACES,
    POSE,
    SOLVED,
    STATE_SIZE,
    TARGET_RADIUS,
    X_LIMITS,
    Y_LIMITS,
    in_target,
)

LARGEST_STEP = 0.01  # a pushed block moves less than this in a step [m]


def targets(demos: Demos) -> np.ndarray:
    """Converts the actions to position control: the new target of the pusher [m].

    Returns:
        `(N, 2)`, float64, so that the recorded targets come out again.
    """
    moved = demos.states[:, AIM] + demos.actions
    low, high = zip(X_LIMITS, Y_LIMITS, strict=True)
    return np.clip(moved, low, high)


def demos_from_published(
    arrays: Mapping[str, np.ndarray], episode_ends: np.ndarray
) -> Demos:
    """Converts demonstrations of the published simulator.

    A state holds the observation, no velocities, and which block has been in which
    target. The reward of a step follows from the next observation. The published file
    does not hold the observation after the last step of an episode. This function
    assumes that the last step solved the task if a block had been in a target, and if
    one more step could bring each block into a target of its own.

    Args:
        arrays: `obs` `(N, 16)` and `action` `(N, 2)`, of velocity control.
        episode_ends: One past the last row of each episode, `(E,)`.

    Returns:
        Demonstrations of source "published". An episode scores 0, 0.49 or 1.

    Raises:
        BadInput: When an array has another shape.
    """
    rows = int(episode_ends[-1])
    for name, shape in (("obs", (rows, 16)), ("action", (rows, 2))):
        if arrays[name].shape != shape:
            raise BadInput(
                f"array {name!r} of BlockPush demonstrations has shape "
                f"{arrays[name].shape}, and must have {shape}"
            )
    obs = np.asarray(arrays["obs"], np.float32)
    states = np.zeros((rows, STATE_SIZE))
    states[:, :16] = obs
    rewards = np.zeros(rows, np.float32)
    scores = []
    for begin, end in zip([0, *episode_ends[:-1]], episode_ends, strict=True):
        entered = _entered(obs[begin:end])  # (L, 4)
        states[begin:end, HISTORY] = entered
        new = np.diff(entered.sum(axis=1))
        rewards[begin : end - 1] = ENTERED * new
        if entered[-1].any() and _nearly_solved(obs[end - 1]):
            rewards[end - 1] = SOLVED
        scores.append(min(float(np.unique(rewards[begin:end]).sum()), 1.0))
    return Demos(
        task="blockpush",
        source="published",
        obs={"state": obs},
        actions=np.asarray(arrays["action"], np.float32),
        states=states,
        rewards=rewards,
        scores=np.array(scores),
        episode_ends=np.asarray(episode_ends, np.int64),
        env_kwargs={"obs": "state", "control": "velocity"},
    )


def _entered(obs: np.ndarray) -> np.ndarray:
    """Tells which block has been in which target by each row, bool `(L, 4)`."""
    inside = [in_target(tuple(row[POSE]), tuple(row[PLACES])) for row in obs.tolist()]
    return np.logical_or.accumulate(np.array(inside), axis=0)


def _nearly_solved(observation: np.ndarray) -> bool:
    """Tells whether one more step can bring each block into a target of its own."""
    blocks = observation[POSE].reshape(2, 3)[:, :2]
    places = observation[PLACES].reshape(2, 3)[:, :2]
    farthest = min(
        max(math.dist(blocks[0], places[k]), math.dist(blocks[1], places[1 - k]))
        for k in (0, 1)
    )
    return farthest < TARGET_RADIUS + LARGEST_STEP
