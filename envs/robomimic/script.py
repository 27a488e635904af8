"""Scripted demonstrators of Robomimic's tasks: what they have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from dp_bench.data.demos import Demonstration

from .env import LARGEST, PART, Robomimic, shared

STREAM = 1  # of a seed's generators, this one is the script's; the other is the start's
OPEN, CLOSE = -1.0, 1.0  # actions of a gripper
CLOSING = (14, 20)  # steps that it is given
GRIPPING = (10, 15)  # and where the hand stands still
OPENING = 4
GAIN = 1.5  # share of the way to a place that is asked for in a step
CATCH_UP = 0.1  # share of the way that is added to all later steps: a hand lags behind
NEAR = 0.08  # where catching up begins [m]
MOST_LAG = 0.04  # [m]
FINE_GAIN = 1.2  # the same for fine ways, which need no catching up
FINE_TURN = 0.9  # of the largest turn on these, at the largest speed
SOFT = 0.02  # a hand is taken to be easier to move by this share: arms get straight
TURN_SPEED = 0.6  # of the largest turn, at the largest speed
REST = 20  # steps that are waited for success when all is done
TABLE = 0.8  # height of tables [m]
TRIES = 3  # times that something is taken
PACE = (0.7, 1.0)  # speeds
REACH = 70  # most steps of coming down
OFF = 0.004  # a hand comes down when nearer than this [m]
EASE = 0.004  # it is there when nearer than this more [m],
LEVEL = 0.002  # and so high over its place [m]
LEVER = 0.03  # distance that counts as much as an angle of 1 [m]
DOWN = Rotation.from_matrix([[0, 1, 0], [1, 0, 0], [0, 0, -1]])  # a hand at yaw 0

Plan = Callable[
    ["Scene", np.random.Generator],
    "Iterator[Go] | tuple[Iterator[Go], ...]",  # one for each arm
]
Aim = Callable[[float], tuple[np.ndarray, float]]


class Go(NamedTuple):
    """One stretch of a way.

    Attributes:
        to: Where the hand goes, x, y, z [m].
        turn: How it is turned there.
        grip: What the gripper is told meanwhile.
        near: It is there when nearer than this [m],
        aligned: and turned to it within this [rad].
        speed: Largest action on the way.
        stay: Steps that it stays.
        most: Steps after which it goes on all the same.
        until: What it waits for there before it stays, if anything.
        catch: Where catching up begins [m]: nearer, and it overshoots less.
        fine: Whether the hand takes into account how its controller mixes moves and
            turns: it is quicker there, and does not overrun or lag.
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


