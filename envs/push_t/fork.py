"""The fork of PushT: on which side the finger goes round the block, and its map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .geometry import FINGER_RADIUS, GOAL, OUTLINE, STEM, WALLS, Pose, placed


def way_round(positions: np.ndarray, start: Sequence[float]) -> tuple[int, bool]:
    """Tells on which side of the block the finger went round it.

    The finger starts beyond the end of the stem and faces the bar along it. In the
    frame of the block at the start, `u` is across the axis and `v` along it. The finger
    is round as soon as it passes the bar's outer edge (`v < 0`). Until then it is on
    the left where `u < -30` and on the right where `u > 30`, where it clears the stem.
    A path that was on one side only has committed. A path that was on both took the
    last one. Behind the bar the finger must come back to the axis, so nothing counts
    there.

    Args:
        positions: Path of the finger, `(L, 2)` [px].
        start: Finger x, y, block x, y, angle, `(5,)`.

    Returns:
        The side: -1 for left, 1 for right, 0 for neither; and whether the path
        committed, which a path on neither side has not.
    """
    x, y, angle = start[2:]
    c, s = math.cos(angle), math.sin(angle)
    offset = np.asarray(positions, np.float64) - (x, y)
    u, v = offset @ (c, s), offset @ (-s, c)  # (L,)
    round_at = np.flatnonzero(v < 0)
    way = u[: round_at[0]] if len(round_at) else u
    sides = np.sign(way[np.abs(way) > STEM[2] + FINGER_RADIUS])
    if not len(sides):
        return 0, False
    return int(sides[-1]), bool((sides == sides[-1]).all())


def outlines(start: Sequence[float]) -> dict[str, list[np.ndarray]]:
    """Returns the outlines of table, goal and block in a state, each `(P, 2)` [px]."""
    return {
        "table": [np.array(WALLS)],
        "goal": [np.array(placed(OUTLINE, GOAL))],
        "block": [np.array(placed(OUTLINE, Pose(*start[2:])))],
    }
