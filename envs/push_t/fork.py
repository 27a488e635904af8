"""The fork of PushT: on which side the finger goes round the block, and its map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dp_bench.task import Way

from .geometry import FINGER_RADIUS, GOAL, OUTLINE, STEM, WALLS, Pose, placed

BESIDE = STEM[2] + FINGER_RADIUS  # where the finger clears the stem [px]
BEFORE = 140.0  # beyond this, along the axis, the finger has not chosen yet [px]
ASKEW = 0.6  # largest turn of the block from the fork's [rad]


def way_round(positions: np.ndarray, start: Sequence[float]) -> Way:
    """Tells on which side of the block the finger went round it.

    The finger starts beyond the end of the stem and faces the bar along it. In the
    frame of the block at the start, `u` is across the axis and `v` along it. The finger
    is round as soon as it passes the bar's outer edge (`v < 0`). Until then it is on
    the left where `u < -30` and on the right where `u > 30`, where it clears the stem.
    A path that was on one side only has committed. A path that was on both took the
    last one. Behind the bar the finger must come back to the axis, so nothing counts
    there. A path that never gets round has taken neither side.

    Args:
        positions: Path of the finger, `(L, 2)` [px].
        start: Finger x, y, block x, y, angle, `(5,)`.
    """
    u, v = _in_block(np.asarray(positions, np.float64), np.array(start[2:]))
    round_at = np.flatnonzero(v < 0)
    if not len(round_at):
        return Way(0, False, False)
    way = u[: round_at[0]]
    sides = np.sign(way[np.abs(way) > BESIDE])
    if not len(sides):
        return Way(0, False, True)
    return Way(int(sides[-1]), bool((sides == sides[-1]).all()), True)


def passages(
    states: np.ndarray, start: Sequence[float], steps: int
) -> list[np.ndarray]:
    """Finds the passages of a demonstration that begin before the choice of the fork.

    The finger is beyond the end of the stem, and the block is turned nearly as at the
    fork. Each stay there counts once: from its first step after which the finger gets
    round in time, or else from its first step.

    Args:
        states: States of one episode, `(L, 5)`.
        start: State at the fork, `(5,)`.
        steps: Steps of a passage.

    Returns:
        Paths of the finger, `(M, 2)` [px], moved with the block onto the fork.
        Passages that end with their episode before the finger is round are left out.
    """
    states = np.asarray(states, np.float64)
    u, v = _in_block(states[:, :2], states[:, 2:].T)
    turn = (states[:, 4] - start[4] + math.pi) % (2 * math.pi) - math.pi
    stays = (v > BEFORE) & (np.abs(u) < BESIDE) & (np.abs(turn) < ASKEW)  # (L,)
    found = []
    row = 0
    while row < len(states):
        if not stays[row]:
            row += 1
            continue
        end = row + int(np.argmin([*stays[row:], False]))  # of this stay
        paths = [_moved(states[k : k + steps + 1], start) for k in range(row, end)]
        gone = [k for k, path in enumerate(paths) if way_round(path, start).is_round]
        first = gone[0] if gone else 0
        if gone or len(paths[first]) > steps:
            found.append(paths[first])
        row = max(end, row + first + steps)
    return found


def _in_block(positions: np.ndarray, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns `u` and `v`, each `(L,)`.

    Args:
        positions: Of the finger, `(L, 2)` [px].
        pose: Of the block: x, y, angle, `(3,)`, or one for each position, `(3, L)`.
    """
    x, y, angle = pose
    c, s = np.cos(angle), np.sin(angle)
    dx, dy = positions[:, 0] - x, positions[:, 1] - y
    return c * dx + s * dy, c * dy - s * dx


def _moved(states: np.ndarray, start: Sequence[float]) -> np.ndarray:
    """Moves the finger's path as if the block had lain at the fork in its first row."""
    u, v = _in_block(states[:, :2], states[0, 2:])
    c, s = math.cos(start[4]), math.sin(start[4])
    return np.stack([c * u - s * v + start[2], s * u + c * v + start[3]], axis=1)


def outlines(start: Sequence[float]) -> dict[str, list[np.ndarray]]:
    """Returns the outlines of table, goal and block in a state, each `(P, 2)` [px]."""
    return {
        "table": [np.array(WALLS)],
        "goal": [np.array(placed(OUTLINE, GOAL))],
        "block": [np.array(placed(OUTLINE, Pose(*start[2:])))],
    }