class Scene:
    """What a script knows, whatever policies see."""

    def __init__(self, env: Robomimic) -> None:
        self._env = env
        self.suite = env._suite

    def body(self, name: str) -> tuple[np.ndarray, Rotation]:
        """Where a body is [m], and how it is turned."""
        model, data = self.suite.sim.model, self.suite.sim.data
        number = model.body_name2id(name)
        return np.array(data.body_xpos[number]), _rotation(data.body_xmat[number])

    def site(self, name: str) -> np.ndarray:
        """Where a marked point is [m]."""
        model, data = self.suite.sim.model, self.suite.sim.data
        return np.array(data.site_xpos[model.site_name2id(name)])

    def hand(self, arm: int = 0) -> tuple[np.ndarray, Rotation]:
        """Where a hand is [m], and how it is turned."""
        robot = self.suite.robots[arm]
        controller = robot.composite_controller.part_controllers[PART]
        controller.update(force=True)
        return np.array(controller.ref_pos), _rotation(controller.ref_ori_mat)

    def holds(self, model: Any, arm: int = 0) -> bool:
        """Whether both fingers of a hand touch an object."""
        return bool(self.suite._check_grasp(self.suite.robots[arm].gripper, model))

    def coupling(self, arm: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """How a hand answers to targets: its controller mixes moves and turns.

        Returns:
            The target, seen from where the hand is, with which it goes on just as it
            moves [m, rad], `(6,)`; and a matrix, `(6, 6)`: what is to be added to that
            for what was meant to be added.
        """
        robot = self.suite.robots[arm]
        controller = robot.composite_controller.part_controllers[PART]
        moves = np.concatenate([controller.ref_pos_vel, controller.ref_ori_vel])
        jacobian = controller.J_full
        ease = jacobian @ np.linalg.solve(controller.mass_matrix, jacobian.T)
        apart = np.zeros((6, 6))
        apart[:3, :3], apart[3:, 3:] = ease[:3, :3], ease[3:, 3:]
        weight = np.linalg.inv(ease + SOFT * np.diag(np.diag(ease)))
        return moves * controller.kd / controller.kp, apart @ weight


class Arm:
    """Follows the stretches of a plan with one arm."""

    def __init__(self, scene: Scene, arm: int, plan: Iterator[Go]) -> None:
        self._scene, self._arm, self._plan = scene, arm, plan
        self._go: Go | None = None
        self._grip = OPEN
        self._lag = np.zeros(3)
        self._steps = self._stayed = 0
        self.done = False

    def act(self) -> np.ndarray:
        """The next action, `(7,)`; a hand that is done stays where it is."""
        place, turn = self._scene.hand(self._arm)
        while not self.done:
            if self._go is None:
                self._begin(next(self._plan, None))
                continue
            go = self._go
            way, error = go.to - place, (go.turn * turn.inv()).as_rotvec()
            near, aligned = np.linalg.norm(way), np.linalg.norm(error)
            there = bool(near < go.near and aligned < go.aligned)
            there = there and (go.until is None or go.until())
            if self._steps >= go.most or (there and self._stayed >= go.stay):
                self._go = None
                continue
            self._stayed += there
            self._steps += 1
            self._grip = go.grip
            if go.fine:
                return np.array([*self._fine(way, error, go), go.grip])
            return np.array([*self._move(way, go), *_turn(error, go), go.grip])
        return np.array([0.0] * 6 + [self._grip])

    def _begin(self, go: Go | None) -> None:
        self._go, self.done = go, go is None
        self._steps = self._stayed = 0
        self._lag *= 0.5

    def _move(self, way: np.ndarray, go: Go) -> np.ndarray:
        if np.linalg.norm(way) < go.catch:
            self._lag = np.clip(self._lag + CATCH_UP * way, -MOST_LAG, MOST_LAG)
        wanted = _at_most(GAIN * way / LARGEST[0], go.speed)
        return np.clip(wanted + self._lag / LARGEST[0], -1.0, 1.0)

    def _fine(self, way: np.ndarray, error: np.ndarray, go: Go) -> np.ndarray:
        """A move and a turn that take into account how each disturbs the other."""
        coast, mixed = self._scene.coupling(self._arm)
        wanted = [
            *_at_most(FINE_GAIN * way[:2] / LARGEST[0], go.speed),
            *_at_most(FINE_GAIN * way[2:] / LARGEST[0], go.speed),
            *_at_most(FINE_GAIN * error / LARGEST[3], FINE_TURN * go.speed),
        ]
        rest = coast / LARGEST
        push = mixed @ (wanted * np.array(LARGEST) - coast) / LARGEST
        # a push that is too large is made smaller as a whole, or it would be mixed
        side = np.where(push < 0, -1.0, 1.0)
        share = ((side - rest) / np.where(push == 0, 1e-9, push)).min()
        return np.clip(rest + push * np.clip(share, 0.0, 1.0), -1.0, 1.0)


def play(
    task: type[Robomimic], plan: Plan, env_seed: int, max_steps: int
) -> Demonstration | None:
    """Follows a plan until the task is solved; None where it is not.

    Args:
        task: Class of the environment.
        plan: What the arm does, or each of them.
        env_seed: Seed of the start, and of what the plan draws.
        max_steps: Steps of an episode.
    """
    env = shared(task)
    obs, info = env.reset(seed=env_seed)
    scene = Scene(env)
    rng = np.random.default_rng([env_seed, STREAM])
    plans = plan(scene, rng)
    if not isinstance(plans, tuple):
        plans = (plans,)
    arms = [Arm(scene, i, one) for i, one in enumerate(plans)]
    model = env.model()
    seen, states, rewards = [], [], []
    actions: list[np.ndarray] = []
    aims: list[np.ndarray] = []
    rested, solved = 0, False
    while not solved and len(actions) < max_steps and rested < REST:
        action = np.concatenate([arm.act() for arm in arms]).astype(np.float32)
        seen.append(obs)
        actions.append(action)
        aims.append(env.target(action))
        states.append(info["state"])
        obs, reward, solved, _, info = env.step(action)
        rewards.append(reward)
        rested += all(arm.done for arm in arms)
    if not solved:
        return None
    return Demonstration(
        obs={"state": np.array(seen)},
        actions=np.array(actions),
        states=np.array(states),
        rewards=np.array(rewards),
        score=1.0,
        notes={"env_seed": env_seed},
        actions_as={"position": np.array(aims, np.float32)},
        last_obs={"state": obs},
        model=model,
    )


def come_down(
    scene: Scene,
    aim: Aim,
    slope: float,
    hover: float,
    lean: np.ndarray,
    pace: float,
) -> Iterator[Go]:
    """Comes down on a thing as the hand gets straight over it.

    Args:
        scene: What is known.
        aim: From a hand's yaw, where the hand is to go, and what it is to turn [rad].
        slope: So many times as high above it as off to its sides,
        hover: and no higher than this [m].
        lean: How far to the sides it aims when so high, x, y [m].
        pace: Largest action.
    """
    for _ in range(REACH):
        place, hand = scene.hand()
        to, left = aim(yaw_of_hand(hand))
        off = distance(to, place) + LEVER * abs(left) - OFF
        if off < EASE and abs(to[2] - place[2]) < LEVEL:
            break
        rise = min(hover, slope * max(0.0, off))
        to = np.add(to, [*(lean * rise / hover), rise])
        down = hand_at(yaw_of_hand(hand) + part(left))
        yield Go(to, down, OPEN, 0.0, speed=pace, most=1, fine=True)


def grip(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    """Closes where the hand is."""
    place, hand = scene.hand()
    yield Go(place, hand, OPEN, 0.0, most=some_pause(rng), fine=True)
    yield Go(place, hand, CLOSE, 0.0, most=int(rng.integers(*GRIPPING)), fine=True)


def leave(scene: Scene) -> Iterator[Go]:
    """Opens where the hand is, and goes up."""
    place, hand = scene.hand()
    yield Go(place, hand, OPEN, 0.0, most=OPENING)
    yield Go(np.add(place, [0, 0, 0.1]), hand, OPEN, 0.03, 1.0, 0.9, most=20)


def hand_at(yaw: float) -> Rotation:
    """A hand that points down; its fingers close across this direction [rad]."""
    return Rotation.from_euler("z", yaw) * DOWN


def closing(
    place: np.ndarray,
    turn: Rotation,
    rng: np.random.Generator,
    steps: tuple[int, int] = CLOSING,
) -> Go:
    """Closes at a place, in so many steps."""
    return Go(place, turn, CLOSE, 0.05, 1.0, 0.3, int(rng.integers(*steps)))


def some_pause(rng: np.random.Generator) -> int:
    """No step, one or two."""
    return int(rng.integers(0, 3))


def _turn(error: np.ndarray, go: Go) -> np.ndarray:
    return _at_most(error / LARGEST[3], TURN_SPEED * go.speed)


def _at_most(vector: np.ndarray, largest: float) -> np.ndarray:
    """A vector in its direction, with no component larger than this."""
    return vector * min(1.0, largest / max(np.abs(vector).max(), 1e-9))


def yaw_of(turn: Rotation) -> float:
    """Where the first axis of a rotation points, seen from above [rad]."""
    x = turn.as_matrix()[:, 0]
    return math.atan2(x[1], x[0])


def yaw_of_hand(turn: Rotation) -> float:
    """The yaw of a hand that points down, as of `hand_at` [rad]."""
    return yaw_of(turn * DOWN.inv())


def alike(angle: float, near: float, symmetry: float) -> float:
    """Of the angles that look like this one, the nearest to another [rad]."""
    return near + (angle - near + symmetry / 2) % symmetry - symmetry / 2


def part(left: float) -> float:
    """So much of a turn that the shortest way there leads the right way round."""
    return float(np.clip(left, -1.0, 1.0))


def distance(place: np.ndarray, other: np.ndarray) -> float:
    """Seen from above [m]."""
    return float(np.linalg.norm((place - other)[:2]))


def _rotation(matrix: np.ndarray) -> Rotation:
    return Rotation.from_matrix(np.reshape(matrix, (3, 3)))
