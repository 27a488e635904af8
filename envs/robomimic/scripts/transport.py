"""The script of Transport: two arms, a plan for each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from scipy.spatial.transform import Rotation

from dp_bench.data.demos import Demonstration

from ..env import Transport
from ..suite import Suite
from .angles import hand_at, nearest_equivalent, yaw_of, yaw_of_hand
from .moves import CLOSE, OPEN, TABLE, TRIES, Move, closing, short_pause
from .play import play
from .scene import Scene

MISSED = 0.035  # a thing farther from the hand than this is not in it [m]
FINE = 0.03  # distance at which the lag correction begins [m]
BRIEFLY = (11, 15)  # steps that a gripper gets to close
LET_GO = (8, 11)  # steps that it gets to open at the end
PATIENCE = 700  # steps that one arm waits for the other, at most
CLEAR = 1.02  # height of a hand that carries a thing over a bin's wall [m]
ASIDE = (-0.17, -0.45)  # where the first arm puts the lid, x, y [m]
MEETING = (0.0, -0.06, 1.08)  # where the first hand offers the hammer [m]
WAITING = (0.0, 0.17, 1.18)  # where the second hand waits for it [m]
GIVEN_AT = -0.036  # where the first hand takes the handle, from its middle [m]
APART = 0.092  # distance of two hands on the handle [m]
DRAWN = 0.008  # how far a hand is pulled back while it closes [m]
HANDLE = 0.08  # from the handle's middle to the last place where it can be held [m]
MIDDLE = 0.0175  # from the handle's middle to the middle of the hammer's length [m]


class TransportGroup(Protocol):
    """Robosuite's poses of the things in Transport."""

    lid_handle_pos: np.ndarray
    trash_pos: np.ndarray
    trash_bin_pos: np.ndarray
    target_bin_pos: np.ndarray
    trash_in_trash_bin: bool


