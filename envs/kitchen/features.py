"""What two sets of Kitchen demonstrations are compared by."""

from __future__ import annotations

import numpy as np

from dp_bench.data.compare import Feature
from dp_bench.data.demos import Demos

from ..scores import ELEMENTS
from .env import CONTROL_RATE, DQ, ORDER, Q
from .script import ARM, FINGERS


def features(demos: Demos) -> list[Feature]:
    """Which elements are done and when, and how the robot moves."""
    orders = demos.states[:, ORDER].astype(np.int64)
    speeds = demos.states[:, DQ][:, ARM]
    inside = np.ones(len(speeds) - 1, bool)  # whether row i + 1 follows row i
    inside[demos.episode_ends[:-1] - 1] = False
    elements, places, waits = _done(demos, orders)
    return [
        Feature("element done", elements, ELEMENTS),
        Feature("element done first", elements[places == 1], ELEMENTS),
        Feature("steps from one element to the next", waits),
        Feature("speed of the arm's joints [rad/s]", _length(speeds)),
        Feature(
            "change of these speeds [rad/s²]",
            _length(np.diff(speeds, axis=0)[inside]) * CONTROL_RATE,
        ),
        Feature("opening of the fingers [m]", demos.states[:, Q][:, FINGERS].sum(-1)),
    ]


def _length(vectors: np.ndarray) -> np.ndarray:
    lengths: np.ndarray = np.linalg.norm(vectors, axis=-1)
    return lengths


def _done(
    demos: Demos, orders: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What was done, episode by episode, three times `(V,)`, int64.

    Args:
        demos: Of Kitchen, N rows.
        orders: Which element was done when, `(N, 7)`, as of `info["order"]`.

    Returns:
        Numbers of elements, in the order in which they were done; which one of its
        episode each was, from 1; and the steps it took from the one before.
    """
    elements, places, waits = [], [], []
    for k in range(demos.num_episodes):
        order = orders[demos.episode(k)]
        done = np.flatnonzero(order[-1])
        done = done[np.argsort(order[-1, done])]
        elements += done.tolist()
        places += order[-1, done].tolist()
        steps = (order[:, done] == 0).sum(axis=0)  # before each was done
        waits += np.diff(steps, prepend=0).tolist()
    return (
        np.array(elements, np.int64),
        np.array(places, np.int64),
        np.array(waits, np.int64),
    )
