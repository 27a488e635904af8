"""The script of Square."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import numpy as np
from scipy.spatial.transform import Rotation

from dp_bench.data.demos import Demonstration

from ..env import Square
from ..suite import Suite, SuiteObject
from .angles import (
    distance,
    nearest_equivalent,
    partial_turn,
    yaw_of,
    yaw_of_hand,
)
from .moves import CLOSE, LEVER, OFF, PACE, TRIES, Move, come_down, grip, leave
from .play import play
from .scene import Scene

WRIST = 0.75  # yaw of the hand in the middle of the wrist's range [rad]
NUT = "SquareNut_main"
NUT_LEAN = 0.01  # largest sideways offset from which the hand descends [m]
NUT_GRASP = (0.0055, 0.008)  # over the handle's middle: lower, fingers get stuck [m]
NUT_ALONG = (0.002, 0.012)  # grasp along the handle, away from the nut's ring [m]
MAX_CARRY = 100  # steps
NUT_LOST = 0.09  # a nut farther away than this is not in the hand [m]
NUT_HOVER = (0.03, 0.05)  # height of the nut over the peg [m]
NUT_LOW = (0.012, 0.025)  # depth below the top of the peg at which the hand lets go [m]
NUT_ASIDE = 0.002  # largest sideways error of the aim [m]
NUT_SUNK = 0.005  # how far below that depth the hand aims [m]
NUT_AROUND = 0.02  # a nut nearer to the peg than this is around it [m]
NUT_RAISED = 0.835  # the nut begins to move sideways at this height [m],
NUT_RAISING = 0.1  # and moves at full speed so much higher [m]
PEG_TOP = 0.95  # [m]


class SquareSuite(Suite, Protocol):
    """Robosuite's NutAssemblySquare."""

    nuts: Sequence[SuiteObject]


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays Square from the start of a seed; None if it fails."""
    return play(Square, plan, env_seed, 400)


def plan(scene: Scene, rng: np.random.Generator) -> Iterator[Move]:
    """Takes the nut by its handle, brings it over the peg, lowers it, lets go.

    The handle points at the robot then: on the other sides the arm gets too straight.
    """
    nut = cast(SquareSuite, scene.suite).nuts[0]
    for _ in range(TRIES):
        yield from _take_nut(scene, rng)
        if scene.holds(nut):
            yield from _put_nut(scene, rng)
        yield from leave(scene)


def _take_nut(scene: Scene, rng: np.random.Generator) -> Iterator[Move]:
    _, hand = scene.hand()
    _, turn = scene.body(NUT)
    grasp = _nut_grasp(yaw_of(turn), _wrist_yaw(yaw_of_hand(hand)))
    relative = grasp + rng.normal(0, 0.03) - yaw_of(turn)
    along, low = rng.uniform(*NUT_ALONG), rng.uniform(*NUT_GRASP)

    def aim(hand_yaw: float) -> tuple[np.ndarray, float]:
        _, turn = scene.body(NUT)
        handle = scene.site("SquareNut_handle_site")
        to = np.add(handle, [*(along * turn.as_matrix()[:2, 0]), low])
        return to, _wrist_yaw(yaw_of(turn) + relative) - _wrist_yaw(hand_yaw)

    slope, hover = rng.uniform(2.0, 4.0), rng.uniform(0.05, 0.1)
    lean, pace = rng.uniform(-NUT_LEAN, NUT_LEAN, 2), rng.uniform(*PACE)
    yield from come_down(scene, aim, slope, hover, lean, pace)
    yield from grip(scene, rng)


def _put_nut(scene: Scene, rng: np.random.Generator) -> Iterator[Move]:
    """Lifts the nut, and lowers it while it comes straight over the peg."""
    peg, _ = scene.body("peg1")
    peg[:2] += rng.uniform(-NUT_ASIDE, NUT_ASIDE, 2)
    slope, top = rng.uniform(4.0, 8.0), PEG_TOP + rng.uniform(*NUT_HOVER)
    low, pace = PEG_TOP - rng.uniform(*NUT_LOW), rng.uniform(*PACE)
    for _ in range(MAX_CARRY):
        place, hand = scene.hand()
        nut, turn = scene.body(NUT)
        around = nut[2] < low and distance(nut, peg) < NUT_AROUND
        if around or np.linalg.norm(nut - place) > NUT_LOST:
            break
        yaw = _wrist_yaw(yaw_of_hand(hand))
        left = _wrist_yaw(yaw + math.pi - yaw_of(turn)) - yaw
        error = distance(nut, peg) + LEVER * abs(left) - OFF
        height = min(top, low - NUT_SUNK + slope * max(0.0, error))
        raised = np.clip((nut[2] - NUT_RAISED) / NUT_RAISING, 0.0, 1.0)
        # level the nut, which keeps its place in the hand
        level = Rotation.from_euler("z", yaw_of(turn)) * turn.inv()
        rotation = Rotation.from_euler("z", left) * level
        offset = np.array([*peg[:2], height]) + rotation.apply(place - nut) - place
        offset[:2] *= raised
        turned = Rotation.from_euler("z", raised * partial_turn(left)) * level * hand
        yield Move(place + offset, turned, CLOSE, 0.0, speed=pace, most=1, fine=True)


def _nut_grasp(yaw: float, hand: float) -> float:
    """Returns the hand's yaw at the handle with the least turning in all [rad]."""
    ends = {
        _wrist_yaw(yaw): _wrist_yaw(math.pi),
        _wrist_yaw(yaw + math.pi): _wrist_yaw(0.0),
    }
    return min(ends, key=lambda grasp: abs(grasp - hand) + abs(ends[grasp] - grasp))


def _wrist_yaw(yaw: float) -> float:
    """Returns a hand's yaw in the wrist's range, which is less than a whole turn."""
    return nearest_equivalent(yaw, WRIST, 2 * math.pi)
