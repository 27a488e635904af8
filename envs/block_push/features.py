"""What two sets of BlockPush demonstrations are compared by."""

from __future__ import annotations

import numpy as np

from dp_bench.data.compare import Feature
from dp_bench.data.demos import Demos

from .env import AIM, CONTROL_RATE, HISTORY, PLACES, POSE, PUSHER

ORDERS = ("1 into 1", "1 into 2", "2 into 1", "2 into 2")
MOVES = 0.001  # a block that comes this far in a step is being pushed [m]


def features(demos: Demos) -> list[Feature]:
    """Speeds, distances, and the block that was brought in first."""
    states = demos.states
    blocks = states[:, POSE].reshape(-1, 2, 3)
    places = states[:, PLACES].reshape(-1, 2, 3)
    pusher, aim = states[:, PUSHER], states[:, AIM]
    inside = np.ones(len(states) - 1, bool)  # whether row i + 1 follows row i
    inside[demos.episode_ends[:-1] - 1] = False

    def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.linalg.norm(one - other, axis=-1)

    moved = np.diff(blocks, axis=0)[inside]
    came = np.linalg.norm(moved[..., :2], axis=-1).ravel()
    turned = (moved[..., 2].ravel() + np.pi / 2) % np.pi - np.pi / 2
    pushed = came > MOVES
    to_block = apart(pusher[:, None], blocks[..., :2]).min(-1)
    to_place = apart(blocks[:, :, None, :2], places[:, None, :, :2]).min((1, 2))
    speed = np.linalg.norm(demos.actions, axis=-1) * CONTROL_RATE
    first, when = _first(demos)
    return [
        Feature("order: first block into target", first, ORDERS),
        Feature("step at which the first block is in", when),
        Feature("speed of the pusher's target [m/s]", speed),
        Feature("pusher behind its target [m]", apart(pusher, aim)),
        Feature("pusher to the nearer block [m]", to_block),
        Feature("nearest block to a target [m]", to_place),
        Feature("speed of a pushed block [m/s]", came[pushed] * CONTROL_RATE),
        Feature("turn of a pushed block [rad/s]", turned[pushed] * CONTROL_RATE),
    ]


def _first(demos: Demos) -> tuple[np.ndarray, np.ndarray]:
    """Which order each episode took and at which step, where one block came first."""
    orders, steps = [], []
    for k in range(demos.num_episodes):
        entered = demos.states[demos.episode(k), HISTORY] > 0
        rows = np.flatnonzero(entered.any(axis=1))
        if not len(rows):
            continue
        ways = np.flatnonzero(entered[rows[0]])
        if len(ways) == 1:
            orders.append(ways[0])
            steps.append(rows[0])
    return np.array(orders, np.int64), np.array(steps, np.int64)
