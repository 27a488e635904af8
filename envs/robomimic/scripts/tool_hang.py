"""The script of ToolHang."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol, cast

import numpy as np
from scipy.spatial.transform import Rotation

from dp_bench.data.demos import Demonstration

from ..env import ToolHang
from ..suite import Suite
from .angles import hand_at
from .moves import CLOSE, OPEN, TABLE, TRIES, Move, closing, short_pause
from .play import play
from .scene import Scene

UP = np.array([0.0, 0.0, 1.0])
# The frame is a bar with a tip below and an arm above. The arm ends in a lip. The
# frame's z axis points up along the bar, and its x axis away from the arm.
FRAME_TIP = np.array([0.04375, 0.0, -0.13445])  # in the frame's axes [m]
FRAME_GRIP = np.array([0.04375, 0.0, 0.0525])  # in the frame's axes [m]
FRAME_LIP = np.array([-0.04, 0.0, 0.09])  # inside, where the lip meets the arm [m]
HOLE = np.array([0.0, 0.045, 0.08])  # in the stand's axes [m]
DEPTH = 0.15  # of the hole [m]
TOOL_REACH = 0.0936  # from the middle of the tool to that of its ring [m]
IN_HAND = 0.1  # a body nearer to the hand than this may be held [m]
RING_IN = 0.002  # a ring less far out than this hangs when the hand lets go [m]
RING_ASIDE = 0.004  # a ring less far aside than this goes over the lip [m]


class RingMove(NamedTuple):
    """A move of the tool's ring relative to the frame's lip.

    Attributes:
        out: Target outwards along the frame's arm [m],
        height: and upwards [m].
        tilt: How far the tool's other end hangs down [deg].
        near: See `Move`.
        aligned: See `Move`.
        speed: See `Move`.
        stay: See `Move`.
        most: See `Move`.
    """

    out: float
    height: float
    tilt: float
    near: float
    aligned: float
    speed: float
    stay: int = 0
    most: int = 30


class ToolHangSuite(Suite, Protocol):
    """Robosuite's ToolHang."""

    def _check_frame_assembled(self) -> bool:
        """Tells whether the frame is in the stand."""


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays ToolHang from the start of a seed; None if it fails."""
    return play(ToolHang, plan, env_seed, 700)


def plan(scene: Scene, rng: np.random.Generator) -> Iterator[Move]:
    """Puts the frame into the stand, and hangs the tool on it by its ring."""
    suite = cast(ToolHangSuite, scene.suite)
    speed = rng.uniform(0.75, 1.0)
    for _ in range(TRIES):
        if not suite._check_frame_assembled():
            yield from _take_frame(scene, rng, speed)
            if _is_held(scene, "frame_root"):
                yield from _insert_frame(scene, rng, speed)
        if suite._check_frame_assembled():
            yield from _take_tool(scene, rng, speed)
            if _is_held(scene, "tool_root"):
                yield from _hang_tool(scene, rng, speed)


def _take_frame(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Move]:
    """Takes the frame by its grip, so that the hand is level when the frame stands."""
    tilt = math.radians(rng.uniform(-8, 2))
    grip = np.add(FRAME_GRIP, [0, 0, rng.uniform(-0.006, 0.01)])
    ahead = [0.0, math.cos(tilt), -math.sin(tilt)]
    yield from _take(scene, rng, speed, "frame_root", grip, ahead, [1, 0, 0])


def _insert_frame(
    scene: Scene, rng: np.random.Generator, speed: float
) -> Iterator[Move]:
    """Pushes the upright frame into the hole, lets go, and withdraws above it."""
    heading = rng.normal(0.1, 0.06)
    above = rng.uniform(0.02, 0.035)
    for height, near, aligned, pace, stay, most in (
        (above + 0.02, 0.04, 0.4, speed, 0, 80),
        (above, 0.006, 0.06, 0.6, 0, 40),
        (0.008, 0.003, 0.03, 0.3, 1, 40),
        (-0.06, 0.01, 0.2, 0.4, 0, 25),
        (0.006 - DEPTH, 0.012, 0.3, 0.6, 0, 30),
    ):
        stand, base = scene.body("stand_root")
        upright = Rotation.from_euler("z", heading + math.pi)
        hole = stand + base.apply(HOLE) + height * UP
        to, hand = _held(scene, "frame_root", hole, upright, FRAME_TIP)
        yield Move(to, hand, CLOSE, near, aligned, pace, stay, most)
    yield from _let_go(scene, rng, speed)
    stand, _ = scene.body("stand_root")
    above = rng.uniform(0.26, 0.3)
    over = np.add(stand, [*rng.uniform(-0.02, 0.02, 2), above])
    yield Move(over, hand_at(math.pi / 2), OPEN, 0.06, 2.0, speed, most=30)


def _take_tool(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Move]:
    """Takes the tool across its grip, with the hand inclined towards the ring."""
    tilt = math.radians(rng.uniform(12, 24))
    grip = np.array([rng.uniform(0.0, 0.015), 0, 0])
    ahead = [math.sin(tilt), 0.0, -math.cos(tilt)]
    yield from _take(scene, rng, speed, "tool_root", grip, ahead, [0, -1, 0])


def _hang_tool(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Move]:
    """Lowers the ring over the lip from outside, tilts the tool, and lets go."""
    above = rng.uniform(0.035, 0.05)
    beside = RingMove(0.05, above + 0.03, 15, 0.04, 0.25, speed, most=80)
    over = RingMove(0.004, above, 22, 0.005, 0.05, 0.6, stay=2, most=50)
    down = (
        RingMove(0.004, 0.002, 22, 0.004, 0.08, 0.4, most=30),
        RingMove(0.003, 0.0, 40, 0.004, 0.1, 0.5, most=20),
        RingMove(-0.002, -0.003, 58, 0.005, 0.15, 0.5, most=15),
    )
    yield _move_ring(scene, beside)
    for _ in range(TRIES):
        for _ in range(TRIES):  # the frame may turn a little meanwhile
            yield _move_ring(scene, over)
            if abs(_ring_from_lip(scene)[1]) < RING_ASIDE:
                break
        for move in down:
            yield _move_ring(scene, move)
        if not _is_held(scene, "tool_root") or _ring_from_lip(scene)[0] < RING_IN:
            break
    yield from _let_go(scene, rng, speed)


def _take(
    scene: Scene,
    rng: np.random.Generator,
    speed: float,
    name: str,
    grip: np.ndarray,
    ahead: list[float],
    across: list[float],
) -> Iterator[Move]:
    """Takes a body and lifts it.

    Args:
        scene: State of the scene.
        rng: Draws how the hand takes the body.
        speed: Of the longer moves.
        name: Name of the body.
        grip: Where the hand holds the body, in its axes [m].
        ahead: Direction in which the hand points, in the body's axes.
        across: Direction along which the fingers close, in the body's axes.
    """

    def before(back: float) -> tuple[np.ndarray, Rotation]:
        body, turn = scene.body(name)
        hand = _hand_along(turn.apply(ahead), turn.apply(across))
        return body + turn.apply(np.subtract(grip, np.multiply(back, ahead))), hand

    place, hand = before(rng.uniform(0.07, 0.1))
    place[:2] += rng.uniform(-0.015, 0.015, 2)
    yield Move(place, hand, OPEN, 0.03, 0.2, speed)
    place, hand = before(rng.uniform(0.0, 0.003))
    slowly = rng.uniform(0.5, 0.8)
    yield Move(place, hand, OPEN, 0.012, 0.06, slowly, short_pause(rng), most=50)
    yield closing(place, hand, rng)
    place, hand = scene.hand()
    up = np.add(place, [*rng.uniform(-0.02, 0.02, 2), rng.uniform(0.11, 0.16)])
    yield Move(up, hand, CLOSE, 0.03, 0.5, speed, most=30)


def _let_go(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Move]:
    """Opens the hand and draws it straight back."""
    place, hand = scene.hand()
    yield Move(place, hand, OPEN, 0.05, 1.0, 0.3, int(rng.integers(4, 7)))
    back = place - rng.uniform(0.07, 0.1) * hand.as_matrix()[:, 2]
    yield Move(back, hand, OPEN, 0.03, 1.0, speed, most=20)


def _move_ring(scene: Scene, move: RingMove) -> Move:
    """Returns the move of the hand that brings the ring to its target."""
    frame, turn = scene.body("frame_root")
    outward = -turn.as_matrix()[:, 0]
    level = Rotation.from_matrix(np.column_stack([outward, np.cross(UP, outward), UP]))
    ring = frame + turn.apply(FRAME_LIP) + move.out * outward + move.height * UP
    to, hand = _held(
        scene,
        "tool_root",
        ring,
        level * Rotation.from_euler("y", move.tilt, degrees=True),
        np.array([-TOOL_REACH, 0, 0]),
    )
    return Move(to, hand, CLOSE, *move[3:])


def _ring_from_lip(scene: Scene) -> np.ndarray:
    """Returns the ring's middle relative to the frame's lip: out, aside, up [m]."""
    frame, turn = scene.body("frame_root")
    ring = turn.inv().apply(scene.site("tool_hole1_center") - frame)
    return (ring - FRAME_LIP) * [-1, 1, 1]


def _is_held(scene: Scene, name: str) -> bool:
    """Tells whether a body is off the table and near the hand."""
    place, _ = scene.hand()
    body, _ = scene.body(name)
    return bool(np.linalg.norm(body - place) < IN_HAND and body[2] > TABLE + 0.04)


def _held(
    scene: Scene, name: str, to: np.ndarray, turn: Rotation, point: np.ndarray
) -> tuple[np.ndarray, Rotation]:
    """Returns the hand's pose that brings a point of a held body to a place.

    Args:
        scene: State of the scene.
        name: Name of the body.
        to: Where the point should be [m].
        turn: Rotation that the body should have.
        point: In the body's axes [m].
    """
    body, now = scene.body(name)
    place, hand = scene.hand()
    change = turn * now.inv()
    return to + change.apply(place - body - now.apply(point)), change * hand


def _hand_along(ahead: np.ndarray, across: np.ndarray) -> Rotation:
    """Returns a hand that points ahead and closes along the direction across."""
    return Rotation.from_matrix(
        np.column_stack([across, np.cross(ahead, across), ahead])
    )
