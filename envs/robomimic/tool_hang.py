"""A scripted demonstrator of ToolHang."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.spatial.transform import Rotation

from dp_bench.data.demos import Demonstration

from .env import ToolHang
from .script import (
    CLOSE,
    OPEN,
    TABLE,
    TRIES,
    Go,
    Scene,
    closing,
    hand_at,
    play,
    some_pause,
)

UP = np.array([0.0, 0.0, 1.0])
# the frame is a bar with a tip below and an arm above that ends in a lip;
# its own z leads up along the bar, and its arm away from its own x
FRAME_TIP = np.array([0.04375, 0.0, -0.13445])  # in the frame's axes [m]
FRAME_GRIP = np.array([0.04375, 0.0, 0.0525])  # in the frame's axes [m]
FRAME_LIP = np.array([-0.04, 0.0, 0.09])  # where the lip meets the arm, inside [m]
HOLE = np.array([0.0, 0.045, 0.08])  # the stand's, in its axes [m]
DEPTH = 0.15  # of the hole [m]
TOOL_REACH = 0.0936  # from the middle of the tool to the middle of its ring [m]
IN_HAND = 0.1  # a body whose middle is nearer to the hand may be held [m]
RING_IN = 0.002  # a ring that is less far out hangs when it is let go [m]
RING_ASIDE = 0.004  # a ring that is less far aside goes over the lip [m]

Manner = tuple[float, float, float, int, int]


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays ToolHang from a start; None where it fails."""
    return play(ToolHang, plan, env_seed, 700)


def plan(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    """Puts the frame into the stand, and hangs the tool on it by its ring."""
    speed = rng.uniform(0.75, 1.0)
    for _ in range(TRIES):
        if not scene.suite._check_frame_assembled():
            yield from _take_frame(scene, rng, speed)
            if _is_held(scene, "frame_root"):
                yield from _insert_frame(scene, rng, speed)
        if scene.suite._check_frame_assembled():
            yield from _take_tool(scene, rng, speed)
            if _is_held(scene, "tool_root"):
                yield from _hang_tool(scene, rng, speed)


def _take_frame(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Go]:
    """By its grip, from above, so that the hand is level when the frame stands."""
    tilt = math.radians(rng.uniform(-8, 2))
    grip = np.add(FRAME_GRIP, [0, 0, rng.uniform(-0.006, 0.01)])
    ahead = [0.0, math.cos(tilt), -math.sin(tilt)]
    yield from _take(scene, rng, speed, "frame_root", grip, ahead, [1, 0, 0])


def _insert_frame(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Go]:
    """Upright over the hole, down as far as it goes, lets go, back and over it."""
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
        yield Go(to, hand, CLOSE, near, aligned, pace, stay, most)
    yield from _let_go(scene, rng, speed)
    stand, _ = scene.body("stand_root")
    above = rng.uniform(0.26, 0.3)
    over = np.add(stand, [*rng.uniform(-0.02, 0.02, 2), above])
    yield Go(over, hand_at(math.pi / 2), OPEN, 0.06, 2.0, speed, most=30)


def _take_tool(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Go]:
    """Across its grip, the hand inclined towards the ring."""
    tilt = math.radians(rng.uniform(12, 24))
    grip = np.array([rng.uniform(0.0, 0.015), 0, 0])
    ahead = [math.sin(tilt), 0.0, -math.cos(tilt)]
    yield from _take(scene, rng, speed, "tool_root", grip, ahead, [0, -1, 0])


def _hang_tool(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Go]:
    """Its ring down over the lip from outside, its end lowered, lets go, away."""
    above = rng.uniform(0.035, 0.05)
    # out, height, tilt; near, aligned, speed, stay, most
    way: tuple[tuple[float, float, float, Manner], ...] = (
        (0.004, 0.002, 22, (0.004, 0.08, 0.4, 0, 30)),
        (0.003, 0.0, 40, (0.004, 0.1, 0.5, 0, 20)),
        (-0.002, -0.003, 58, (0.005, 0.15, 0.5, 0, 15)),
    )
    yield _ring_to(scene, 0.05, above + 0.03, 15, (0.04, 0.25, speed, 0, 80))
    for _ in range(TRIES):
        for _ in range(TRIES):  # the frame may turn a little meanwhile
            yield _ring_to(scene, 0.004, above, 22, (0.005, 0.05, 0.6, 2, 50))
            if abs(_ring_from_lip(scene)[1]) < RING_ASIDE:
                break
        for stretch in way:
            yield _ring_to(scene, *stretch)
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
) -> Iterator[Go]:
    """Takes a body and lifts it.

    Args:
        scene: What the script knows.
        rng: For what differs from one time to the next.
        speed: Of the longer stretches.
        name: Of the body.
        grip: Where it is held, in its axes [m].
        ahead: Where the hand points, in the body's axes.
        across: What the fingers close along, in the body's axes.
    """

    def before(back: float) -> tuple[np.ndarray, Rotation]:
        body, turn = scene.body(name)
        hand = _hand_along(turn.apply(ahead), turn.apply(across))
        return body + turn.apply(np.subtract(grip, np.multiply(back, ahead))), hand

    place, hand = before(rng.uniform(0.07, 0.1))
    place[:2] += rng.uniform(-0.015, 0.015, 2)
    yield Go(place, hand, OPEN, 0.03, 0.2, speed)
    place, hand = before(rng.uniform(0.0, 0.003))
    slowly = rng.uniform(0.5, 0.8)
    yield Go(place, hand, OPEN, 0.012, 0.06, slowly, some_pause(rng), most=50)
    yield closing(place, hand, rng)
    place, hand = scene.hand()
    up = np.add(place, [*rng.uniform(-0.02, 0.02, 2), rng.uniform(0.11, 0.16)])
    yield Go(up, hand, CLOSE, 0.03, 0.5, speed, most=30)


