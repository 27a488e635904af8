"""A scripted demonstrator of Transport: two arms, a plan for each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from dp_bench.data.demos import Demonstration

from .env import Transport
from .script import (
    CLOSE,
    OPEN,
    TABLE,
    TRIES,
    Go,
    Scene,
    alike,
    closing,
    hand_at,
    play,
    some_pause,
    yaw_of,
    yaw_of_hand,
)

MISSED = 0.035  # from the hand to what it should hold, at least, where it does not [m]
FINE = 0.03  # where catching up begins on the way to a thing [m]
BRIEFLY = (11, 15)  # steps that a gripper is given to close, of Transport
LET_GO = (8, 11)  # steps that it is given to open for good
PATIENCE = 700  # steps that one arm waits for another, at most
CLEAR = 1.02  # height of a hand that carries a thing over a bin's wall [m]
ASIDE = (-0.17, -0.45)  # where the lid is laid, x, y [m]
MEETING = (0.0, -0.06, 1.08)  # where the first hand offers the hammer [m]
WAITING = (0.0, 0.17, 1.18)  # where the second hand waits for it [m]
GIVEN_AT = -0.036  # where the first hand takes a hammer's handle, from its middle [m]
APART = 0.092  # of two hands that hold it [m]
DRAWN = 0.008  # how far a hand is drawn back while it closes [m]
HANDLE = 0.08  # from the middle of a hammer's handle to where it can be held [m]
MIDDLE = 0.0175  # from the middle of a hammer's handle to that of its length [m]


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays Transport from a start; None where it fails."""
    return play(Transport, plan, env_seed, 700)


@dataclass
class Handover:
    """What two hands tell each other.

    Attributes:
        offered: The first holds the hammer still.
        taken: The second holds it too.
        left: The first has let go of it and is out of the way.
    """

    offered: bool = False
    taken: bool = False
    left: bool = False


def plan(scene: Scene, rng: np.random.Generator) -> tuple[Iterator[Go], Iterator[Go]]:
    """One arm uncovers the hammer and hands it over; the other clears its bin."""
    first, second = rng.spawn(2)
    handover = Handover()
    return _plan_giver(scene, first, handover), _plan_taker(scene, second, handover)


def _plan_giver(
    scene: Scene, rng: np.random.Generator, handover: Handover
) -> Iterator[Go]:
    """Lays the lid aside, takes the hammer, offers it, lets go of it."""
    speed = rng.uniform(0.8, 1.0)
    yield from _lay_lid_aside(scene, rng, speed)
    turned = math.pi / 2 + rng.normal(0, 0.06)
    along = GIVEN_AT + rng.uniform(-0.008, 0.008)
    meeting = MEETING + rng.uniform(-1, 1, 3) * [0.03, 0.015, 0.03]
    for _ in range(TRIES):
        yield from _lift_hammer(scene, rng, speed, along)
        down = hand_at(alike(turned, yaw_of_hand(scene.hand(0)[1]), math.pi))
        yield Go(meeting, down, CLOSE, 0.015, 0.1, speed, 1, most=80)
        if not _holds_hammer(scene, 0):
            continue  # it was lost on the way
        place, _ = scene.hand(0)
        if _far(place, meeting) > MISSED:  # caught by the bin
            high = np.add(place, [0, -0.02, 0.1])
            yield Go(high, down, CLOSE, 0.03, 0.5, speed, most=40)
            yield Go(meeting, down, CLOSE, 0.015, 0.1, speed, 1, most=80)
        break
    handover.offered = True
    go = Go(meeting, down, CLOSE, 1.0, 4.0, speed, most=PATIENCE)
    yield go._replace(until=lambda: handover.taken)
    place, hand = scene.hand(0)
    yield Go(place, hand, OPEN, 0.05, 1.0, 0.3, int(rng.integers(*LET_GO)))
    up = np.add(place, [0, 0, 0.09])
    yield Go(up, hand, OPEN, 0.03, 1.0, speed, most=30)
    handover.left = True
    yield Go(np.add(up, [0, -0.15, 0.03]), hand, OPEN, 0.03, 1.0, speed)


def _plan_taker(
    scene: Scene, rng: np.random.Generator, handover: Handover
) -> Iterator[Go]:
    """Throws the trash away, takes the hammer, lays it into its bin."""
    speed = rng.uniform(0.8, 1.0)
    yield from _clear_bin(scene, rng, speed)
    yield from _take_hammer(scene, rng, speed, handover)
    yield from _lay_hammer(scene, rng, speed)


