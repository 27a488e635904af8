"""Kitchen: a scripted demonstrator, and the episodes it plays."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import mujoco
import numpy as np

Range = tuple[float, float]  # lowest, highest: a number is drawn between them

ARM, FINGERS = slice(0, 7), slice(7, 9)  # joints of the robot
STEP = 0.08  # time between two actions [s]
REACH = 2 * STEP  # how far in front of a joint its target is at action 1 [rad]
FOLLOW = np.array([0.51, 0.51, 0.51, 0.51, 0.62, 0.62, 0.62])
OPEN, CLOSE = 0.25, -0.25  # actions of the fingers

FASTEST = 0.065  # of a planned arm joint [rad/step]
SPACING = 0.02  # of the poses for which joint angles are found [m]
LEVER = 0.15  # a turn of 1 rad counts as this way [m/rad]
ROUNDING = 5  # steps over which a plan is averaged: rounds its corners
NOMINAL = np.array([-0.6, -1.65, 1.7, -2.1, 0.2, 1.1, 1.7])

TIP = 0.043  # centre of the foremost part of closed fingers, before the hand site [m]
GRASP = 0.018  # where a handle is between the fingers, before the hand site [m]


@dataclass(frozen=True)
class Element:
    """How an element is taken and moved."""

    name: str
    site: str
    joint: str
    travel: Range
    offset: tuple[Range, Range, Range]
    yaw: Range
    pitch: Range
    aside: tuple[float, float, float] = (0.0, 0.0, 0.0)
    push: tuple[float, float, float] | None = None
    carry: tuple[Range, Range, Range] | None = None
    turn: Range = (0.0, 0.0)
    depth: Range = (TIP, TIP)
    grip: bool = False
    speed: Range = (0.25, 0.35)
    overshoot: float = 0.15


ELEMENTS = (
    Element(
        name="bottom burner",
        site="knob2_site",
        joint="knob_Joint_2",
        travel=(-1.0, -0.75),
        offset=((-0.036, -0.034), (-0.004, 0.004), (0.028, 0.036)),
        aside=(-0.02, 0.0, 0.0),
        yaw=(0.05, 0.25),
        pitch=(0.2, 0.4),
        push=(0.12, 0.0, -0.02),
    ),
    Element(
        name="top burner",
        site="knob4_site",
        joint="knob_Joint_4",
        travel=(-1.05, -0.8),
        offset=((-0.036, -0.034), (-0.004, 0.004), (0.028, 0.038)),
        aside=(-0.02, 0.0, 0.0),
        yaw=(0.05, 0.25),
        pitch=(0.2, 0.4),
        push=(0.12, 0.0, -0.02),
    ),
    Element(
        name="light switch",
        site="light_site",
        joint="light_switch",
        travel=(-0.69, -0.6),
        offset=((0.040, 0.044), (-0.01, 0.005), (-0.008, 0.008)),
        aside=(0.02, 0.0, 0.0),
        yaw=(0.0, 0.25),
        pitch=(0.2, 0.4),
        push=(-0.11, 0.0, 0.0),
    ),
    Element(
        name="slide cabinet",
        site="slide_site",
        joint="slide_cabinet",
        travel=(0.2, 0.38),
        offset=((-0.046, -0.040), (-0.005, 0.02), (-0.12, -0.06)),
        aside=(-0.03, 0.0, 0.0),
        yaw=(0.2, 0.5),
        pitch=(0.3, 0.6),
        push=(0.44, 0.0, 0.0),
        speed=(0.3, 0.45),
    ),
    Element(
        name="hinge cabinet",
        site="hinge_site2",
        joint="right_hinge_cabinet",
        travel=(1.25, 1.4),
        offset=((-0.005, 0.005), (-0.005, 0.005), (-0.12, -0.03)),
        yaw=(-0.1, 0.2),
        pitch=(0.0, 0.3),
        turn=(0.0, 0.15),
        depth=(0.0, 0.015),
        grip=True,
        speed=(0.3, 0.4),
    ),
    Element(
        name="microwave",
        site="microhandle_site",
        joint="microwave",
        travel=(-0.85, -0.65),
        offset=((-0.005, 0.005), (-0.005, 0.005), (0.03, 0.09)),
        yaw=(-0.3, -0.1),
        pitch=(-0.15, 0.0),
        turn=(0.3, 0.5),
        depth=(0.005, 0.02),
        grip=True,
        speed=(0.3, 0.45),
    ),
    Element(
        name="kettle",
        site="kettle_site",
        joint="kettle",
        travel=(0.0, 0.0),
        offset=((-0.097, -0.088), (-0.005, 0.005), (-0.10, -0.06)),
        yaw=(0.3, 0.6),
        pitch=(-0.25, -0.1),
        carry=((0.0, 0.05), (0.37, 0.41), (0.05, 0.10)),
        depth=(-0.01, 0.005),
        grip=True,
        speed=(0.3, 0.45),
    ),
)


class Pose(NamedTuple):
    """Where a tool is, and where it points."""

    position: np.ndarray
    yaw: float
    pitch: float


def rotation(yaw: float, pitch: float) -> np.ndarray:
    """Axes of a hand that points along yaw and pitch and does not lean, `(3, 3)`."""
    sy, cy, sp, cp = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
    z = np.array([sy * cp, cy * cp, sp])
    x = np.array([-sy * sp, -cy * sp, cp])
    return np.stack([x, np.cross(z, x), z], axis=1)


class Arm:
    """Joint angles for poses of the hand: damped least squares within joint limits."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        self._site = model.site("end_effector").id
        self._body = int(model.site_bodyid[self._site])
        low, high = model.jnt_range[ARM].T
        env_low = np.array([-2.9, -1.8, -2.9, -3.1, -2.9, 0.0, -2.9])
        env_high = np.array([2.9, 1.8, 2.9, 0.0, 2.9, 3.8, 2.9])
        self._low = np.maximum(low, env_low) + 0.01
        self._high = np.minimum(high, env_high) - 0.01

    def pose(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._data.qpos[ARM] = q
        mujoco.mj_kinematics(self._model, self._data)
        return (
            self._data.site_xpos[self._site].copy(),
            self._data.site_xmat[self._site].reshape(3, 3).copy(),
        )

    def solve(
        self, q: np.ndarray, goal: np.ndarray, axes: np.ndarray, iterations: int = 4
    ) -> np.ndarray:
        q = np.clip(q, self._low, self._high)
        nv = self._model.nv
        jp, jr = np.zeros((3, nv)), np.zeros((3, nv))
        for _ in range(iterations):
            at, now = self.pose(q)
            mujoco.mj_comPos(self._model, self._data)
            mujoco.mj_jac(self._model, self._data, jp, jr, at, self._body)
            turn = 0.5 * np.cross(now.T, axes.T).sum(axis=0)
            error = np.concatenate([goal - at, 0.25 * turn])
            J = np.concatenate([jp[:, ARM], 0.25 * jr[:, ARM]])
            free = np.ones(7, bool)
            step = np.zeros(7)
            for _ in range(3):
                Jf = J[:, free]
                A = Jf.T @ Jf + 2e-4 * np.eye(free.sum())
                b = Jf.T @ error + 2e-4 * 1.0 * (NOMINAL - q)[free]
                step[:] = 0.0
                step[free] = np.linalg.solve(A, b)
                out = (q + step < self._low) | (q + step > self._high)
                if not (out & free).any():
                    break
                free &= ~out
            q = np.clip(q + step, self._low, self._high)
        return q


class Knot(NamedTuple):
    """A pose that a plan goes through, and how it gets there."""

    pose: Pose  # of the hand site
    speed: float  # [m/s]
    fingers: float
    wait: int = 0  # steps spent there
    acts: bool = False


class Plan(NamedTuple):
    """Joint angles, fingers and phase for each step."""

    arm: np.ndarray
    fingers: np.ndarray
    acts: np.ndarray


class Demonstrator:
    """Does elements one after the other."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._arm = Arm(model)
        self._kp = model.actuator_gainprm[:, 0].copy()

    def reset(
        self, rng: np.random.Generator, data: mujoco.MjData, order: list[int]
    ) -> None:
        self._rng, self._data = rng, data
        self._order = order
        self._k = -1
        self._tries = 0
        self.pace = rng.uniform(0.85, 1.15)
        q = data.qpos[ARM].copy()
        self._recent = [q] * ROUNDING
        self._raw = q
        self._begin(0)

    def _draw(self, between: Range) -> float:
        return float(self._rng.uniform(*between))

    @property
    def element(self) -> Element:
        return ELEMENTS[self._order[self._k]]

    def _begin(self, k: int) -> None:
        self._k = k
        self._plan = self._make_plan()
        self._i = 0

    def _value(self) -> float:
        return float(self._data.joint(self.element.joint).qpos[0])

    def reached(self) -> bool:
        e = self.element
        if e.carry is not None:
            return False
        v = self._value()
        return v >= self._goal if self._goal > 0 else v <= self._goal

    def act(self) -> np.ndarray | None:
        """Next action, None when the last element is done with."""
        plan = self._plan
        over = self._i >= len(plan.arm) + ROUNDING
        acting = self._i < len(plan.arm) and plan.acts[self._i]
        if over or (acting and self.reached()):
            if self._k + 1 == len(self._order):
                return None
            self._begin(self._k + 1)
            plan = self._plan
        i = min(self._i, len(plan.arm) - 1)
        self._raw = plan.arm[i]
        self._fingers = plan.fingers[i]
        self._i += 1
        self._recent = [*self._recent[1:], self._raw]
        reference = np.mean(self._recent, axis=0)
        d = self._data
        q = d.qpos[ARM]
        target = q + (reference - q) / FOLLOW + (d.qfrc_bias[:9] / self._kp)[ARM]
        action = np.empty(9)
        action[ARM] = (target - q) / REACH
        action[FINGERS] = self._fingers
        return np.clip(action, -1, 1)

    def _make_plan(self) -> Plan:
        e, d, rng = self.element, self._data, self._rng
        draw = self._draw
        now, axes = self._arm.pose(self._raw)
        z = axes[:, 2]
        yaw0, pitch0 = math.atan2(z[0], z[1]), math.asin(np.clip(z[2], -1, 1))
        knots: list[Knot] = []
        free = draw((0.55, 0.75)) * self.pace
        speed = draw(e.speed) * self.pace

        yaw, pitch = draw(e.yaw), draw(e.pitch)
        depth = draw(e.depth)
        offset = np.array([draw(r) for r in e.offset])
        site = d.site(e.site).xpos.copy()
        contact = site + offset

        def hand(tool: np.ndarray, yaw: float, pitch: float) -> Pose:
            return Pose(tool - depth * rotation(yaw, pitch)[:, 2], yaw, pitch)

        ready = OPEN if e.grip else CLOSE
        aside = np.array(e.aside)
        if self._k > 0:
            before = ELEMENTS[self._order[self._k - 1]]
            release = OPEN if before.grip else CLOSE
            if before.grip:
                knots.append(Knot(Pose(now, yaw0, pitch0), 0.3, release, wait=2))
            back = now - draw((0.08, 0.12)) * z - np.array(before.aside) * -1.0
            knots.append(Knot(Pose(back, yaw0, pitch0), 0.35, release))
            start = back
        else:
            start = now
        direction = rotation(yaw, pitch)[:, 2]
        before_it = contact + aside - draw((0.07, 0.11)) * direction
        pre = hand(before_it, yaw, pitch)
        if np.linalg.norm(pre.position - start) > 0.3:
            via = 0.5 * (pre.position + start)
            via[1] = min(via[1], draw((0.25, 0.33)))
            via[[0, 2]] += rng.uniform(-0.04, 0.04, 2)
            knots.append(
                Knot(Pose(via, 0.5 * (yaw + yaw0), 0.5 * (pitch + pitch0)), free, ready)
            )
        knots.append(Knot(pre, free, ready))
        knots.append(Knot(hand(contact + aside, yaw, pitch), 0.3 * self.pace, ready))
        if e.push is not None:
            end = contact + np.array(e.push)
            knots.append(Knot(hand(contact, yaw, pitch), 0.2, ready, acts=True))
            knots.append(Knot(hand(end, yaw, pitch), speed, ready, acts=True))
            self._goal = draw(e.travel)
        elif e.carry is not None:
            knots[-1] = knots[-1]._replace(wait=1)
            knots.append(Knot(hand(contact, yaw, pitch), 0.3, CLOSE, wait=4))
            dx, dy, lift = (draw(r) for r in e.carry)
            for share, up in ((0.2, 1.0), (0.85, 1.0), (1.0, 0.0)):
                to = contact + np.array([share * dx, share * dy, up * lift])
                knots.append(Knot(hand(to, yaw, pitch), speed, CLOSE, acts=True))
            self._goal = 0.0
        else:
            knots.append(Knot(hand(contact, yaw, pitch), 0.3, CLOSE, wait=3))
            self._goal = draw(e.travel)
            turn = draw(e.turn)
            j = self._model.joint(e.joint)
            value = self._value()
            travel = self._goal * (1 + e.overshoot) - value
            anchor, axis = d.joint(e.joint).xanchor, d.joint(e.joint).xaxis
            n = 8
            for k in range(1, n + 1):
                angle = travel * k / n
                R = _about(axis, angle)
                to = anchor + R @ (contact - anchor)
                # counter-clockwise turns the pointing direction from y to -x
                knots.append(
                    Knot(
                        hand(to, yaw - turn * abs(angle) , pitch),
                        speed,
                        CLOSE,
                        acts=True,
                    )
                )
        return self._timed(Pose(now, yaw0, pitch0), knots)

    def _timed(self, start: Pose, knots: list[Knot]) -> Plan:
        q = self._raw
        arms, times, fingers, acts = [q], [0.0], [knots[0].fingers], [False]
        at = start
        for knot in knots:
            way = knot.pose.position - at.position
            turn = abs(knot.pose.yaw - at.yaw) + abs(knot.pose.pitch - at.pitch)
            length = max(float(np.linalg.norm(way)), LEVER * turn)
            n = max(1, math.ceil(length / SPACING))
            for k in range(1, n + 1):
                s = k / n
                pos = at.position + s * way
                yaw = at.yaw + s * (knot.pose.yaw - at.yaw)
                pitch = at.pitch + s * (knot.pose.pitch - at.pitch)
                to = self._arm.solve(q, pos, rotation(yaw, pitch))
                steps = max(
                    length / n / (knot.speed * STEP),
                    float(np.abs(to - q).max()) / FASTEST,
                )
                q = to
                arms.append(q)
                times.append(times[-1] + steps)
                fingers.append(knot.fingers)
                acts.append(knot.acts)
            if knot.wait:
                arms.append(q)
                times.append(times[-1] + knot.wait)
                fingers.append(knot.fingers)
                acts.append(knot.acts)
            at = knot.pose
        steps = np.arange(1, math.ceil(times[-1]) + 1)
        arm = np.stack([np.interp(steps, times, a) for a in np.transpose(arms)], 1)
        index = np.searchsorted(times, steps).clip(max=len(times) - 1)
        return Plan(arm, np.array(fingers)[index], np.array(acts)[index])


def _about(axis: np.ndarray, angle: float) -> np.ndarray:
    x, y, z = axis
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * K + (1 - math.cos(angle)) * K @ K
