"""A scripted demonstrator of Can."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.spatial.transform import Rotation

from dp_bench.data.demos import Demonstration

from .env import Can
from .script import (
    CLOSE,
    PACE,
    TRIES,
    Go,
    Scene,
    alike,
    come_down,
    grip,
    leave,
    play,
    yaw_of_hand,
)

CAN = "Can_main"
CAN_LEAN = 0.005  # [m]
CAN_X, CAN_Y = (-0.052, -0.032), (-0.075, -0.045)  # from the middle of its place [m]
CAN_GRASP = (0.01, 0.03)  # over its middle, else the palm is on its top [m]
CAN_HIGH = (0.975, 1.0)  # height at which it is carried: walls end at 0.9 [m]
CAN_DROP = (0.04, 0.06)  # and how far it comes down before it is let go [m]
CAN_LOST = 0.1  # farthest that a can in the hand is from it [m]


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays Can from a start; None where it fails."""
    return play(Can, plan, env_seed, 400)


def plan(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    """Down on the can, close, up, over its place, down, open, away."""
    for _ in range(TRIES):
        yield from _take_can(scene, rng)
        if scene.holds(scene.suite.objects[scene.suite.object_id]):
            yield from _put_can(scene, rng)
        yield from leave(scene)


def _take_can(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    _, hand = scene.hand()
    yaw = yaw_of_hand(hand) + rng.uniform(-0.5, 0.5)
    aside = np.array([*rng.uniform(-0.005, 0.005, 2), rng.uniform(*CAN_GRASP)])

    def aim(hand_yaw: float) -> tuple[np.ndarray, float]:
        can, turn = scene.body(CAN)
        axis = turn.as_matrix()[:, 2]
        if abs(axis[2]) > 0.5:
            return can + aside, yaw - hand_yaw
        # it lies there, and is taken across
        along = alike(math.atan2(axis[1], axis[0]), hand_yaw, math.pi)
        return can, along - hand_yaw

    slope, hover = rng.uniform(8.0, 12.0), rng.uniform(0.1, 0.13)
    lean, pace = rng.uniform(-CAN_LEAN, CAN_LEAN, 2), rng.uniform(*PACE)
    yield from come_down(scene, aim, slope, hover, lean, pace)
    yield from grip(scene, rng)


def _put_can(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    """To the corner of its place that is nearest to the robot: far off, arms tilt."""
    place, hand = scene.hand()
    can, _ = scene.body(CAN)
    goal = np.array(scene.suite.target_bin_placements[scene.suite.object_id])
    goal[:2] += [rng.uniform(*CAN_X), rng.uniform(*CAN_Y)]
    goal[2] = rng.uniform(*CAN_HIGH)
    drop = rng.uniform(*CAN_DROP)
    turn = Rotation.from_euler("z", rng.uniform(-0.3, 0.3)) * hand
    to, pace = goal + place - can, rng.uniform(*PACE)
    for way in (
        Go(np.array([*place[:2], to[2]]), hand, CLOSE, 0.04, 0.5, pace, most=30),
        Go(to, turn, CLOSE, 0.03, 0.5, pace, most=70),
        Go(np.add(to, [0, 0, -drop]), turn, CLOSE, 0.02, 0.5, pace, most=12),
    ):
        yield way._replace(fine=True)
        can, _ = scene.body(CAN)
        if np.linalg.norm(can - scene.hand()[0]) > CAN_LOST:
            return