def _let_go(scene: Scene, rng: np.random.Generator, speed: float) -> Iterator[Go]:
    """Opens the hand and draws it straight back."""
    place, hand = scene.hand()
    yield Go(place, hand, OPEN, 0.05, 1.0, 0.3, int(rng.integers(4, 7)))
    back = place - rng.uniform(0.07, 0.1) * hand.as_matrix()[:, 2]
    yield Go(back, hand, OPEN, 0.03, 1.0, speed, most=20)


def _ring_to(
    scene: Scene, out: float, height: float, tilt: float, manner: Manner
) -> Go:
    """Brings the tool's ring to a place beside the lip, as the frame is now.

    Args:
        scene: What the script knows.
        out: Where, outwards along the frame's arm [m],
        height: and upwards [m].
        tilt: How far the tool's other end is lowered [deg].
        manner: `near`, `aligned`, `speed`, `stay` and `most` of the stretch.
    """
    frame, turn = scene.body("frame_root")
    outward = -turn.as_matrix()[:, 0]
    level = Rotation.from_matrix(np.column_stack([outward, np.cross(UP, outward), UP]))
    ring = frame + turn.apply(FRAME_LIP) + out * outward + height * UP
    to, hand = _held(
        scene,
        "tool_root",
        ring,
        level * Rotation.from_euler("y", tilt, degrees=True),
        np.array([-TOOL_REACH, 0, 0]),
    )
    near, aligned, speed, stay, most = manner
    return Go(to, hand, CLOSE, near, aligned, speed, stay, most)


def _ring_from_lip(scene: Scene) -> np.ndarray:
    """Where the ring's middle is seen from the frame's lip: out, aside, up [m]."""
    frame, turn = scene.body("frame_root")
    ring = turn.inv().apply(scene.site("tool_hole1_center") - frame)
    return (ring - FRAME_LIP) * [-1, 1, 1]


def _is_held(scene: Scene, name: str) -> bool:
    """Whether a body is off the table and near the hand."""
    place, _ = scene.hand()
    body, _ = scene.body(name)
    return bool(np.linalg.norm(body - place) < IN_HAND and body[2] > TABLE + 0.04)


def _held(
    scene: Scene, name: str, to: np.ndarray, turn: Rotation, point: np.ndarray
) -> tuple[np.ndarray, Rotation]:
    """Where a hand that holds a body brings a point of it to a place.

    Args:
        scene: What the script knows.
        name: Of the body.
        to: Where the point shall be [m].
        turn: How the body shall be turned.
        point: In the body's axes [m].
    """
    body, now = scene.body(name)
    place, hand = scene.hand()
    change = turn * now.inv()
    return to + change.apply(place - body - now.apply(point)), change * hand


def _hand_along(ahead: np.ndarray, across: np.ndarray) -> Rotation:
    """A hand that points ahead; its fingers close along the direction across."""
    return Rotation.from_matrix(
        np.column_stack([across, np.cross(ahead, across), ahead])
    )
