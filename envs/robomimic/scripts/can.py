"""The script of Can."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import numpy as np
from scipy.spatial.transform import Rotation

from dp_bench.data.demos import Demonstration

from ..env import Can
from ..suite import Suite, SuiteObject
from .angles import nearest_equivalent, yaw_of_hand
from .moves import CLOSE, PACE, TRIES, Move, come_down, grip, leave
from .play import play
from .scene import Scene

CAN = "Can_main"
CAN_LEAN = 0.005  # largest sideways offset from which the hand descends [m]
# where the hand puts the can, relative to the middle of its place [m]
CAN_X, CAN_Y = (-0.052, -0.032), (-0.075, -0.045)
CAN_GRASP = (0.01, 0.03)  # over the can's middle: lower, the palm touches its top [m]
CAN_HIGH = (0.975, 1.0)  # height of the hand that carries it: walls end at 0.9 [m]
CAN_DROP = (0.04, 0.06)  # descent before the hand lets go [m]
CAN_LOST = 0.1  # a can farther away than this is not in the hand [m]


class CanSuite(Suite, Protocol):
    """Robosuite's PickPlaceCan."""

    objects: Sequence[SuiteObject]
    object_id: int
    target_bin_placements: np.ndarray


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays Can from the start of a seed; None if it fails."""
    return play(Can, plan, env_seed, 400)


def plan(scene: Scene, rng: np.random.Generator) -> Iterator[Move]:
    """Takes the can, carries it over its place, lowers it, lets go, and leaves."""
    suite = cast(CanSuite, scene.suite)
    for _ in range(TRIES):
        yield from _take_can(scene, rng)
        if scene.holds(suite.objects[suite.object_id]):
            yield from _put_can(scene, rng)
        yield from leave(scene)


def _take_can(scene: Scene, rng: np.random.Generator) -> Iterator[Move]:
    _, hand = scene.hand()
    yaw = yaw_of_hand(hand) + rng.uniform(-0.5, 0.5)
    aside = np.array([*rng.uniform(-0.005, 0.005, 2), rng.uniform(*CAN_GRASP)])

    def aim(hand_yaw: float) -> tuple[np.ndarray, float]:
        can, turn = scene.body(CAN)
        axis = turn.as_matrix()[:, 2]
        if abs(axis[2]) > 0.5:
            return can + aside, yaw - hand_yaw
        # a can that lies is taken across its axis
        along = nearest_equivalent(math.atan2(axis[1], axis[0]), hand_yaw, math.pi)
        return can, along - hand_yaw

    slope, hover = rng.uniform(8.0, 12.0), rng.uniform(0.1, 0.13)
    lean, pace = rng.uniform(-CAN_LEAN, CAN_LEAN, 2), rng.uniform(*PACE)
    yield from come_down(scene, aim, slope, hover, lean, pace)
    yield from grip(scene, rng)


def _put_can(scene: Scene, rng: np.random.Generator) -> Iterator[Move]:
    """Carries the can to the near corner of its place: farther away the arm tilts."""
    suite = cast(CanSuite, scene.suite)
    place, hand = scene.hand()
    can, _ = scene.body(CAN)
    goal = np.array(suite.target_bin_placements[suite.object_id])
    goal[:2] += [rng.uniform(*CAN_X), rng.uniform(*CAN_Y)]
    goal[2] = rng.uniform(*CAN_HIGH)
    drop = rng.uniform(*CAN_DROP)
    turn = Rotation.from_euler("z", rng.uniform(-0.3, 0.3)) * hand
    to, pace = goal + place - can, rng.uniform(*PACE)
    for move in (
        Move(np.array([*place[:2], to[2]]), hand, CLOSE, 0.04, 0.5, pace, most=30),
        Move(to, turn, CLOSE, 0.03, 0.5, pace, most=70),
        Move(np.add(to, [0, 0, -drop]), turn, CLOSE, 0.02, 0.5, pace, most=12),
    ):
        yield move._replace(fine=True)
        can, _ = scene.body(CAN)
        if np.linalg.norm(can - scene.hand()[0]) > CAN_LOST:
            return
