"""The table of BlockPush: its numbers, starts and distances."""

from __future__ import annotations

import math

import numpy as np

CONTROL_RATE = 10  # policy steps per second [Hz]
X_LIMITS = (0.15, 0.7)  # limits of the pusher's target [m]
Y_LIMITS = (-0.5, 0.5)
PUSHER_START = (0.3, -0.4)  # [m]
BLOCK = 0.04  # edge of a block [m]
TARGET_RADIUS = 0.05  # a block is in a target if its centre is closer than this [m]
ENTERED, SOLVED = 0.49, 0.51  # rewards

# Fitted to demonstrations of the published simulator. See the docstring of BlockPush.
PUSHER_RADIUS = 0.006  # [m]
LAG = 3.1  # from a target at distance d, a step leaves the pusher LAG d^2 away [1/m]

# A state: poses of the blocks, pusher, its target, poses of the targets, velocities of
# the blocks, and which block has been in which target.
STATE_SIZE = 26
POSE, PUSHER, AIM, PLACES = slice(0, 6), slice(6, 8), slice(8, 10), slice(10, 16)
SPEED, HISTORY = slice(16, 22), slice(22, 26)


def start(rng: np.random.RandomState | np.random.Generator) -> np.ndarray:
    """Draws the state in which an episode starts, `(26,)`.

    The draws are in the order of the reference, so that its generator gives its starts.
    """

    def block() -> tuple[float, float]:
        return 0.4 + rng.uniform(-0.1, 0.1), -0.2 + rng.uniform(-0.15, 0.15)

    def block_yaw() -> float:
        return math.pi - (math.pi - 1) * rng.random()  # the reference misses [0, 1]

    def target(x: float) -> tuple[float, float]:
        return x + rng.uniform(-0.005, 0.005), 0.2 + rng.uniform(-0.0075, 0.0075)

    def target_yaw() -> float:
        return (math.pi + rng.uniform(-math.pi / 30, math.pi / 30)) % math.pi

    block_1 = *block(), block_yaw()
    xy = block()
    while abs(xy[0] - block_1[0]) <= 0.1:
        xy = block()
    block_2 = *xy, block_yaw()
    aside = 0.12 * rng.choice([-1, 1])
    target_1 = *target(0.4 + aside), target_yaw()
    xy = target(0.4 - aside)
    while abs(xy[0] - target_1[0]) <= 0.12:
        xy = target(0.4 - aside)
    target_2 = *xy, target_yaw()
    drawn = *block_1, *block_2, *PUSHER_START, *PUSHER_START, *target_1, *target_2
    return np.array([*drawn, *[0.0] * (STATE_SIZE - len(drawn))])


def in_target(
    blocks: tuple[float, ...], places: tuple[float, ...]
) -> tuple[bool, bool, bool, bool]:
    """Tells whether each block is in each target: the first in both, then the second.

    Args:
        blocks: x, y, yaw of each block, `(6,)`.
        places: x, y, yaw of each target, `(6,)`.
    """
    x1, y1, _, x2, y2, _ = blocks
    xa, ya, _, xb, yb, _ = places
    return (
        math.hypot(x1 - xa, y1 - ya) < TARGET_RADIUS,
        math.hypot(x1 - xb, y1 - yb) < TARGET_RADIUS,
        math.hypot(x2 - xa, y2 - ya) < TARGET_RADIUS,
        math.hypot(x2 - xb, y2 - yb) < TARGET_RADIUS,
    )


def share_of_way(distance: float) -> float:
    """Returns the share of the way to its target that the pusher moves in a step.

    The way in a step, `distance - LAG distance^2`, is largest at `1 / (2 LAG)`. Beyond
    this distance the pusher moves at the speed that it has there, 0.8 m/s.
    """
    farthest = 1 / (2 * LAG)
    if distance > farthest:
        return farthest / 2 / distance
    return 1 - LAG * distance


def distance_to_way(
    px: float, py: float, x: float, y: float, dx: float, dy: float
) -> float:
    """Returns the distance of a point p from the way (x, y) to (x + dx, y + dy) [m]."""
    px, py = px - x, py - y
    squared = dx * dx + dy * dy
    along = (px * dx + py * dy) / squared if squared else 0.0
    along = min(max(along, 0.0), 1.0)
    return math.hypot(px - along * dx, py - along * dy)
