"""The features that compare two sets of BlockPush demonstrations."""

from __future__ import annotations

import numpy as np

from dp_bench.data.compare import Feature
from dp_bench.data.demos import Demos

from .geometry import AIM, CONTROL_RATE, HISTORY, PLACES, POSE, PUSHER

ORDERS = ("1 into 1", "1 into 2", "2 into 1", "2 into 2")
PUSHED = 0.001  # a pushed block moves further than this in a step [m]


def features(demos: Demos) -> list[Feature]:
    """Returns speeds, distances, and the order in which blocks entered targets."""
    states = demos.states
    blocks = states[:, POSE].reshape(-1, 2, 3)
    places = states[:, PLACES].reshape(-1, 2, 3)
    pusher, aim = states[:, PUSHER], states[:, AIM]
    inside = np.ones(len(states) - 1, bool)  # whether row i + 1 follows row i
    inside[demos.episode_ends[:-1] - 1] = False

    def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.linalg.norm(one - other, axis=-1)

    moved = np.diff(blocks, axis=0)[inside]
    way = np.linalg.norm(moved[..., :2], axis=-1).ravel()
    turned = (moved[..., 2].ravel() + np.pi / 2) % np.pi - np.pi / 2
    pushed = way > PUSHED
    to_block = apart(pusher[:, None], blocks[..., :2]).min(-1)
    to_place = apart(blocks[:, :, None, :2], places[:, None, :, :2]).min((1, 2))
    speed = np.linalg.norm(demos.actions, axis=-1) * CONTROL_RATE
    order, step = _first_entries(demos)
    return [
        Feature("order: first block into target", order, ORDERS),
        Feature("step at which the first block is in", step),
        Feature("speed of the pusher's target [m/s]", speed),
        Feature("pusher behind its target [m]", apart(pusher, aim)),
        Feature("pusher to the nearer block [m]", to_block),
        Feature("nearest block to a target [m]", to_place),
        Feature("speed of a pushed block [m/s]", way[pushed] * CONTROL_RATE),
        Feature("turn of a pushed block [rad/s]", turned[pushed] * CONTROL_RATE),
    ]


def _first_entries(demos: Demos) -> tuple[np.ndarray, np.ndarray]:
    """Returns order and step of the first entry in each episode with a single one."""
    orders, steps = [], []
    for k in range(demos.num_episodes):
        entered = demos.states[demos.episode(k), HISTORY] > 0
        rows = np.flatnonzero(entered.any(axis=1))
        if not len(rows):
            continue
        first = np.flatnonzero(entered[rows[0]])
        if len(first) == 1:
            orders.append(first[0])
            steps.append(rows[0])
    return np.array(orders, np.int64), np.array(steps, np.int64)
