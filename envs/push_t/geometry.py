"""The T of PushT: its shape, its keypoints, and how much of the outline it covers."""

from __future__ import annotations

import math
from typing import NamedTuple

TABLE = 512.0  # side of the square table [px]
NEAR_WALL, FAR_WALL = 5.0, 506.0  # position of the walls [px]
WALL_RADIUS = 2.0  # half the thickness of a wall [px]
FINGER_RADIUS = 15.0  # [px]
SOLVED = 0.95  # share of the outline that must be covered

BAR = (-60.0, 0.0, 60.0, 30.0)  # left, low, right, high in the block's frame [px]
STEM = (-15.0, 30.0, 15.0, 120.0)
OUTLINE = (  # of bar and stem together, in the order that makes the area positive
    (-60.0, 0.0),
    (60.0, 0.0),
    (60.0, 30.0),
    (15.0, 30.0),
    (15.0, 120.0),
    (-15.0, 120.0),
    (-15.0, 30.0),
    (-60.0, 30.0),
)
AREA = 6300.0  # of the T [px^2]
MIDDLE = 45.9375  # centre (0, MIDDLE) of the smallest circle around the T [px]
REACH = math.hypot(60.0, MIDDLE)  # radius of that circle [px]
LENGTH = 125.0  # every keypoint is closer to the origin than this [px]

# Nine points fixed to the block, in its frame [px]. They are fitted to the keypoints of
# the human demonstrations of Chi et al. (2023), in rows in which the block rests. The
# residual is 3e-5 px.
KEYPOINTS = (
    (9.26979, 90.04097),
    (-60.98347, -1.18673),
    (60.91276, -1.39336),
    (-0.27050, 25.54363),
    (-14.06493, 122.81585),
    (39.00274, 32.85740),
    (-39.96641, 32.72966),
    (-16.82434, 62.86318),
    (23.54146, -1.70029),
)

Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]  # left, low, right, high


class Pose(NamedTuple):
    """The pose of a T. Its origin is the middle of the bar's outer edge.

    Attributes:
        x: [px].
        y: Downwards in images [px].
        angle: From x towards y [rad].
    """

    x: float
    y: float
    angle: float


GOAL = Pose(256.0, 256.0, math.pi / 4)
WALLS = (  # corners of the walls
    (NEAR_WALL, NEAR_WALL),
    (FAR_WALL, NEAR_WALL),
    (FAR_WALL, FAR_WALL),
    (NEAR_WALL, FAR_WALL),
)


def reward(coverage: float) -> float:
    """Returns the reward of a coverage, in [0, 1]."""
    return min(coverage / SOLVED, 1.0)


def iou(coverage: float) -> float:
    """Returns the intersection over union of block and outline, of equal area."""
    return coverage / (2.0 - coverage)


def coverage(block: Pose) -> float:
    """Returns the share of the outline that the block covers, in [0, 1]."""
    return min(max(overlap(block, GOAL) / AREA, 0.0), 1.0)


def overlap(one: Pose, other: Pose) -> float:
    """Returns the area that two Ts share [px^2].

    In the frame of `other` its bar and stem are upright rectangles. The part of a
    polygon inside such a rectangle has the area

        -sum over edges of  integral of clip(y(x), low, high) dx,  x in [left, right]

    if the edges are in the order of `OUTLINE`. The polygon need not be convex.
    """
    c, s = math.cos(other.angle), math.sin(other.angle)
    dx, dy = one.x - other.x, one.y - other.y
    x, y = c * dx + s * dy, c * dy - s * dx
    c, s = math.cos(one.angle - other.angle), math.sin(one.angle - other.angle)
    if math.hypot(x - s * MIDDLE, y + c * MIDDLE - MIDDLE) >= 2 * REACH:
        return 0.0
    corners = [(x + c * u - s * v, y + s * u + c * v) for u, v in OUTLINE]
    area = 0.0
    for left, low, right, high in (BAR, STEM):
        height = high - low
        xb, yb = corners[-1]
        yb -= low
        for corner in corners:
            xa, ya = xb, yb
            xb, yb = corner
            yb -= low
            # Most edges miss the strip or its floor, and cost next to nothing here.
            if ya <= 0.0 and yb <= 0.0:
                continue
            if xa < xb:
                if xa < right and xb > left:
                    area -= _area_under(xa, ya, xb, yb, left, right, height)
            elif xb < xa and xb < right and xa > left:
                area += _area_under(xb, yb, xa, ya, left, right, height)
    return area


def _area_under(
    xa: float, ya: float, xb: float, yb: float, left: float, right: float, high: float
) -> float:
    """Integrates clip(y, 0, high) along the line from a to b, x in [left, right].

    `xa < xb`, and the line meets the strip.
    """
    slope = (yb - ya) / (xb - xa)
    if xb > right:
        xb, yb = right, ya + slope * (right - xa)
    if xa < left:
        xa, ya = left, ya + slope * (left - xa)
    width = xb - xa
    if ya > yb:  # the area depends on the two heights only, not on their order
        ya, yb = yb, ya
    if ya >= high:
        return width * high
    if yb <= 0.0:
        return 0.0
    if ya >= 0.0 and yb <= high:
        return width * (ya + yb) / 2
    inside = width / (yb - ya)  # width for each px that the line rises
    above = 0.0
    if yb > high:
        above, yb = inside * (yb - high), high
    if ya < 0.0:
        ya = 0.0
    return above * high + inside * (yb - ya) * (ya + yb) / 2


def keypoints(block: Pose) -> list[float]:
    """Returns the nine keypoints of the block: x, y, x, y, ... [px], 18 numbers."""
    return [number for point in placed(KEYPOINTS, block) for number in point]


def placed(points: tuple[Point, ...], pose: Pose) -> list[Point]:
    """Moves points from the block's frame to the table [px]."""
    x, y, angle = pose
    c, s = math.cos(angle), math.sin(angle)
    return [(x + c * u - s * v, y + s * u + c * v) for u, v in points]


def corners(rectangle: Rectangle) -> tuple[Point, Point, Point, Point]:
    """Returns the four corners of a rectangle, in pymunk's order."""
    left, low, right, high = rectangle
    return (left, high), (right, high), (right, low), (left, low)