class TransportSuite(Suite, Protocol):
    """Robosuite's TwoArmTransport."""

    transport: TransportGroup


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays Transport from the start of a seed; None if it fails."""
    return play(Transport, plan, env_seed, 700)


@dataclass
class Handover:
    """Signals between the two arms.

    Attributes:
        offered: The first hand holds the hammer still.
        taken: The second hand holds it too.
        left: The first hand has let go of it and is out of the way.
    """

    offered: bool = False
    taken: bool = False
    left: bool = False


def plan(
    scene: Scene, rng: np.random.Generator
) -> tuple[Iterator[Move], Iterator[Move]]:
    """Plans both arms: one hands the hammer over, and the other lays it down."""
    first, second = rng.spawn(2)
    handover = Handover()
    return _plan_giver(scene, first, handover), _plan_taker(scene, second, handover)


def _plan_giver(
    scene: Scene, rng: np.random.Generator, handover: Handover
) -> Iterator[Move]:
    """Puts the lid aside, takes the hammer, offers it, and lets go of it."""
    speed = rng.uniform(0.8, 1.0)
    yield from _lay_lid_aside(scene, rng, speed)
    turned = math.pi / 2 + rng.normal(0, 0.06)
    along = GIVEN_AT + rng.uniform(-0.008, 0.008)
    meeting = MEETING + rng.uniform(-1, 1, 3) * [0.03, 0.015, 0.03]
    for _ in range(TRIES):
        yield from _lift_hammer(scene, rng, speed, along)
        down = hand_at(
            nearest_equivalent(turned, yaw_of_hand(scene.hand(0)[1]), math.pi)
        )
        yield Move(meeting, down, CLOSE, 0.015, 0.1, speed, 1, most=80)
        if not _holds_hammer(scene, 0):
            continue  # the hand lost it on the way
        place, _ = scene.hand(0)
        if _far(place, meeting) > MISSED:  # the bin holds it back
            high = np.add(place, [0, -0.02, 0.1])
            yield Move(high, down, CLOSE, 0.03, 0.5, speed, most=40)
            yield Move(meeting, down, CLOSE, 0.015, 0.1, speed, 1, most=80)
        break
    handover.offered = True
    offer = Move(meeting, down, CLOSE, 1.0, 4.0, speed, most=PATIENCE)
    yield offer._replace(until=lambda: handover.taken)
    place, hand = scene.hand(0)
    yield Move(place, hand, OPEN, 0.05, 1.0, 0.3, int(rng.integers(*LET_GO)))
    up = np.add(place, [0, 0, 0.09])
    yield Move(up, hand, OPEN, 0.03, 1.0, speed, most=30)
    handover.left = True
    yield Move(np.add(up, [0, -0.15, 0.03]), hand, OPEN, 0.03, 1.0, speed)


def _plan_taker(
    scene: Scene, rng: np.random.Generator, handover: Handover
) -> Iterator[Move]:
    """Throws the trash away, takes the hammer, and lays it into its bin."""
    speed = rng.uniform(0.8, 1.0)
    yield from _clear_bin(scene, rng, speed)
    yield from _take_hammer(scene, rng, speed, handover)
    yield from _lay_hammer(scene, rng, speed)


def _lay_lid_aside(
    scene: Scene, rng: np.random.Generator, speed: float
) -> Iterator[Move]:
    """Takes the lid by its handle, and puts it aside."""
    _, hand = scene.hand(0)
    group = cast(TransportSuite, scene.suite).transport
    down = hand_at(
        nearest_equivalent(
            math.pi / 2 + rng.normal(0, 0.04), yaw_of_hand(hand), math.pi
        )
    )
    offset = [rng.uniform(-0.003, 0.003), rng.uniform(-0.02, 0.02)]
    slowly = rng.uniform(0.5, 0.8)
    for _ in range(TRIES):
        handle = group.lid_handle_pos
        above = np.add(handle, [*offset, rng.uniform(0.06, 0.09)])
        yield Move(above, down, OPEN, 0.03, 0.15, speed)
        grasp = np.add(handle, [*offset, rng.uniform(0.0, 0.008)])
        yield _reach(grasp, down, rng, slowly)
        yield closing(grasp, down, rng, BRIEFLY)
        lifted = np.add(grasp, [-0.02, 0, rng.uniform(0.07, 0.1)])
        yield Move(lifted, down, CLOSE, 0.04, 0.5, speed)
        if _far(group.lid_handle_pos, scene.hand(0)[0]) < MISSED:
            break
    aside = np.array([*(ASIDE + rng.uniform(-0.02, 0.02, 2)), lifted[2]])
    yield Move(aside, down, CLOSE, 0.06, 0.5, speed, most=80)
    aside[2] = TABLE + rng.uniform(0.04, 0.06)
    yield Move(aside, down, CLOSE, 0.02, 0.5, rng.uniform(0.6, 0.9), most=40)
    yield Move(aside, down, OPEN, 0.05, 1.0, 0.3, int(rng.integers(5, 8)))
    yield Move(np.add(aside, [0, 0, 0.1]), down, OPEN, 0.04, 1.0, speed)


def _lift_hammer(
    scene: Scene, rng: np.random.Generator, speed: float, along: float
) -> Iterator[Move]:
    """Takes the hammer by the half of its handle nearer to this arm, and lifts it."""
    start, _ = scene.body("transport_start_bin_root")
    turned = rng.normal(0, 0.04)
    slowly = rng.uniform(0.5, 0.8)
    for _ in range(TRIES):
        grasp, bearing = _on_handle(scene, along)
        down = hand_at(
            nearest_equivalent(bearing + turned, yaw_of_hand(scene.hand(0)[1]), math.pi)
        )
        above = np.array([*grasp[:2], rng.uniform(1.0, 1.04)])
        yield Move(above, down, OPEN, 0.02, 0.15, speed)
        grasp = _on_handle(scene, along)[0]
        grasp += [0, DRAWN, rng.uniform(0.006, 0.012)]
        yield _reach(grasp, down, rng, slowly)
        yield closing(grasp, down, rng, BRIEFLY)
        # the hammer fills the bin's length, and a hand that rises is pulled back
        middle = _middle_of_hammer(scene)
        place, _ = scene.hand(0)
        place[1] += start[1] - middle[1]
        low = np.add(place, [0, 0, 0.06])
        yield Move(low, down, CLOSE, 0.03, 0.5, slowly, most=30)
        place[2] = CLEAR + rng.uniform(0.04, 0.07)
        yield Move(place, down, CLOSE, 0.03, 0.5, speed)
        if _holds_hammer(scene, 0):
            return


def _clear_bin(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Move]:
    """Takes the trash out of the hammer's bin, and throws it away."""
    group = cast(TransportSuite, scene.suite).transport
    goal = group.trash_bin_pos[:2] + rng.uniform(-0.04, 0.04, 2)
    height = CLEAR + rng.uniform(0.0, 0.04)
    turned, swung = rng.normal(0, 0.05), rng.normal(0, 0.2)
    slowly = rng.uniform(0.5, 0.8)
    for _ in range(TRIES):
        trash, turn = scene.body("trash_main")
        _, hand = scene.hand(1)
        down = hand_at(
            nearest_equivalent(yaw_of(turn) + turned, yaw_of_hand(hand), math.pi / 2)
        )
        above = np.add(trash, [*rng.uniform(-0.02, 0.02, 2), rng.uniform(0.14, 0.18)])
        yield Move(above, down, OPEN, 0.03, 0.2, speed)
        grasp, _ = scene.body("trash_main")
        grasp += [*rng.uniform(-0.004, 0.004, 2), rng.uniform(-0.004, 0.006)]
        yield _reach(grasp, down, rng, slowly)
        yield closing(grasp, down, rng, BRIEFLY)
        yield Move(np.array([*grasp[:2], height]), down, CLOSE, 0.03, 0.5, speed)
        if _far(group.trash_pos, scene.hand(1)[0]) > MISSED:
            continue
        down = hand_at(-math.pi / 2 + swung)
        yield Move(np.array([*goal, height]), down, CLOSE, 0.06, 1.0, speed, most=80)
        if group.trash_in_trash_bin or _far(group.trash_pos, scene.hand(1)[0]) < MISSED:
            break
    low = np.array([*goal, TABLE + rng.uniform(0.1, 0.16)])
    yield Move(low, down, CLOSE, 0.05, 1.0, speed, most=30)
    yield Move(low, down, OPEN, 0.05, 1.0, 0.3, int(rng.integers(4, 7)))
    yield Move(np.array([*goal, CLEAR]), down, OPEN, 0.04, 1.0, speed)


