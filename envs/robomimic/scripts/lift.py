"""The script of Lift."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol, cast

import numpy as np

from dp_bench.data.demos import Demonstration

from ..env import Lift
from ..suite import Suite, SuiteObject
from .angles import nearest_equivalent, yaw_of, yaw_of_hand
from .moves import CLOSE, PACE, TRIES, Move, come_down, grip, leave
from .play import play
from .scene import Scene

CUBE_LEAN = 0.01  # largest sideways offset from which the hand descends [m]


class LiftSuite(Suite, Protocol):
    """Robosuite's Lift."""

    cube: SuiteObject


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays Lift from the start of a seed; None if it fails."""
    return play(Lift, plan, env_seed, 400)


def plan(scene: Scene, rng: np.random.Generator) -> Iterator[Move]:
    """Takes the cube across any two of its sides, and lifts it."""
    cube = cast(LiftSuite, scene.suite).cube
    for _ in range(TRIES):
        yield from _take_cube(scene, rng)
        if scene.holds(cube):
            place, hand = scene.hand()
            up = np.add(place, [*rng.uniform(-0.03, 0.03, 2), rng.uniform(0.1, 0.15)])
            pace = rng.uniform(*PACE)
            yield Move(up, hand, CLOSE, 0.02, 0.5, pace, most=30, fine=True)
        yield from leave(scene)


def _take_cube(scene: Scene, rng: np.random.Generator) -> Iterator[Move]:
    _, hand = scene.hand()
    _, turn = scene.body("cube_main")
    grasp = nearest_equivalent(yaw_of(turn), yaw_of_hand(hand), math.pi / 2)
    relative = grasp - yaw_of(turn) + rng.normal(0, 0.05)
    aside = [*rng.uniform(-0.004, 0.004, 2), rng.uniform(-0.006, 0.004)]

    def aim(hand_yaw: float) -> tuple[np.ndarray, float]:
        cube, turn = scene.body("cube_main")
        yaw = nearest_equivalent(yaw_of(turn) + relative, hand_yaw, math.pi / 2)
        return np.add(cube, aside), yaw - hand_yaw

    slope, hover = rng.uniform(3.0, 5.0), rng.uniform(0.05, 0.1)
    lean, pace = rng.uniform(-CUBE_LEAN, CUBE_LEAN, 2), rng.uniform(*PACE)
    yield from come_down(scene, aim, slope, hover, lean, pace)
    yield from grip(scene, rng)
