"""Angles and rotations of hands that point down."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

DOWN = Rotation.from_matrix([[0, 1, 0], [1, 0, 0], [0, 0, -1]])  # a hand at yaw 0


def hand_at(yaw: float) -> Rotation:
    """Returns a hand that points down and closes across this direction [rad]."""
    return Rotation.from_euler("z", yaw) * DOWN


def yaw_of(rotation: Rotation) -> float:
    """Returns the direction of a rotation's first axis, seen from above [rad]."""
    x = rotation.as_matrix()[:, 0]
    return math.atan2(x[1], x[0])


def yaw_of_hand(rotation: Rotation) -> float:
    """Returns the yaw of a hand that points down, as `hand_at` takes it [rad]."""
    return yaw_of(rotation * DOWN.inv())


def nearest_equivalent(angle: float, near: float, period: float) -> float:
    """Adds multiples of the period to an angle until it is nearest to another [rad]."""
    return near + (angle - near + period / 2) % period - period / 2


def partial_turn(angle: float) -> float:
    """Limits a turn to 1 rad, so that its shortest path goes the intended way."""
    return float(np.clip(angle, -1.0, 1.0))


def distance(place: np.ndarray, other: np.ndarray) -> float:
    """Returns the distance of two points seen from above [m]."""
    return float(np.linalg.norm((place - other)[:2]))
