"""A scripted demonstrator of Square."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.spatial.transform import Rotation

from dp_bench.data.demos import Demonstration

from .env import Square
from .script import (
    CLOSE,
    LEVER,
    OFF,
    PACE,
    TRIES,
    Go,
    Scene,
    alike,
    come_down,
    distance,
    grip,
    leave,
    part,
    play,
    yaw_of,
    yaw_of_hand,
)

WRIST = 0.75  # yaw of a hand in the middle of the wrist's range [rad]
NUT = "SquareNut_main"
NUT_LEAN = 0.01  # [m]
NUT_GRASP = (0.0055, 0.008)  # over the handle's middle, else fingers are stuck [m]
NUT_ALONG = (0.002, 0.012)  # along the handle, away from the nut's ring [m]
NUT_CARRY = 100  # most steps
NUT_LOST = 0.09  # farthest that a nut in the hand is from it [m]
NUT_HOVER = (0.03, 0.05)  # of a nut, over the peg [m]
NUT_LOW = (0.012, 0.025)  # under the top of the peg, where it is let go [m]
NUT_ASIDE = 0.002  # it is aimed so far to the sides of the peg [m]
NUT_SUNK = 0.005  # how far under this the hand aims [m]
NUT_AROUND = 0.02  # a nut around the peg is nearer to it than this [m]
NUT_RAISED, NUT_RAISING = 0.835, 0.1  # it moves to the side from here, over this [m]
PEG_TOP = 0.95  # [m]


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays Square from a start; None where it fails."""
    return play(Square, plan, env_seed, 400)


def plan(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    """Takes the nut by its handle, brings it over the peg, lowers it, lets go.

    The handle points at the robot then: to the other sides, the arm gets too straight.
    """
    for _ in range(TRIES):
        yield from _take_nut(scene, rng)
        if scene.holds(scene.suite.nuts[0]):
            yield from _put_nut(scene, rng)
        yield from leave(scene)


def _take_nut(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    _, hand = scene.hand()
    _, turn = scene.body(NUT)
    grasp = _nut_grasp(yaw_of(turn), _room(yaw_of_hand(hand))) + rng.normal(0, 0.03)
    relative = grasp - yaw_of(turn)
    along, low = rng.uniform(*NUT_ALONG), rng.uniform(*NUT_GRASP)

    def aim(hand_yaw: float) -> tuple[np.ndarray, float]:
        _, turn = scene.body(NUT)
        handle = scene.site("SquareNut_handle_site")
        to = np.add(handle, [*(along * turn.as_matrix()[:2, 0]), low])
        return to, _room(yaw_of(turn) + relative) - _room(hand_yaw)

    slope, hover = rng.uniform(2.0, 4.0), rng.uniform(0.05, 0.1)
    lean, pace = rng.uniform(-NUT_LEAN, NUT_LEAN, 2), rng.uniform(*PACE)
    yield from come_down(scene, aim, slope, hover, lean, pace)
    yield from grip(scene, rng)


def _put_nut(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    """Lifts it, and comes down as it gets straight over the peg, by its own pose."""
    peg, _ = scene.body("peg1")
    peg[:2] += rng.uniform(-NUT_ASIDE, NUT_ASIDE, 2)
    slope, top = rng.uniform(4.0, 8.0), PEG_TOP + rng.uniform(*NUT_HOVER)
    low, pace = PEG_TOP - rng.uniform(*NUT_LOW), rng.uniform(*PACE)
    for _ in range(NUT_CARRY):
        place, hand = scene.hand()
        nut, turn = scene.body(NUT)
        around = nut[2] < low and distance(nut, peg) < NUT_AROUND
        if around or np.linalg.norm(nut - place) > NUT_LOST:
            break
        yaw = _room(yaw_of_hand(hand))
        left = _room(yaw + math.pi - yaw_of(turn)) - yaw
        off = distance(nut, peg) + LEVER * abs(left) - OFF
        height = min(top, low - NUT_SUNK + slope * max(0.0, off))
        raised = np.clip((nut[2] - NUT_RAISED) / NUT_RAISING, 0.0, 1.0)
        # the nut is to be level, and stays where it is in the hand
        level = Rotation.from_euler("z", yaw_of(turn)) * turn.inv()
        whole = Rotation.from_euler("z", left) * level
        way = np.array([*peg[:2], height]) + whole.apply(place - nut) - place
        way[:2] *= raised
        turned = Rotation.from_euler("z", raised * part(left)) * level * hand
        yield Go(place + way, turned, CLOSE, 0.0, speed=pace, most=1, fine=True)


def _nut_grasp(yaw: float, hand: float) -> float:
    """The hand's yaw at the handle: where it turns least, before and after [rad]."""
    ends = {_room(yaw): _room(math.pi), _room(yaw + math.pi): _room(0.0)}
    return min(ends, key=lambda grasp: abs(grasp - hand) + abs(ends[grasp] - grasp))


def _room(yaw: float) -> float:
    """A hand's yaw as the wrist counts it, which has no room for a whole turn."""
    return alike(yaw, WRIST, 2 * math.pi)
