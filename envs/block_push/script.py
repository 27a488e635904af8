"""BlockPush: a scripted demonstrator, and the episodes it plays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dp_bench.data.recording import EpisodeRecorder

from ..scores import different_rewards
from .env import BlockPush
from .geometry import AIM, CONTROL_RATE, PLACES, POSE, start

if TYPE_CHECKING:
    from dp_bench.data.demos import Demonstration

Point = tuple[float, float]

MAX_STEPS = 350
BEHIND = 0.05  # distance from a block at which the pusher lines up behind it [m]
BESIDE = 0.03  # distance at which it has come up to the block [m]
THROUGH = 0.01  # distance of its target while it pushes: inside the block [m]
CIRCLE = 0.025  # distance at which it circles a block to turn it [m]
ARC = 0.2  # how far ahead on that circle its target is [rad]
THERE = 0.001  # the pusher's target reaches a point within this distance [m]
DELIVERED = 0.04  # distance from its target at which the first block is left [m]
CROOKED, STRAIGHT = 0.2, 0.03  # heading errors that begin and end a turn [rad]
SPEED = {  # largest speed of the pusher's target [m/s]
    "line up": 0.3,
    "come up": 0.35,
    "push": 0.35,
    "turn": 0.15,
    "back off": 0.3,
    "go home": 0.3,
}


class Demonstrator:
    """Pushes one block into a target, goes back, and pushes the other one.

    The pusher lines up behind the block, on the line from the target through the
    block's centre; it comes up to the block, and pushes. If none of the block's four
    sides faces the target, the pusher turns the block first: it circles the block,
    close enough to drag it along. After the first block it goes back to the point where
    it first lined up, then to its start, and from there to the second block.

    The demonstrator moves the pusher's target, which the pusher follows.

    Attributes:
        order: Which block goes first, and into which target, drawn uniformly: 0, block
            1 into target 1; 1, block 1 into 2; 2, block 2 into 1; 3, block 2 into 2.
    """

    def reset(self, rng: np.random.RandomState | np.random.Generator) -> None:
        """Begins an episode and draws an order."""
        self.order = int(rng.choice(4))
        self._block, self._place = divmod(self.order, 2)
        self._is_first = True
        self._phase = "line up"
        self._side = 0.0  # direction in which it circles the block: 1 is from x to y
        self._home: Point | None = None
        self._lined_up: Point | None = None

    def act(self, state: np.ndarray) -> np.ndarray:
        """Returns the displacement of the pusher's target, `(2,)`, float32 [m].

        Args:
            state: `info["state"]` of the environment.
        """
        x, y = state[AIM].tolist()
        blocks, places = state[POSE].reshape(2, 3), state[PLACES].reshape(2, 3)
        gap = math.dist(blocks[self._block][:2], places[self._place][:2])
        if self._is_first and gap < DELIVERED:
            self._is_first = False
            self._block, self._place = 1 - self._block, 1 - self._place
            self._phase = "back off"
        block, place = blocks[self._block].tolist(), places[self._place].tolist()
        aim = self._steer((x, y), block, place)
        dx, dy = aim[0] - x, aim[1] - y
        longest = self._speed / CONTROL_RATE
        shorter = min(1.0, longest / max(math.hypot(dx, dy), 1e-9))
        return np.array([shorter * dx, shorter * dy], np.float32)

    def _steer(
        self, at: Point, block: Sequence[float], place: Sequence[float]
    ) -> Point:
        """Returns the point to go to. Sets the speed and the phase."""
        x, y, yaw = block
        heading = math.atan2(place[1] - y, place[0] - x)
        # any of the block's four sides may face its target
        error = (heading - yaw + math.pi / 4) % (math.pi / 2) - math.pi / 4

        def near_block(distance: float, angle: float) -> Point:
            return x + distance * math.cos(angle), y + distance * math.sin(angle)

        lined_up = near_block(BEHIND, heading + math.pi)
        beside = near_block(BESIDE, heading + math.pi)
        home = self._home = self._home or at
        self._enter_phase(at, error, lined_up, beside)
        self._speed = SPEED[self._phase]
        if self._phase == "line up":
            return lined_up
        if self._phase == "come up":
            return beside
        if self._phase == "back off":
            return self._lined_up or home
        if self._phase == "push":
            if abs(error) > CROOKED:
                self._phase = "line up"
            return near_block(THROUGH, heading + math.pi)
        if self._phase == "turn":
            if self._side * error < STRAIGHT:
                self._phase = "line up"
            angle = math.atan2(at[1] - y, at[0] - x)
            return near_block(CIRCLE, angle + self._side * ARC)
        if _reached(at, home):
            self._phase = "line up"
        return home

    def _enter_phase(
        self, at: Point, error: float, lined_up: Point, beside: Point
    ) -> None:
        """Enters the next phase if the pusher's target is where this one ends.

        Args:
            at: The pusher's target.
            error: Angle from the nearest side of the block to the heading [rad].
            lined_up: The point behind the block.
            beside: The point close to the block.
        """
        back = self._lined_up or self._home or at
        if self._phase == "line up" and _reached(at, lined_up):
            self._phase = "come up"
            self._lined_up = self._lined_up or lined_up
        if self._phase == "back off" and _reached(at, back):
            self._phase = "go home"
        if self._phase == "come up" and abs(error) > CROOKED:
            self._phase, self._side = "turn", math.copysign(1, error)
        elif self._phase == "come up" and _reached(at, beside):
            self._phase = "push"


def _reached(at: Point, point: Point) -> bool:
    return math.dist(at, point) < THERE


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays one episode with velocity control. Returns None if it does not succeed.

    As in the reference, the generator that drew the start draws the order next. Env
    seeds 0-999 have the starts and the orders of the published demonstrations.
    """
    demonstrator, rng = Demonstrator(), np.random.RandomState(env_seed)
    start(rng)  # leaves the generator as the start left it
    demonstrator.reset(rng)
    recorder = EpisodeRecorder(BlockPush(), env_seed)
    while not recorder.terminated and len(recorder) < MAX_STEPS:
        recorder.step(demonstrator.act(recorder.info["state"]))
    outcome = different_rewards(recorder.rewards, recorder.infos)
    if not outcome.success:
        return None
    notes: dict[str, float] = {"env_seed": env_seed, "order": demonstrator.order}
    return recorder.demonstration(outcome.score, notes)
