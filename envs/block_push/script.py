"""BlockPush: a scripted demonstrator, and the episodes it plays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dp_bench.data.demos import Demonstration

from ..scores import different_rewards
from .env import AIM, CONTROL_RATE, PLACES, POSE, BlockPush, start

Point = tuple[float, float]

MAX_STEPS = 350
BEHIND = 0.05  # distance from the block at which it lines up behind it [m]
BESIDE = 0.03  # distance at which it has come up to it [m]
THROUGH = 0.01  # distance it aims at when pushing: inside the block [m]
CIRCLE = 0.025  # distance at which it circles a block to turn it [m]
ARC = 0.2  # how far ahead on that circle it aims [rad]
THERE = 0.001  # a point is reached when nearer than this [m]
DELIVERED = 0.04  # distance to its target at which a first block is left [m]
CROOKED, STRAIGHT = 0.2, 0.03  # heading errors: turning begins, turning ends [rad]
SPEED = {  # of the pusher's target, at most [m/s]
    "line up": 0.3,
    "come up": 0.35,
    "push": 0.35,
    "turn": 0.15,
    "back off": 0.3,
    "go home": 0.3,
}


class Demonstrator:
    """Pushes one block into a target, goes back, and pushes the other one.

    It lines up behind the block, on the line from the target through its centre; comes
    up to it; and pushes. A block that does not face its target (it may show any of its
    four sides) is turned first: the pusher circles it, close enough to take it along.
    After the first block it goes back to where it first lined up and to where it
    began, and from there to the second one.

    It steers the pusher's target, which the pusher follows.

    Attributes:
        order: Which block goes first and where to, drawn uniformly: 0, block 1 into
            target 1; 1, block 1 into 2; 2, block 2 into 1; 3, block 2 into 2.
    """

    def reset(self, rng: np.random.RandomState | np.random.Generator) -> None:
        """Begins an episode and draws an order."""
        self.order = int(rng.choice(4))
        self._block, self._place = divmod(self.order, 2)
        self._is_first = True
        self._phase = "line up"
        self._side = 0.0  # which way round the block it turns: 1 is from x to y
        self._home: Point | None = None
        self._lined_up: Point | None = None

    def act(self, state: np.ndarray) -> np.ndarray:
        """How far the pusher's target moves, `(2,)`, float32 [m].

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
        """Where the pusher's target should go, and how fast; ends and begins phases."""
        x, y, yaw = block
        heading = math.atan2(place[1] - y, place[0] - x)
        # a block may show its target any of its four sides
        error = (heading - yaw + math.pi / 4) % (math.pi / 2) - math.pi / 4

        def near_block(distance: float, angle: float) -> Point:
            return x + distance * math.cos(angle), y + distance * math.sin(angle)

        def reached(point: Point) -> bool:
            return math.dist(at, point) < THERE

        lined_up = near_block(BEHIND, heading + math.pi)
        beside = near_block(BESIDE, heading + math.pi)
        home = self._home = self._home or at
        back = self._lined_up or home
        if self._phase == "line up" and reached(lined_up):
            self._phase = "come up"
            self._lined_up = self._lined_up or lined_up
        if self._phase == "back off" and reached(back):
            self._phase = "go home"
        if self._phase == "come up" and abs(error) > CROOKED:
            self._phase, self._side = "turn", math.copysign(1, error)
        elif self._phase == "come up" and reached(beside):
            self._phase = "push"

        self._speed = SPEED[self._phase]
        if self._phase == "line up":
            return lined_up
        if self._phase == "come up":
            return beside
        if self._phase == "back off":
            return back
        if self._phase == "push":
            if abs(error) > CROOKED:
                self._phase = "line up"
            return near_block(THROUGH, heading + math.pi)
        if self._phase == "turn":
            if self._side * error < STRAIGHT:
                self._phase = "line up"
            angle = math.atan2(at[1] - y, at[0] - x)
            return near_block(CIRCLE, angle + self._side * ARC)
        if reached(home):
            self._phase = "line up"
        return home


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays one episode with velocity control; None where it does not succeed.

    The order is the next number of the generator that drew the start, as in the
    reference: env seeds 0-999 have the starts and the orders of the published
    demonstrations.
    """
    env, demonstrator = BlockPush(), Demonstrator()
    obs, info = env.reset(seed=env_seed)
    rng = np.random.RandomState(env_seed)
    start(rng)
    demonstrator.reset(rng)
    seen: list[np.ndarray] = []
    actions: list[np.ndarray] = []
    states: list[np.ndarray] = []
    rewards: list[float] = []
    infos: list[dict[str, Any]] = []
    terminated = False
    while not terminated and len(actions) < MAX_STEPS:
        action = demonstrator.act(info["state"])
        seen.append(obs)
        actions.append(action)
        states.append(info["state"])
        obs, reward, terminated, _, info = env.step(action)
        rewards.append(reward)
        infos.append(info)
    outcome = different_rewards(rewards, infos)
    if not outcome.success:
        return None
    return Demonstration(
        obs={"state": np.array(seen)},
        actions=np.array(actions),
        states=np.array(states),
        rewards=np.array(rewards),
        score=outcome.score,
        notes={"env_seed": env_seed, "order": demonstrator.order},
    )
