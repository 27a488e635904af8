"""Robomimic's tasks: scripted demonstrators, and the episodes they play."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from dp_bench.demos import Demonstration

from .robomimic import LARGEST, PART, Can, Lift, Robomimic, Square, shared

STREAM = 1  # of a seed's generators, this one is the script's; the other is the start's
OPEN, CLOSE = -1.0, 1.0  # actions of a gripper
CLOSING = (14, 20)  # steps that it is given
GAIN = 1.5  # share of the way to a place that is asked for in a step
CATCH_UP = 0.1  # share of the way that is added to all later steps: a hand lags behind
NEAR = 0.08  # where catching up begins [m]
MOST_LAG = 0.04  # [m]
TURN_SPEED = 0.6  # of the largest turn, at the largest speed
REST = 20  # steps that are waited for success when all is done
TABLE = 0.8  # height of tables [m]
DOWN = Rotation.from_matrix([[0, 1, 0], [1, 0, 0], [0, 0, -1]])  # a hand at yaw 0

Plan = Callable[["Scene", np.random.Generator], Iterator["Go"]]


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
    """

    to: np.ndarray
    turn: Rotation
    grip: float
    near: float = 0.01
    aligned: float = 0.1
    speed: float = 1.0
    stay: int = 0
    most: int = 120


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
            there = np.linalg.norm(way) < go.near and np.linalg.norm(error) < go.aligned
            if self._steps >= go.most or (there and self._stayed >= go.stay):
                self._go = None
                continue
            self._stayed += bool(there)
            self._steps += 1
            self._grip = go.grip
            return np.array([*self._move(way, go), *_turn(error, go), go.grip])
        return np.array([0.0] * 6 + [self._grip])

    def _begin(self, go: Go | None) -> None:
        self._go, self.done = go, go is None
        self._steps = self._stayed = 0
        self._lag *= 0.5

    def _move(self, way: np.ndarray, go: Go) -> np.ndarray:
        if np.linalg.norm(way) < NEAR:
            self._lag = np.clip(self._lag + CATCH_UP * way, -MOST_LAG, MOST_LAG)
        wanted = _at_most(GAIN * way / LARGEST[0], go.speed)
        return np.clip(wanted + self._lag / LARGEST[0], -1.0, 1.0)


def lift(env_seed: int) -> Demonstration | None:
    """Plays Lift from a start; None where it fails."""
    return play(Lift, plan_lift, env_seed, 400)


def can(env_seed: int) -> Demonstration | None:
    """Plays Can from a start; None where it fails."""
    return play(Can, plan_can, env_seed, 400)


def square(env_seed: int) -> Demonstration | None:
    """Plays Square from a start; None where it fails."""
    return play(Square, plan_square, env_seed, 400)


def play(
    task: type[Robomimic], plan: Plan, env_seed: int, max_steps: int
) -> Demonstration | None:
    """Follows a plan until the task is solved; None where it is not.

    Args:
        task: Class of the environment.
        plan: What the arm does.
        env_seed: Seed of the start, and of what the plan draws.
        max_steps: Steps of an episode.
    """
    env = shared(task)
    obs, info = env.reset(seed=env_seed)
    scene = Scene(env)
    rng = np.random.default_rng([env_seed, STREAM])
    arms = [Arm(scene, 0, plan(scene, rng))]
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