def _lay_lid_aside(
    scene: Scene, rng: np.random.Generator, speed: float
) -> Iterator[Go]:
    _, hand = scene.hand(0)
    group = scene.suite.transport
    down = hand_at(alike(math.pi / 2 + rng.normal(0, 0.04), yaw_of_hand(hand), math.pi))
    offset = [rng.uniform(-0.003, 0.003), rng.uniform(-0.02, 0.02)]
    slowly = rng.uniform(0.5, 0.8)
    for _ in range(TRIES):
        handle = group.lid_handle_pos
        above = np.add(handle, [*offset, rng.uniform(0.06, 0.09)])
        yield Go(above, down, OPEN, 0.03, 0.15, speed)
        grasp = np.add(handle, [*offset, rng.uniform(0.0, 0.008)])
        yield _reach(grasp, down, rng, slowly)
        yield closing(grasp, down, rng, BRIEFLY)
        lifted = np.add(grasp, [-0.02, 0, rng.uniform(0.07, 0.1)])
        yield Go(lifted, down, CLOSE, 0.04, 0.5, speed)
        if _far(group.lid_handle_pos, scene.hand(0)[0]) < MISSED:
            break
    aside = np.array([*(ASIDE + rng.uniform(-0.02, 0.02, 2)), lifted[2]])
    yield Go(aside, down, CLOSE, 0.06, 0.5, speed, most=80)
    aside[2] = TABLE + rng.uniform(0.04, 0.06)
    yield Go(aside, down, CLOSE, 0.02, 0.5, rng.uniform(0.6, 0.9), most=40)
    yield Go(aside, down, OPEN, 0.05, 1.0, 0.3, int(rng.integers(5, 8)))
    yield Go(np.add(aside, [0, 0, 0.1]), down, OPEN, 0.04, 1.0, speed)


def _lift_hammer(
    scene: Scene, rng: np.random.Generator, speed: float, along: float
) -> Iterator[Go]:
    """By the half of it that is nearer to this arm."""
    start, _ = scene.body("transport_start_bin_root")
    turned = rng.normal(0, 0.04)
    slowly = rng.uniform(0.5, 0.8)
    for _ in range(TRIES):
        grasp, bearing = _on_handle(scene, along)
        down = hand_at(alike(bearing + turned, yaw_of_hand(scene.hand(0)[1]), math.pi))
        above = np.array([*grasp[:2], rng.uniform(1.0, 1.04)])
        yield Go(above, down, OPEN, 0.02, 0.15, speed)
        grasp = _on_handle(scene, along)[0]
        grasp += [0, DRAWN, rng.uniform(0.006, 0.012)]
        yield _reach(grasp, down, rng, slowly)
        yield closing(grasp, down, rng, BRIEFLY)
        # it fills the bin's length, and a hand that goes up is drawn back
        middle = _middle_of_hammer(scene)
        place, _ = scene.hand(0)
        place[1] += start[1] - middle[1]
        low = np.add(place, [0, 0, 0.06])
        yield Go(low, down, CLOSE, 0.03, 0.5, slowly, most=30)
        place[2] = CLEAR + rng.uniform(0.04, 0.07)
        yield Go(place, down, CLOSE, 0.03, 0.5, speed)
        if _holds_hammer(scene, 0):
            return


def _clear_bin(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Go]:
    group = scene.suite.transport
    goal = group.trash_bin_pos[:2] + rng.uniform(-0.04, 0.04, 2)
    height = CLEAR + rng.uniform(0.0, 0.04)
    turned, swung = rng.normal(0, 0.05), rng.normal(0, 0.2)
    slowly = rng.uniform(0.5, 0.8)
    for _ in range(TRIES):
        trash, turn = scene.body("trash_main")
        _, hand = scene.hand(1)
        down = hand_at(alike(yaw_of(turn) + turned, yaw_of_hand(hand), math.pi / 2))
        above = np.add(trash, [*rng.uniform(-0.02, 0.02, 2), rng.uniform(0.14, 0.18)])
        yield Go(above, down, OPEN, 0.03, 0.2, speed)
        grasp, _ = scene.body("trash_main")
        grasp += [*rng.uniform(-0.004, 0.004, 2), rng.uniform(-0.004, 0.006)]
        yield _reach(grasp, down, rng, slowly)
        yield closing(grasp, down, rng, BRIEFLY)
        yield Go(np.array([*grasp[:2], height]), down, CLOSE, 0.03, 0.5, speed)
        if _far(group.trash_pos, scene.hand(1)[0]) > MISSED:
            continue
        down = hand_at(-math.pi / 2 + swung)
        yield Go(np.array([*goal, height]), down, CLOSE, 0.06, 1.0, speed, most=80)
        if group.trash_in_trash_bin or _far(group.trash_pos, scene.hand(1)[0]) < MISSED:
            break
    low = np.array([*goal, TABLE + rng.uniform(0.1, 0.16)])
    yield Go(low, down, CLOSE, 0.05, 1.0, speed, most=30)
    yield Go(low, down, OPEN, 0.05, 1.0, 0.3, int(rng.integers(4, 7)))
    yield Go(np.array([*goal, CLEAR]), down, OPEN, 0.04, 1.0, speed)


