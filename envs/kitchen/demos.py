"""Demonstrations of Kitchen: D4RL's arrays, published layout, position actions."""

from __future__ import annotations

import gymnasium as gym
import numpy as np

from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput

from ..scores import ELEMENTS, ENOUGH, sequence
from .franka import (
    DQ,
    NOISY_JOINTS,
    NUM_DQ,
    NUM_JOINTS,
    NUM_Q,
    ORDER,
    STATE_SIZE,
    Q,
    joint_targets,
    start_state,
)
from .goals import at_goal, updated_order
from .observations import OBJECT_DQ, ROBOT_DQ, ROBOT_Q, noise_amplitudes, positions

# Minari's recordings were made in FrankaKitchen with its own noise and one seed.
ROBOT_NOISE, OBJECT_NOISE, RECORDING_SEED = 0.01, 0.0005, 123
PUBLISHED_OBS = 60  # numbers: 30 positions, and 30 of a goal that are always 0


def demos_from_arrays(arrays: dict[str, np.ndarray], episode_ends: np.ndarray) -> Demos:
    """Builds demonstrations from the observations and actions of D4RL's Kitchen.

    The states are the observations less their noise where that noise is known: then a
    replay meets the same noise, which moves targets. An element counts as done from
    the first row in which it is at its goal. The recordings do not show the result of
    an episode's last action.

    Args:
        arrays: `state`, `(N, 59)`, ordered as `obs="full"`, and `action`, `(N, 9)`, of
            velocity control.
        episode_ends: `(E,)`.

    Returns:
        Demonstrations with the notes `elements`, the number of elements done;
        `sequence`, which ones in which order; and `env_seed` of the noise, if known.

    Raises:
        BadInput: When an array has another shape.
    """
    rows = int(episode_ends[-1])
    for name, width in (("state", NUM_Q + NUM_DQ), ("action", NUM_JOINTS)):
        if arrays[name].shape != (rows, width):
            raise BadInput(
                f"array {name!r} of Kitchen demonstrations has shape "
                f"{arrays[name].shape}, and must have {(rows, width)}"
            )
    observed = np.asarray(arrays["state"], np.float32)
    noise = _recorded_noise(observed, episode_ends)
    states = _states(observed, noise)
    states[:, ORDER], rewards = _orders_and_rewards(states[:, Q], episode_ends)
    last_orders = states[episode_ends - 1, ORDER].astype(np.int64)
    elements = np.count_nonzero(last_orders, axis=1)
    notes = {
        "elements": elements,
        "sequence": np.array([sequence(order) for order in last_orders]),
    }
    if noise is not None:
        notes["env_seed"] = np.full(len(episode_ends), RECORDING_SEED)
    return Demos(
        task="kitchen",
        source="complete-v2",
        obs={"qpos": positions(observed), "full": observed},
        actions=np.asarray(arrays["action"], np.float32),
        states=states,
        rewards=rewards,
        scores=np.minimum(elements / ENOUGH, 1.0),
        episode_ends=np.asarray(episode_ends, np.int64),
        env_kwargs={
            "obs": "qpos",
            "control": "velocity",
            "noise": 0.0 if noise is None else ROBOT_NOISE,
        },
        notes=notes,
    )


def targets(demos: Demos) -> np.ndarray:
    """Converts the actions of demonstrations to position control, `(N, 9)` [rad, m].

    Every target is counted from the joints as observed when its action was recorded.
    Nothing is replayed, so targets cannot drift.
    """
    observed = demos.states[:, NOISY_JOINTS]
    return joint_targets(observed, demos.actions.astype(np.float64))


def to_published(q: np.ndarray) -> np.ndarray:
    """Appends a goal of zeros, as published checkpoints observe it: `(..., 60)`.

    Args:
        q: Observations of `obs="qpos"`, `(..., 30)`.

    Raises:
        BadInput: When a row has another number of numbers.
    """
    _check_width("obs='qpos'", q, NUM_Q)
    goal = np.zeros_like(q, shape=(*q.shape[:-1], PUBLISHED_OBS - NUM_Q))
    return np.concatenate([q, goal], axis=-1)


def from_published(obs: np.ndarray) -> np.ndarray:
    """Removes the goal from published observations, `(..., 60)`: `(..., 30)`.

    Raises:
        BadInput: When a row has another number of numbers.
    """
    _check_width("published observations", obs, PUBLISHED_OBS)
    return obs[..., :NUM_Q].copy()


def _states(observed: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
    """Returns states without their orders, `(N, 75)`."""
    true = observed if noise is None else observed - noise
    states = np.zeros((len(observed), STATE_SIZE))
    states[:, Q] = positions(true)
    states[:, NOISY_JOINTS] = observed[:, ROBOT_Q]
    states[:, DQ] = np.concatenate([true[:, ROBOT_DQ], true[:, OBJECT_DQ]], axis=1)
    return states


def _orders_and_rewards(
    q: np.ndarray, episode_ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the order of elements in each row, `(N, 7)`, and the rewards, `(N,)`."""
    near = at_goal(q)
    orders, rewards = np.zeros((len(q), len(ELEMENTS))), np.zeros(len(q), np.float32)
    for begin, end in zip([0, *episode_ends[:-1]], episode_ends, strict=True):
        order = np.zeros(len(ELEMENTS), np.int64)
        for row in range(begin, end):
            before, order = order, updated_order(order, near[row])
            orders[row] = order
            if row > begin:
                rewards[row - 1] = np.count_nonzero(order) - np.count_nonzero(before)
    return orders, rewards


def _recorded_noise(
    observed: np.ndarray, episode_ends: np.ndarray
) -> np.ndarray | None:
    """Draws the noise of Minari's recordings again, `(N, 59)`; None for other noise.

    Their seed is known. The first row of each episode tells whether the noise is
    theirs, as the robot always starts in the same posture.
    """
    begins = np.array([0, *episode_ends[:-1]])
    rng, _ = gym.utils.seeding.np_random(RECORDING_SEED)
    longest = int((episode_ends - begins).max())
    drawn = rng.uniform(-1, 1, (longest, NUM_Q + NUM_DQ))
    noise = drawn * noise_amplitudes(ROBOT_NOISE, OBJECT_NOISE)
    start = start_state()[:NUM_JOINTS] + noise[0, ROBOT_Q]
    if np.abs(observed[begins, ROBOT_Q] - start).max() > 1e-5:
        return None
    rows = np.arange(len(observed)) - np.repeat(begins, episode_ends - begins)
    return noise[rows]


def _check_width(name: str, array: np.ndarray, width: int) -> None:
    if array.shape[-1:] != (width,):
        raise BadInput(
            f"{name} of Kitchen must have {width} numbers a row, not shape "
            f"{array.shape}"
        )
