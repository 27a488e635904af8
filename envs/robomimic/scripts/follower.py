"""Follows the moves of a plan with one arm."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..suite import ACTION_REACH
from .moves import OPEN, Move
from .scene import Scene

GAIN = 1.5  # share of the distance to a target that an action asks for
LAG_GAIN = 0.1  # share of the distance that is added to later steps, as hands lag
MAX_LAG = 0.04  # [m]
TURN_SPEED = 0.6  # of the largest turn, at the largest speed
FINE_GAIN = 1.2  # as GAIN, for fine moves, which need no lag correction
FINE_TURN = 0.9  # as TURN_SPEED, for fine moves


class Follower:
    """Turns the moves of a plan into actions of one arm.

    Args:
        scene: State of the scene.
        arm: Number of the arm.
        plan: Moves.

    Attributes:
        done: Whether the plan has ended.
    """

    def __init__(self, scene: Scene, arm: int, plan: Iterator[Move]) -> None:
        self._scene, self._arm, self._plan = scene, arm, plan
        self._move: Move | None = None
        self._grip = OPEN
        self._lag = np.zeros(3)
        self._steps = self._stayed = 0
        self.done = False

    def act(self) -> np.ndarray:
        """Returns the next action, `(7,)`; a hand whose plan has ended stays."""
        place, turn = self._scene.hand(self._arm)
        while not self.done:
            if self._move is None:
                self._begin(next(self._plan, None))
                continue
            move = self._move
            offset, error = move.to - place, (move.turn * turn.inv()).as_rotvec()
            near, aligned = np.linalg.norm(offset), np.linalg.norm(error)
            arrived = bool(near < move.near and aligned < move.aligned)
            arrived = arrived and (move.until is None or move.until())
            if self._steps >= move.most or (arrived and self._stayed >= move.stay):
                self._move = None
                continue
            self._stayed += arrived
            self._steps += 1
            self._grip = move.grip
            if move.fine:
                return np.array([*self._fine(offset, error, move), move.grip])
            turning = at_most(error / ACTION_REACH[3], TURN_SPEED * move.speed)
            return np.array([*self._shift(offset, move), *turning, move.grip])
        return np.array([0.0] * 6 + [self._grip])

    def _begin(self, move: Move | None) -> None:
        self._move, self.done = move, move is None
        self._steps = self._stayed = 0
        self._lag *= 0.5

    def _shift(self, offset: np.ndarray, move: Move) -> np.ndarray:
        """Returns the first three numbers of an action, with the lag correction."""
        if np.linalg.norm(offset) < move.catch:
            self._lag = np.clip(self._lag + LAG_GAIN * offset, -MAX_LAG, MAX_LAG)
        wanted = at_most(GAIN * offset / ACTION_REACH[0], move.speed)
        return np.clip(wanted + self._lag / ACTION_REACH[0], -1.0, 1.0)

    def _fine(self, offset: np.ndarray, error: np.ndarray, move: Move) -> np.ndarray:
        """Returns the first six numbers of an action that corrects the coupling."""
        coasting, coupling = self._scene.coupling(self._arm)
        wanted = [
            *at_most(FINE_GAIN * offset[:2] / ACTION_REACH[0], move.speed),
            *at_most(FINE_GAIN * offset[2:] / ACTION_REACH[0], move.speed),
            *at_most(FINE_GAIN * error / ACTION_REACH[3], FINE_TURN * move.speed),
        ]
        rest = coasting / ACTION_REACH
        push = coupling @ (wanted * np.array(ACTION_REACH) - coasting) / ACTION_REACH
        # scale down a push that is too large: clipping it would mix moves and turns
        side = np.where(push < 0, -1.0, 1.0)
        share = ((side - rest) / np.where(push == 0, 1e-9, push)).min()
        return np.clip(rest + push * np.clip(share, 0.0, 1.0), -1.0, 1.0)


def at_most(vector: np.ndarray, largest: float) -> np.ndarray:
    """Scales a vector down until no component is larger than this."""
    return vector * min(1.0, largest / max(np.abs(vector).max(), 1e-9))
