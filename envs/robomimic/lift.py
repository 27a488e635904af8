"""A scripted demonstrator of Lift."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from dp_bench.data.demos import Demonstration

from .env import Lift
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
    yaw_of,
    yaw_of_hand,
)

CUBE_LEAN = 0.01  # a hand comes down from a place so far to the sides [m]


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays Lift from a start; None where it fails."""
    return play(Lift, plan, env_seed, 400)


def plan(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    """Down on the cube, close, up: across any two of its sides."""
    for _ in range(TRIES):
        yield from _take_cube(scene, rng)
        if scene.holds(scene.suite.cube):
            place, hand = scene.hand()
            up = np.add(place, [*rng.uniform(-0.03, 0.03, 2), rng.uniform(0.1, 0.15)])
            pace = rng.uniform(*PACE)
            yield Go(up, hand, CLOSE, 0.02, 0.5, pace, most=30, fine=True)
        yield from leave(scene)


def _take_cube(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    _, hand = scene.hand()
    _, turn = scene.body("cube_main")
    relative = alike(yaw_of(turn), yaw_of_hand(hand), math.pi / 2) - yaw_of(turn)
    relative += rng.normal(0, 0.05)
    aside = [*rng.uniform(-0.004, 0.004, 2), rng.uniform(-0.006, 0.004)]

    def aim(hand_yaw: float) -> tuple[np.ndarray, float]:
        cube, turn = scene.body("cube_main")
        yaw = alike(yaw_of(turn) + relative, hand_yaw, math.pi / 2)
        return np.add(cube, aside), yaw - hand_yaw

    slope, hover = rng.uniform(3.0, 5.0), rng.uniform(0.05, 0.1)
    lean, pace = rng.uniform(-CUBE_LEAN, CUBE_LEAN, 2), rng.uniform(*PACE)
    yield from come_down(scene, aim, slope, hover, lean, pace)
    yield from grip(scene, rng)
