"""The features by which two sets of Kitchen demonstrations are compared."""

from __future__ import annotations

import numpy as np

from dp_bench.data.compare import Feature
from dp_bench.data.demos import Demos

from ..scores import ELEMENTS
from .franka import ARM, CONTROL_RATE, DQ, FINGERS, ORDER, Q


def features(demos: Demos) -> list[Feature]:
    """Lists which elements are done, when, and how the robot moves."""
    orders = demos.states[:, ORDER].astype(np.int64)
    speeds = demos.states[:, DQ][:, ARM]
    followed = np.ones(len(speeds) - 1, bool)  # whether row i + 1 follows row i
    followed[demos.episode_ends[:-1] - 1] = False
    elements, ranks, durations = _completions(demos, orders)
    return [
        Feature("element done", elements, ELEMENTS),
        Feature("element done first", elements[ranks == 1], ELEMENTS),
        Feature("steps from one element to the next", durations),
        Feature("speed of the arm's joints [rad/s]", _length(speeds)),
        Feature(
            "change of these speeds [rad/s²]",
            _length(np.diff(speeds, axis=0)[followed]) * CONTROL_RATE,
        ),
        Feature("opening of the fingers [m]", demos.states[:, Q][:, FINGERS].sum(-1)),
    ]


def _length(vectors: np.ndarray) -> np.ndarray:
    lengths: np.ndarray = np.linalg.norm(vectors, axis=-1)
    return lengths


def _completions(
    demos: Demos, orders: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lists the elements that each episode did, in their order.

    Args:
        demos: N rows of Kitchen.
        orders: The order in each row, `(N, 7)`, as in `info["order"]`.

    Returns:
        Three arrays `(V,)`, int64: the numbers of the elements; the rank of each in its
        episode, from 1; and the steps since the element before it.
    """
    elements, ranks, durations = [], [], []
    for k in range(demos.num_episodes):
        order = orders[demos.episode(k)]
        done = np.flatnonzero(order[-1])
        done = done[np.argsort(order[-1, done])]
        elements += done.tolist()
        ranks += order[-1, done].tolist()
        steps = (order[:, done] == 0).sum(axis=0)  # before each was done
        durations += np.diff(steps, prepend=0).tolist()
    return (
        np.array(elements, np.int64),
        np.array(ranks, np.int64),
        np.array(durations, np.int64),
    )