def _take_hammer(
    scene: Scene, rng: np.random.Generator, speed: float, handover: Handover
) -> Iterator[Move]:
    """Takes the hammer by the half of its handle farther from the first arm."""
    apart = APART + rng.uniform(-0.004, 0.006)
    turned = rng.normal(0, 0.04)
    slowly = rng.uniform(0.5, 0.8)
    lean = Rotation.from_euler("x", -rng.uniform(0.1, 0.3))
    _, hand = scene.hand(1)
    down = lean * hand_at(nearest_equivalent(-math.pi / 2, yaw_of_hand(hand), math.pi))
    wait = WAITING + rng.uniform(-0.03, 0.03, 3)
    waiting = Move(wait, down, OPEN, 0.05, 0.5, speed, most=PATIENCE)
    yield waiting._replace(until=lambda: handover.offered)
    for _ in range(TRIES):
        along = _along_handle(scene, scene.hand(0)[0]) + apart
        grasp, bearing = _on_handle(scene, along)
        _, hand = scene.hand(1)
        down = lean * hand_at(
            nearest_equivalent(bearing + turned, yaw_of_hand(hand), math.pi)
        )
        above = np.add(grasp, [0, rng.uniform(0.01, 0.04), rng.uniform(0.08, 0.1)])
        yield Move(above, down, OPEN, 0.02, 0.15, speed)
        grasp, _ = _on_handle(scene, along)
        yield _reach(grasp, down, rng, slowly)
        yield closing(grasp, down, rng, BRIEFLY)
        if _holds_hammer(scene, 1):
            break
    handover.taken = True
    place, hand = scene.hand(1)
    yield Move(place, hand, CLOSE, 0.1, 1.0, 0.3, until=lambda: handover.left)


def _lay_hammer(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Move]:
    """Lays the hammer into its bin, and lets go."""
    target = cast(TransportSuite, scene.suite).transport.target_bin_pos
    goal = target[:2] + rng.uniform(-1, 1, 2) * [0.03, 0.008]
    turned = rng.normal(0, 0.1)
    for height, near, pace in ((TABLE + 0.25, 0.04, speed), (TABLE + 0.03, 0.01, 0.8)):
        place, hand = scene.hand(1)
        middle = _middle_of_hammer(scene)
        down = hand_at(
            nearest_equivalent(-math.pi / 2 + turned, yaw_of_hand(hand), math.pi)
        )
        to = [*goal, height] - (down * hand.inv()).apply(middle - place)
        yield Move(to, down, CLOSE, near, 0.2, pace, most=80)
    place, hand = scene.hand(1)
    yield Move(place, hand, OPEN, 0.05, 1.0, 0.3, 8)
    yield Move(np.add(place, [0, 0, 0.2]), hand, OPEN, 0.03, 1.0, speed)


def _reach(
    place: np.ndarray, turn: Rotation, rng: np.random.Generator, speed: float
) -> Move:
    pause = short_pause(rng)
    return Move(place, turn, OPEN, 0.012, 0.12, speed, pause, most=50, catch=FINE)


def _on_handle(scene: Scene, along: float) -> tuple[np.ndarray, float]:
    """Returns a point on the hammer's handle [m], and its direction [rad].

    Args:
        scene: State of the scene.
        along: Distance from the handle's middle, away from the first arm [m].
    """
    middle, turn = scene.body("payload_root")
    axis = turn.as_matrix()[:, 2]
    away = axis if axis[1] > 0 else -axis
    return middle + along * away, math.atan2(away[1], away[0])


def _middle_of_hammer(scene: Scene) -> np.ndarray:
    """Returns the middle of its length [m], nearer to the head than the handle's."""
    hammer, turn = scene.body("payload_root")
    return hammer + turn.apply([0, 0, MIDDLE])


def _along_handle(scene: Scene, place: np.ndarray) -> float:
    """Returns how far a place is along the handle, from its middle [m]."""
    middle, _ = _on_handle(scene, 0.0)
    ahead, _ = _on_handle(scene, 1.0)
    return float((place - middle) @ (ahead - middle))


def _holds_hammer(scene: Scene, arm: int) -> bool:
    """Tells whether the hammer's handle is where this hand is."""
    hammer, turn = scene.body("payload_root")
    place, _ = scene.hand(arm)
    axis = turn.as_matrix()[:, 2]
    along = np.clip((place - hammer) @ axis, -HANDLE, HANDLE)
    return _far(hammer + along * axis, place) < MISSED


def _far(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other))