def _take_hammer(
    scene: Scene, rng: np.random.Generator, speed: float, handover: Handover
) -> Iterator[Go]:
    """By the half of it that is farther from the first arm."""
    apart = APART + rng.uniform(-0.004, 0.006)
    turned = rng.normal(0, 0.04)
    slowly = rng.uniform(0.5, 0.8)
    lean = Rotation.from_euler("x", -rng.uniform(0.1, 0.3))
    _, hand = scene.hand(1)
    down = lean * hand_at(alike(-math.pi / 2, yaw_of_hand(hand), math.pi))
    wait = WAITING + rng.uniform(-0.03, 0.03, 3)
    go = Go(wait, down, OPEN, 0.05, 0.5, speed, most=PATIENCE)
    yield go._replace(until=lambda: handover.offered)
    for _ in range(TRIES):
        along = _along_handle(scene, scene.hand(0)[0]) + apart
        grasp, bearing = _on_handle(scene, along)
        _, hand = scene.hand(1)
        down = lean * hand_at(alike(bearing + turned, yaw_of_hand(hand), math.pi))
        above = np.add(grasp, [0, rng.uniform(0.01, 0.04), rng.uniform(0.08, 0.1)])
        yield Go(above, down, OPEN, 0.02, 0.15, speed)
        grasp, _ = _on_handle(scene, along)
        yield _reach(grasp, down, rng, slowly)
        yield closing(grasp, down, rng, BRIEFLY)
        if _holds_hammer(scene, 1):
            break
    handover.taken = True
    place, hand = scene.hand(1)
    yield Go(place, hand, CLOSE, 0.1, 1.0, 0.3, until=lambda: handover.left)


def _lay_hammer(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Go]:
    target = scene.suite.transport.target_bin_pos
    goal = target[:2] + rng.uniform(-1, 1, 2) * [0.03, 0.008]
    turned = rng.normal(0, 0.1)
    for height, near, pace in ((TABLE + 0.25, 0.04, speed), (TABLE + 0.03, 0.01, 0.8)):
        place, hand = scene.hand(1)
        middle = _middle_of_hammer(scene)
        down = hand_at(alike(-math.pi / 2 + turned, yaw_of_hand(hand), math.pi))
        to = [*goal, height] - (down * hand.inv()).apply(middle - place)
        yield Go(to, down, CLOSE, near, 0.2, pace, most=80)
    place, hand = scene.hand(1)
    yield Go(place, hand, OPEN, 0.05, 1.0, 0.3, 8)
    yield Go(np.add(place, [0, 0, 0.2]), hand, OPEN, 0.03, 1.0, speed)


def _reach(
    place: np.ndarray, turn: Rotation, rng: np.random.Generator, speed: float
) -> Go:
    pause = some_pause(rng)
    return Go(place, turn, OPEN, 0.012, 0.12, speed, pause, most=50, catch=FINE)


def _on_handle(scene: Scene, along: float) -> tuple[np.ndarray, float]:
    """A point on the hammer's handle [m], and the handle's direction [rad].

    Args:
        scene: Where the hammer is.
        along: How far it is from the handle's middle, away from the first arm [m].
    """
    middle, turn = scene.body("payload_root")
    axis = turn.as_matrix()[:, 2]
    away = axis if axis[1] > 0 else -axis
    return middle + along * away, math.atan2(away[1], away[0])


def _middle_of_hammer(scene: Scene) -> np.ndarray:
    """The middle of its length [m]; the handle's is farther from its head."""
    hammer, turn = scene.body("payload_root")
    return hammer + turn.apply([0, 0, MIDDLE])


def _along_handle(scene: Scene, place: np.ndarray) -> float:
    """How far a place is from the handle's middle, away from the first arm [m]."""
    middle, _ = _on_handle(scene, 0.0)
    ahead, _ = _on_handle(scene, 1.0)
    return float((place - middle) @ (ahead - middle))


def _holds_hammer(scene: Scene, arm: int) -> bool:
    """Whether the hammer's handle is where this hand is."""
    hammer, turn = scene.body("payload_root")
    place, _ = scene.hand(arm)
    axis = turn.as_matrix()[:, 2]
    along = np.clip((place - hammer) @ axis, -HANDLE, HANDLE)
    return _far(hammer + along * axis, place) < MISSED


def _far(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other))
