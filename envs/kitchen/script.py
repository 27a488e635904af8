"""Kitchen: a scripted demonstrator, and the episodes it plays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dp_bench.data.demos import Demonstration

from ..scores import ELEMENTS, elements_done, sequence
from .env import DQ, ORDER, Kitchen, Q, franka_kitchen, mujoco, positions

Range = tuple[float, float]  # lowest and highest: a number is drawn between them

MAX_STEPS = 280
STREAM = 1  # of a seed's generators, this one is the script's; the other is the noise's
STEP = 0.08  # from one action to the next [s]
ARM, FINGERS = slice(0, 7), slice(7, 9)  # joints of the robot
NUM_ARM = 7

# How an action moves a joint: its target is 0.16 rad from where it was seen, at action
# 1; in a step it comes this share of the way to a target, gravity aside. (Damping over
# stiffness is 0.115 s for the first four and 0.083 s for the others.)
ACTION_REACH = 0.16  # [rad]
SHARE = np.array([0.51, 0.51, 0.51, 0.51, 0.62, 0.62, 0.62])
OPEN, CLOSE = 0.25, -0.25  # actions that open and close the fingers, gently

FREE_SPEED = (0.5, 0.7)  # of the hand between elements [m/s]
NEAR_SPEED = (0.25, 0.35)  # on the last way to an element, and when it leaves [m/s]
PACE = (0.85, 1.15)  # of a whole episode: all its speeds are multiplied by it
MOST = 0.82  # action that a plan asks of a joint, gravity included
LEVER = 0.15  # turning by 1 rad counts as moving so far [m]
ROUNDING = 5  # a plan is averaged over so many steps: corners become curves

BEFORE = (0.07, 0.11)  # how far from an element the hand lines up [m]
AWAY = (0.1, 0.14)  # how far it draws back afterwards [m]
FAR = 0.3  # on longer ways it comes back from the kitchen, to a via point [m]
VIA_STRAY = 0.04  # how far they are from the middle of the way, at most, in x, z [m]
GRASP_STEPS, RELEASE_STEPS = 4, 2  # while fingers close, open

# Inverse kinematics. Angles are found for points of a way, each from those before.
SPACING = 0.02  # of these points [m]
POSTURE = np.array([-0.6, -1.65, 1.7, -2.1, 0.2, 1.1, 1.7])  # it stays near [rad]
DAMPING = 2e-4  # how strongly; and how much a step is damped
TURN_WEIGHT = 0.12  # an error of 1 rad counts as so many metres
ITERATIONS = 4  # for each point
OFF, JUMP = 0.01, 0.35  # a plan must not be further off [m], nor jump further [rad]
DRAWS = 8  # plans that are drawn until one is good enough

TIP = 0.043  # from the hand's site to the end of the fingers, less their radius [m]


@dataclass(frozen=True)
class Way:
    """How an element is taken, and moved along its joint.

    Attributes:
        site: The name, in the scene, of its handle, knob or lever.
        joint: And of the joint on which it moves.
        goal: Value of the joint at which it is left [rad, m]. (For the kettle: where
            it is put, in x.)
        grip: Whether the fingers hold it; otherwise they are closed and push it.
        depth: Which part of the hand is at the contact, in front of its site [m].
        offset: The contact from the site, in x (right), y (away), z (up) [m].
        aside: From where the contact is approached, so that nothing is hit [m].
        yaw: Where the fingers point: 0 is away from the robot, to the right is
            positive [rad].
        pitch: And how much upwards [rad].
        turn: How much yaw the hand gains meanwhile [rad].
        speed: Of the contact [m/s].
        beyond: The way leads so much further than the goal, as a share: how hard it
            pushes.
        via: Distance from the robot at which the hand comes to it, if from far [m].
        lift: How high the kettle is carried [m].
    """

    site: str
    joint: str
    goal: Range
    grip: bool
    depth: Range
    offset: tuple[Range, Range, Range]
    yaw: Range
    pitch: Range
    speed: Range
    aside: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn: Range = (0.0, 0.0)
    beyond: float = 0.15
    via: Range = (0.33, 0.42)
    lift: Range | None = None


WAYS = {
    "bottom burner": Way(
        site="knob2_site",
        joint="knob_Joint_2",
        goal=(-1.0, -0.75),
        grip=False,
        depth=(TIP, TIP),
        offset=((-0.037, -0.034), (0.005, 0.011), (0.032, 0.038)),
        aside=(-0.02, 0.0, 0.0),
        yaw=(0.05, 0.25),
        pitch=(0.05, 0.2),
        speed=(0.045, 0.06),
        beyond=1.6,
    ),
    "top burner": Way(
        site="knob4_site",
        joint="knob_Joint_4",
        goal=(-1.05, -0.8),
        grip=False,
        depth=(TIP, TIP),
        offset=((-0.037, -0.034), (0.005, 0.011), (0.034, 0.042)),
        aside=(-0.02, 0.0, 0.0),
        yaw=(0.05, 0.25),
        pitch=(0.05, 0.2),
        speed=(0.045, 0.06),
        beyond=1.6,
    ),
    "light switch": Way(
        site="light_site",
        joint="light_switch",
        goal=(-0.69, -0.6),
        grip=False,
        depth=(TIP, TIP),
        offset=((0.040, 0.044), (-0.01, 0.005), (-0.008, 0.008)),
        aside=(0.02, 0.0, 0.0),
        yaw=(0.0, 0.25),
        pitch=(0.2, 0.4),
        speed=(0.2, 0.3),
        beyond=0.5,
    ),
    "slide cabinet": Way(
        site="slide_site",
        joint="slide_cabinet",
        goal=(0.2, 0.38),
        grip=False,
        depth=(TIP, TIP),
        offset=((-0.046, -0.040), (-0.005, 0.02), (-0.12, -0.06)),
        aside=(-0.03, 0.0, 0.0),
        yaw=(0.4, 0.7),
        pitch=(0.2, 0.45),
        turn=(0.35, 0.65),
        speed=(0.3, 0.45),
    ),
    "hinge cabinet": Way(
        site="hinge_site2",
        joint="right_hinge_cabinet",
        goal=(1.25, 1.4),
        grip=True,
        depth=(0.0, 0.015),
        offset=((-0.005, 0.005), (-0.005, 0.005), (-0.12, -0.03)),
        yaw=(0.0, 0.2),
        pitch=(0.0, 0.3),
        turn=(0.05, 0.25),
        speed=(0.22, 0.3),
    ),
    "microwave": Way(
        site="microhandle_site",
        joint="microwave",
        goal=(-0.85, -0.65),
        grip=True,
        depth=(0.005, 0.02),
        offset=((-0.005, 0.005), (-0.005, 0.005), (0.03, 0.09)),
        yaw=(-0.3, -0.1),
        pitch=(-0.15, 0.0),
        turn=(-0.45, -0.25),
        speed=(0.3, 0.45),
    ),
    "kettle": Way(
        site="kettle_site",
        joint="kettle",
        goal=(-0.24, -0.17),
        grip=True,
        depth=(-0.015, 0.0),
        offset=((-0.097, -0.088), (-0.005, 0.005), (-0.10, -0.06)),
        yaw=(0.25, 0.45),
        pitch=(-0.25, -0.1),
        turn=(-0.3, -0.15),
        aside=(-0.02, -0.04, -0.01),
        via=(0.2, 0.28),
        lift=(0.09, 0.13),
        speed=(0.25, 0.35),
    ),
}
KETTLE_Y = (0.72, 0.76)  # where the kettle is put [m]

# The orders in which elements are done, as digits: 67.. is the sixth element and then
# the seventh; and how often each is drawn, relatively. As in human demonstrations there
# are many orders, but far from all 840, and some are more common than others: a policy
# has to choose, and cannot have seen every order. They were drawn once, so that each
# element is in 12 to 15 of them and first in at least two. In none does the slide
# cabinet (4) come after the hinge cabinet (5): the open door is before its handle.
ORDERS = {
    1345: 3,
    1352: 1,
    1527: 4,
    1675: 2,
    1753: 6,
    2413: 1,
    2415: 5,
    2734: 2,
    3264: 1,
    3642: 3,
    3726: 4,
    3761: 1,
    4176: 6,
    4632: 2,
    4735: 5,
    4753: 1,
    5127: 3,
    5216: 6,
    5276: 1,
    5623: 4,
    6253: 2,
    6372: 5,
    7146: 2,
    7451: 3,
}


class Pose(NamedTuple):
    """Where the hand's site is, and where its fingers point; they open sideways."""

    position: np.ndarray
    yaw: float
    pitch: float