def plan_lift(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    """Over the cube, down, close, up: across any two of its sides."""
    cube, turn = scene.body("cube_main")
    _, hand = scene.hand()
    speed = rng.uniform(0.55, 1.0)
    yaw = _alike(_yaw(turn) + rng.normal(0, 0.05), _hand_yaw(hand), math.pi / 2)
    down = hand_at(yaw)
    above = cube + [*rng.uniform(-0.02, 0.02, 2), rng.uniform(0.05, 0.1)]
    yield Go(above, down, OPEN, 0.02, 0.2, speed)
    grasp = cube + [*rng.uniform(-0.004, 0.004, 2), rng.uniform(-0.006, 0.004)]
    yield Go(grasp, down, OPEN, 0.008, 0.1, rng.uniform(0.4, 0.7), _pause(rng))
    yield _close(grasp, down, rng)
    up = grasp + [*rng.uniform(-0.03, 0.03, 2), rng.uniform(0.1, 0.15)]
    yield Go(up, down, CLOSE, 0.02, 0.5, speed)


def plan_can(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    """Over the can, down, close, up, over its place, down, open, away."""
    obj, _ = scene.body("Can_main")
    _, hand = scene.hand()
    speed = rng.uniform(0.6, 1.0)
    yaw = _hand_yaw(hand) + rng.uniform(-0.5, 0.5)
    down = hand_at(yaw)
    above = obj + [*rng.uniform(-0.02, 0.02, 2), rng.uniform(0.1, 0.15)]
    yield Go(above, down, OPEN, 0.03, 0.2, speed)
    obj, _ = scene.body("Can_main")  # it fell a little at first
    grasp = obj + [*rng.uniform(-0.005, 0.005, 2), rng.uniform(-0.01, 0.03)]
    yield Go(grasp, down, OPEN, 0.01, 0.1, rng.uniform(0.4, 0.8), _pause(rng))
    yield _close(grasp, down, rng)
    place = np.array(scene.suite.target_bin_placements[scene.suite.object_id])
    height = TABLE + rng.uniform(0.18, 0.26)
    yield Go(np.array([*grasp[:2], height]), down, CLOSE, 0.05, 0.5, speed)
    down = hand_at(yaw + rng.uniform(-0.4, 0.4))
    over = np.array([*(place[:2] + rng.uniform(-0.025, 0.025, 2)), height])
    yield Go(over, down, CLOSE, 0.06, 0.4, speed, most=80)
    low = np.array([*over[:2], TABLE + rng.uniform(0.07, 0.12)])
    slowly = rng.uniform(0.4, 0.8)
    yield Go(low, down, CLOSE, 0.05, 0.4, slowly, _pause(rng), most=40)
    yield Go(low, down, OPEN, 0.05, 1.0, 0.3, int(rng.integers(3, 6)))
    yield Go(low + [-0.03, -0.03, 0.2], down, OPEN, 0.03, 1.0, speed)


def plan_square(scene: Scene, rng: np.random.Generator) -> Iterator[Go]:
    """Takes the nut by its handle, brings it over the peg, lowers it, lets go."""
    nut, _ = scene.body("SquareNut_main")
    handle = scene.site("SquareNut_handle_site")
    _, hand = scene.hand()
    speed = rng.uniform(0.6, 1.0)
    along = (handle - nut)[:2] / np.linalg.norm((handle - nut)[:2])
    bearing = math.atan2(along[1], along[0]) + rng.normal(0, 0.03)
    down = hand_at(_alike(bearing, _hand_yaw(hand), math.pi))
    height = TABLE + 0.03 + rng.uniform(0.06, 0.12)
    above = np.array([*(handle[:2] + rng.uniform(-0.015, 0.015, 2)), height])
    yield Go(above, down, OPEN, 0.02, 0.15, speed)
    # a little above its middle, or the fingers would be stuck on the table
    grasp = scene.site("SquareNut_handle_site") + [0, 0, rng.uniform(0.005, 0.012)]
    grasp[:2] += rng.uniform(-0.008, 0.008) * along
    slowly = rng.uniform(0.4, 0.7)
    yield Go(grasp, down, OPEN, 0.008, 0.08, slowly, _pause(rng), most=60)
    yield _close(grasp, down, rng)
    yield Go(grasp + [0, 0, rng.uniform(0.14, 0.2)], down, CLOSE, 0.03, 0.5, speed)
    peg, _ = scene.body("peg1")
    for height, near, pace, stay in (
        (1.1, 0.01, speed, 0),
        (1.1, 0.003, 0.3, 1),
        (0.95, 0.01, 0.25, 0),
    ):
        nut, turn = scene.body("SquareNut_main")
        place, hand = scene.hand()
        # the nut fits in four ways
        straight = Rotation.from_euler("z", -_alike(_yaw(turn), 0.0, math.pi / 2))
        to = [*peg[:2], height] + straight.apply(place - nut)
        level = hand_at(_hand_yaw(straight * hand))
        yield Go(to, level, CLOSE, near, 0.03, pace, stay, most=70)
    place, hand = scene.hand()
    yield Go(place, hand, OPEN, 0.05, 1.0, 0.3, 4)
    yield Go(place + [0, 0, 0.12], hand, OPEN, 0.03, 1.0, speed)


def hand_at(yaw: float) -> Rotation:
    """A hand that points down; its fingers close across this direction [rad]."""
    return Rotation.from_euler("z", yaw) * DOWN


def _close(place: np.ndarray, turn: Rotation, rng: np.random.Generator) -> Go:
    return Go(place, turn, CLOSE, 0.05, 1.0, 0.3, int(rng.integers(*CLOSING)))


def _pause(rng: np.random.Generator) -> int:
    return int(rng.integers(0, 3))


def _turn(error: np.ndarray, go: Go) -> np.ndarray:
    return _at_most(error / LARGEST[3], TURN_SPEED * go.speed)


def _at_most(vector: np.ndarray, largest: float) -> np.ndarray:
    """A vector in its direction, with no component larger than this."""
    return vector * min(1.0, largest / max(np.abs(vector).max(), 1e-9))


def _yaw(turn: Rotation) -> float:
    x = turn.as_matrix()[:, 0]
    return math.atan2(x[1], x[0])


def _hand_yaw(turn: Rotation) -> float:
    return _yaw(turn * DOWN.inv())


def _alike(angle: float, near: float, symmetry: float) -> float:
    """Of the angles that look like this one, the nearest to another [rad]."""
    return near + (angle - near + symmetry / 2) % symmetry - symmetry / 2


def _rotation(matrix: np.ndarray) -> Rotation:
    return Rotation.from_matrix(np.reshape(matrix, (3, 3)))
