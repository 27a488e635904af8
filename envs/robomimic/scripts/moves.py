"""Moves of a hand, of which the scripts' plans consist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from .angles import distance, hand_at, partial_turn, yaw_of_hand
from .scene import Scene

OPEN, CLOSE = -1.0, 1.0  # actions of a gripper
CLOSING = (14, 20)  # steps that a gripper gets to close
GRIPPING = (10, 15)  # the same if the hand stands still
OPENING = 4  # steps that a gripper gets to open
NEAR = 0.08  # distance from the target at which the lag correction begins [m]
TABLE = 0.8  # height of tables [m]
TRIES = 3  # times that a script tries to take a thing
PACE = (0.7, 1.0)  # speeds
MAX_DESCENT = 70  # steps
OFF = 0.004  # a hand whose error is below this descends all the way [m]
TOLERANCE = 0.004  # the descent ends if the error is larger by less than this [m],
LEVEL = 0.002  # and the height is right within this [m]
LEVER = 0.03  # distance that counts as much as an angle of 1 [m]

# From a hand's yaw: where the hand should go, and how far it should turn [rad].
Aim = Callable[[float], tuple[np.ndarray, float]]


class Move(NamedTuple):
    """One move of a hand to a target.

    Attributes:
        to: Position of the target, x, y, z [m].
        turn: Rotation of the hand there.
        grip: Action of the gripper during the move.
        near: The hand has arrived if its distance is smaller than this [m],
        aligned: and its rotation is right within this [rad].
        speed: Largest action on the way.
        stay: Steps that the hand stays.
        most: Steps after which the move ends even if the hand has not arrived.
        until: The hand waits at the target until this is true, and then stays.
        catch: Distance at which the lag correction begins [m]; the smaller, the less
            the hand overshoots.
        fine: Whether the follower corrects for the way in which the controller mixes
            moves and turns. The hand is faster then, and neither overshoots nor lags.
    """

    to: np.ndarray
    turn: Rotation
    grip: float
    near: float = 0.01
    aligned: float = 0.1
    speed: float = 1.0
    stay: int = 0
    most: int = 120
    until: Callable[[], bool] | None = None
    catch: float = NEAR
    fine: bool = False


def come_down(
    scene: Scene,
    aim: Aim,
    slope: float,
    hover: float,
    lean: np.ndarray,
    pace: float,
) -> Iterator[Move]:
    """Descends on a thing while the hand comes straight over it.

    Args:
        scene: State of the scene.
        aim: Where the hand should go, and how far it should turn.
        slope: Height of the hand over the thing, divided by its sideways error,
        hover: and the largest height [m].
        lean: Sideways offset at the largest height, x, y [m].
        pace: Largest action.
    """
    for _ in range(MAX_DESCENT):
        place, hand = scene.hand()
        to, left = aim(yaw_of_hand(hand))
        error = distance(to, place) + LEVER * abs(left) - OFF
        if error < TOLERANCE and abs(to[2] - place[2]) < LEVEL:
            break
        rise = min(hover, slope * max(0.0, error))
        to = np.add(to, [*(lean * rise / hover), rise])
        down = hand_at(yaw_of_hand(hand) + partial_turn(left))
        yield Move(to, down, OPEN, 0.0, speed=pace, most=1, fine=True)


def grip(scene: Scene, rng: np.random.Generator) -> Iterator[Move]:
    """Closes the gripper where the hand is."""
    place, hand = scene.hand()
    yield Move(place, hand, OPEN, 0.0, most=short_pause(rng), fine=True)
    yield Move(place, hand, CLOSE, 0.0, most=int(rng.integers(*GRIPPING)), fine=True)


def leave(scene: Scene) -> Iterator[Move]:
    """Opens the gripper where the hand is, and goes up."""
    place, hand = scene.hand()
    yield Move(place, hand, OPEN, 0.0, most=OPENING)
    yield Move(np.add(place, [0, 0, 0.1]), hand, OPEN, 0.03, 1.0, 0.9, most=20)


def closing(
    place: np.ndarray,
    turn: Rotation,
    rng: np.random.Generator,
    steps: tuple[int, int] = CLOSING,
) -> Move:
    """Closes the gripper at a place, in a number of steps drawn from a range."""
    return Move(place, turn, CLOSE, 0.05, 1.0, 0.3, int(rng.integers(*steps)))


def short_pause(rng: np.random.Generator) -> int:
    """Draws a pause of 0, 1 or 2 steps."""
    return int(rng.integers(0, 3))