class Knot(NamedTuple):
    """A pose on a way, and how the hand gets there."""

    pose: Pose
    speed: float  # [m/s]
    fingers: float  # action
    steps: int = 0  # spent there
    acts: bool = False  # whether the element is moved


class Plan(NamedTuple):
    """What to do in each of L steps."""

    arm: np.ndarray  # joint angles, `(L, 7)` [rad]
    fingers: np.ndarray  # actions, `(L,)`
    acts: np.ndarray  # whether the element is moved, `(L,)`


class Demonstrator:
    """Does elements one after the other.

    For each one it plans, from where the hand is: draw back from the element before;
    come back from the kitchen, if the way is long; line up; touch or grasp; and move
    the element along its joint. A plan is a way of the hand with a speed, from which
    inverse kinematics makes joint angles; and it follows them, averaged over a few
    steps, by the actions that bring the joints there within a step. It goes on with
    the next element as soon as this one is where it shall be; when a plan ends before
    that, it tries again.

    Attributes:
        order: Elements to do, numbers from 0.
    """

    def __init__(self) -> None:
        self._model = franka_kitchen().model
        self._data = mujoco.MjData(self._model)
        self._arm = Arm()

    def reset(self, rng: np.random.Generator, order: tuple[int, ...]) -> None:
        """Begins an episode."""
        self._rng, self.order = rng, order
        self._pace = self._draw(PACE)
        self._doing = -1
        self._recent: list[np.ndarray] = []

    def act(self, state: np.ndarray) -> np.ndarray | None:
        """The velocities of arm and fingers, `(9,)`, float32; None when all is done.

        Args:
            state: `info["state"]` of the environment.
        """
        data = self._data
        data.qpos[:], data.qvel[:] = state[Q], state[DQ]
        mujoco.mj_kinematics(self._model, data)
        q = data.qpos[ARM]
        if self._doing < 0:
            self._recent = [q.copy()] * ROUNDING
            self._begin(0)
        elif self._is_over(state):
            self._begin(self._doing + int(self._is_done(state)))
        if self._doing == len(self.order):
            return None
        i = min(self._i, len(self._plan.arm) - 1)
        self._i += 1
        self._recent = [*self._recent[1:], self._plan.arm[i]]
        way = np.mean(self._recent, axis=0) - q
        action = np.empty(NUM_ARM + 2, np.float32)
        action[ARM] = (way / SHARE + self._arm.sag(q)) / ACTION_REACH
        action[FINGERS] = self._plan.fingers[max(i - ROUNDING // 2, 0)]
        return np.clip(action, -1.0, 1.0)

    def _is_done(self, state: np.ndarray) -> bool:
        return bool(state[ORDER][self.order[self._doing]] > 0)

    def _is_over(self, state: np.ndarray) -> bool:
        """Whether the plan ends here: at its end, or as the element is in its place."""
        plan, way = self._plan, self._way(self._doing)
        if self._i >= len(plan.arm) + ROUNDING:
            return True
        if way.lift or self._i >= len(plan.arm) or not plan.acts[self._i]:
            return False
        value = self._value(way) * math.copysign(1, way.goal[0])
        return value >= abs(self._goal) and self._is_done(state)

    def _way(self, k: int) -> Way:
        return WAYS[ELEMENTS[self.order[k]]]

    def _value(self, way: Way) -> float:
        return float(self._data.joint(way.joint).qpos[0])

    def _begin(self, k: int) -> None:
        """Plans the k-th element of the order: for the first time, or once more."""
        before = max(self._doing, k - 1)
        self._doing = k
        if k == len(self.order):
            return
        for _ in range(DRAWS):
            self._plan, good = self._planned(
                self._way(k), self._way(before) if before >= 0 else None
            )
            if good:
                break
        self._i = 0

    def _draw(self, between: Range) -> float:
        return float(self._rng.uniform(*between))

    def _planned(self, way: Way, before: Way | None) -> tuple[Plan, bool]:
        """A plan for an element, and whether the arm can follow it."""
        draw = self._draw
        start = now = self._arm.pose(self._data.qpos[ARM])
        free, near = draw(FREE_SPEED) * self._pace, draw(NEAR_SPEED) * self._pace
        speed = draw(way.speed) * self._pace
        ready = OPEN if way.grip else CLOSE
        yaw, pitch, depth = draw(way.yaw), draw(way.pitch), draw(way.depth)
        turn, aside = draw(way.turn), np.array(way.aside)
        offset = np.array([draw(part) for part in way.offset])

        def hand(contact: np.ndarray, yaw: float) -> Pose:
            return Pose(contact - depth * axes(yaw, pitch)[:, 2], yaw, pitch)

        knots: list[Knot] = []
        if before is not None:
            release = OPEN if before.grip else CLOSE
            if before.grip:
                knots.append(Knot(now, near, release, RELEASE_STEPS))
            back = np.array(before.aside) - draw(AWAY) * axes(now.yaw, now.pitch)[:, 2]
            now = now._replace(position=now.position + back)
            knots.append(Knot(now, near, release))

        joint = self._data.joint(way.joint)
        site = self._data.site(way.site).xpos
        if way.lift:
            contact = site + offset
            to = np.array([draw(way.goal), draw(KETTLE_Y), site[2]]) + offset
            up = np.array([0.0, 0.0, draw(way.lift)])
            moves = [
                hand(contact + share * (to - contact) + height * up, yaw + share * turn)
                for share, height in ((0.2, 1.0), (0.85, 1.0), (1.0, 0.0))
            ]
        else:
            self._goal = draw(way.goal)
            value = self._value(way)
            travel = self._goal * (1 + way.beyond) - value
            contact = moved(joint, site + turning(joint, value) @ offset, 0.0)
            moves = [
                hand(moved(joint, contact, s * travel), yaw + s * turn)
                for s in np.linspace(0, 1, 9)[1:]
            ]
        line_up = hand(contact + aside - draw(BEFORE) * axes(yaw, pitch)[:, 2], yaw)
        if np.linalg.norm(line_up.position - now.position) > FAR:
            via = (line_up.position + now.position) / 2
            via[1] = min(via[1], draw(way.via))
            via += VIA_STRAY * self._rng.uniform(-1, 1, 3) * (1, 0, 1)
            half = Pose(via, (yaw + now.yaw) / 2, (pitch + now.pitch) / 2)
            knots.append(Knot(half, free, ready))
        knots.append(Knot(line_up, free, ready))
        knots.append(Knot(hand(contact + aside, yaw), near, ready))
        if way.grip:
            knots.append(Knot(hand(contact, yaw), near, CLOSE, GRASP_STEPS))
        else:
            knots.append(Knot(hand(contact, yaw), near, CLOSE, acts=True))
        knots += [Knot(pose, speed, CLOSE, acts=True) for pose in moves]
        return self._timed(start, knots)

    def _timed(self, now: Pose, knots: list[Knot]) -> tuple[Plan, bool]:
        """Turns a way into steps: as fast as the speeds and the joints allow."""
        q = self._data.qpos[ARM].copy()
        angles, times, good = [q], [0.0], True
        fingers, acts = [knots[0].fingers], [False]
        for knot in knots:
            gain = [knot.pose[k] - now[k] for k in range(3)]  # type: ignore[operator]
            turned = abs(gain[1]) + abs(gain[2])
            length = max(float(np.linalg.norm(gain[0])), LEVER * turned)
            parts = max(1, math.ceil(length / SPACING))
            for part in range(1, parts + 1):
                s = part / parts
                pose = Pose(*(now[k] + s * gain[k] for k in range(3)))
                to, off = self._arm.solve(q, pose)
                leap = to - q
                good = good and off < OFF and bool((abs(leap) < JUMP).all())
                least = float((leap / self._arm.fastest(to, leap)).max())
                steps = max(length / parts / (knot.speed * STEP), least)
                angles.append(to)
                times.append(times[-1] + steps)
                q = to
            if knot.steps:
                angles.append(q)
                times.append(times[-1] + knot.steps)
            fingers += [knot.fingers] * (len(times) - len(fingers))
            acts += [knot.acts] * (len(times) - len(acts))
            now = knot.pose
        at = np.arange(1, math.ceil(times[-1]) + 1)
        arm = np.stack([np.interp(at, times, joint) for joint in np.transpose(angles)])
        which = np.searchsorted(times, at).clip(max=len(times) - 1)
        return Plan(arm.T, np.array(fingers)[which], np.array(acts)[which]), good


class Arm:
    """Joint angles of the arm from poses of the hand.

    Damped least squares with MuJoCo's Jacobian: the step dq of the angles minimises

        |J dq - e|^2 + DAMPING |dq - (POSTURE - q)|^2,  low <= q + dq <= high

    for the error e of position and direction. The hand leaves one of seven angles
    free; the second part makes it a function of the pose, so that the arm does the
    same thing in the same posture. Angles that would leave their range are kept at its
    end, and the others make up for them.
    """

    def __init__(self) -> None:
        robot = franka_kitchen().robot_env
        self._model = robot.model
        self._data = mujoco.MjData(self._model)
        self._site = self._data.site("end_effector")
        self._body = int(self._model.site_bodyid[self._site.id])
        limits, targets = self._model.jnt_range[ARM].T, robot.robot_pos_bound[ARM].T
        self._low = np.maximum(limits[0], targets[0]) + 0.01
        self._high = np.minimum(limits[1], targets[1]) - 0.01

    def pose(self, q: np.ndarray) -> Pose:
        """Where the hand is at angles `(7,)`."""
        self._data.qpos[ARM] = q
        mujoco.mj_kinematics(self._model, self._data)
        x, y, z = self._site.xmat[2::3]
        return Pose(
            self._site.xpos.copy(), math.atan2(x, y), math.atan2(z, math.hypot(x, y))
        )

    def sag(self, q: np.ndarray) -> np.ndarray:
        """How far gravity holds joints from their targets at angles `(7,)` [rad]."""
        force = np.zeros(self._model.nv)
        self._data.qpos[ARM] = q
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_rne(self._model, self._data, 0, force)
        return force[ARM] / self._model.actuator_gainprm[ARM, 0]

    def fastest(self, q: np.ndarray, ways: np.ndarray) -> np.ndarray:
        """How far joints get in a step, signed as `ways`, `(7,)` [rad]."""
        signs = np.where(ways < 0, -1.0, 1.0)
        return SHARE * (signs * MOST * ACTION_REACH - self.sag(q))

    def solve(self, q: np.ndarray, pose: Pose) -> tuple[np.ndarray, float]:
        """The angles for a pose, `(7,)`, near `q`; and how far off they are [m]."""
        model, data, site = self._model, self._data, self._site
        J = np.zeros((6, model.nv))
        goal = axes(pose.yaw, pose.pitch)
        q = np.clip(q, self._low, self._high)
        for left in range(ITERATIONS, -1, -1):
            data.qpos[ARM] = q
            mujoco.mj_kinematics(model, data)
            error = pose.position - site.xpos
            if not left:
                break
            mujoco.mj_comPos(model, data)
            mujoco.mj_jac(model, data, J[:3], J[3:], site.xpos, self._body)
            now = site.xmat.reshape(3, 3)
            turn = np.cross(now.T, goal.T).sum(axis=0) / 2
            e = np.concatenate([error, TURN_WEIGHT * turn])
            A = np.concatenate([J[:3, ARM], TURN_WEIGHT * J[3:, ARM]])
            q = np.clip(q + self._step(q, A, e), self._low, self._high)
        return q, float(np.linalg.norm(error))

    def _step(self, q: np.ndarray, A: np.ndarray, e: np.ndarray) -> np.ndarray:
        free, step = np.ones(NUM_ARM, bool), np.zeros(NUM_ARM)
        while free.any():
            H = A[:, free].T @ A[:, free] + DAMPING * np.eye(int(free.sum()))
            g = A[:, free].T @ e + DAMPING * (POSTURE - q)[free]
            step[:] = 0.0
            step[free] = np.linalg.solve(H, g)
            out = (q + step < self._low) | (q + step > self._high)
            if not out.any():
                break
            free &= ~out
        return step


def axes(yaw: float, pitch: float) -> np.ndarray:
    """Axes of the hand in the world, as columns `(3, 3)`: up, across, along fingers."""
    sy, cy, sp, cp = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
    up = np.array([-sy * sp, -cy * sp, cp])
    ahead = np.array([sy * cp, cy * cp, sp])
    return np.stack([up, np.cross(ahead, up), ahead], axis=1)


def turning(joint: Any, value: float) -> np.ndarray:
    """How a joint turns what hangs on it while it moves by a value, `(3, 3)`."""
    model = franka_kitchen().model
    if model.jnt_type[joint.id] == mujoco.mjtJoint.mjJNT_SLIDE:
        return np.eye(3)
    x, y, z = joint.xaxis
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(value) * K + (1 - math.cos(value)) * (K @ K)


def moved(joint: Any, point: np.ndarray, value: float) -> np.ndarray:
    """Where a point that hangs on a joint is after it moved by a value, `(3,)`."""
    model = franka_kitchen().model
    if model.jnt_type[joint.id] == mujoco.mjtJoint.mjJNT_SLIDE:
        return point + value * joint.xaxis
    return joint.xanchor + turning(joint, value) @ (point - joint.xanchor)


def draw_order(rng: np.random.Generator) -> tuple[int, ...]:
    """Draws one of `ORDERS`: the numbers of its elements, from 0."""
    orders, weights = np.array(list(ORDERS)), np.array(list(ORDERS.values()))
    digits = rng.choice(orders, p=weights / weights.sum())
    return tuple(int(digit) - 1 for digit in str(digits))


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays one episode with velocity control; None where it does not succeed.

    It succeeds when the elements it chose, and no others, were done in the order it
    chose. The seed moves the noise of the environment, the order, and all that is
    drawn about ways and speeds.
    """
    rng = np.random.default_rng((env_seed, STREAM))
    return play(env_seed, draw_order(rng), rng)


def play(
    env_seed: int, order: tuple[int, ...], rng: np.random.Generator
) -> Demonstration | None:
    """Does the elements of an order, any number of them; None where it fails."""
    env, demonstrator = Kitchen(obs="full"), Demonstrator()
    obs, info = env.reset(seed=env_seed)
    demonstrator.reset(rng, order)
    seen: list[np.ndarray] = []
    actions: list[np.ndarray] = []
    states: list[np.ndarray] = []
    rewards: list[float] = []
    infos: list[dict[str, Any]] = []
    while len(actions) < MAX_STEPS:
        action = demonstrator.act(info["state"])
        if action is None:
            break
        seen.append(obs)
        actions.append(action)
        states.append(info["state"])
        obs, reward, _, _, info = env.step(action)
        rewards.append(reward)
        infos.append(info)
    wanted = int("".join(str(k + 1) for k in order))
    if sequence(info["order"]) != wanted:
        return None
    full = np.array(seen)
    return Demonstration(
        obs={"qpos": positions(full), "full": full},
        actions=np.array(actions),
        states=np.array(states),
        rewards=np.array(rewards),
        score=elements_done(rewards, infos).score,
        notes={"env_seed": env_seed, "order": wanted},
    )
