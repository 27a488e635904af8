"""Plans how the hand does one element: waypoints first, then the arm's trajectory."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np

from .arm import ARM, Arm, Pose, axes
from .franka import franka_kitchen, mujoco
from .skills import KETTLE_Y, Range, Skill

STEP = 0.08  # from one action to the next [s]
OPEN, CLOSE = 0.25, -0.25  # actions that open and close the fingers, gently

FREE_SPEED = (0.5, 0.7)  # of the hand between elements [m/s]
NEAR_SPEED = (0.25, 0.35)  # when the hand comes to an element, or leaves it [m/s]
LEVER = 0.15  # turning by 1 rad counts as moving so far [m]

LINE_UP = (0.07, 0.11)  # distance from an element at which the hand lines up [m]
WITHDRAW = (0.1, 0.14)  # distance by which it withdraws afterwards [m]
FAR = 0.3  # for longer distances the hand passes a point nearer to the robot [m]
VIA_STRAY = 0.04  # largest distance of that point from the middle, in x and z [m]
GRASP_STEPS, RELEASE_STEPS = 4, 2  # while the fingers close, open

# A plan is feasible if its poses are reached within MAX_ERROR, and no angle changes by
# more than MAX_JUMP from one pose to the next.
SPACING = 0.02  # of the poses between two waypoints [m]
MAX_ERROR, MAX_JUMP = 0.01, 0.35  # [m], [rad]
PATH_POINTS = 9  # poses along the path of an element's joint


class Waypoint(NamedTuple):
    """A pose of the hand, and how the hand gets there."""

    pose: Pose
    speed: float  # [m/s]
    fingers: float  # action
    steps: int = 0  # that the hand waits there
    acts: bool = False  # whether the hand moves the element


class Plan(NamedTuple):
    """What the arm does in each of L steps.

    Attributes:
        arm: Joint angles, `(L, 7)` [rad].
        fingers: Actions of the fingers, `(L,)`.
        acts: Whether the hand moves the element, `(L,)`.
        goal: Value of the element's joint at which the hand leaves it [rad, m].
        feasible: Whether the arm can follow the plan.
    """

    arm: np.ndarray
    fingers: np.ndarray
    acts: np.ndarray
    goal: float
    feasible: bool


class Contact(NamedTuple):
    """How the hand touches the element, as drawn for one plan.

    Attributes:
        yaw: Direction of the fingers when they touch it [rad].
        pitch: Their elevation [rad].
        depth: Distance of the contact from the hand's site [m].
        turn: Yaw that the hand gains while it moves the element [rad].
        offset: The contact seen from the element's site, `(3,)` [m].
    """

    yaw: float
    pitch: float
    depth: float
    turn: float
    offset: np.ndarray

    def hand(self, point: np.ndarray, share: float = 0.0) -> Pose:
        """Returns the hand's pose with the contact at a point.

        Args:
            point: `(3,)` [m].
            share: Share of the turn that the hand has made.
        """
        yaw = self.yaw + share * self.turn
        position = point - self.depth * axes(yaw, self.pitch)[:, 2]
        return Pose(position, yaw, self.pitch)


class Planner:
    """Plans elements from where the hand and the elements are.

    Args:
        data: The scene as the script sees it.
        arm: Kinematics of the arm.
        rng: Draws how and how fast an element is done.
        pace: Factor of all speeds.
    """

    def __init__(
        self,
        data: mujoco.MjData,
        arm: Arm,
        rng: np.random.Generator,
        pace: float,
    ) -> None:
        self._data, self._arm, self._rng, self._pace = data, arm, rng, pace

    def plan(self, skill: Skill, before: Skill | None) -> Plan:
        """Draws a plan for an element.

        Args:
            skill: Of the element.
            before: Skill of the element at which the hand is, if any.
        """
        draw = self._draw
        start = now = self._arm.pose(self._data.qpos[ARM])
        free, near = draw(FREE_SPEED) * self._pace, draw(NEAR_SPEED) * self._pace
        speed = draw(skill.speed) * self._pace
        contact = Contact(
            yaw=draw(skill.yaw),
            pitch=draw(skill.pitch),
            depth=draw(skill.depth),
            turn=draw(skill.turn),
            offset=np.array([draw(part) for part in skill.offset]),
        )
        waypoints: list[Waypoint] = []
        if before is not None:
            waypoints = self._withdraw(now, before, near)
            now = waypoints[-1].pose
        point, path, goal = (self._carry if skill.lift else self._push)(skill, contact)
        waypoints += self._approach(now, point, skill, contact, free, near)
        touch = Waypoint(contact.hand(point), near, CLOSE)
        if skill.grip:
            waypoints.append(touch._replace(steps=GRASP_STEPS))
        else:
            waypoints.append(touch._replace(acts=True))
        waypoints += [Waypoint(pose, speed, CLOSE, acts=True) for pose in path]
        return self._timed(start, waypoints, goal)

    def _draw(self, between: Range) -> float:
        return float(self._rng.uniform(*between))

    def _withdraw(self, now: Pose, before: Skill, speed: float) -> list[Waypoint]:
        """Lets go of an element, and draws the hand back from it."""
        fingers = OPEN if before.grip else CLOSE
        ahead = axes(now.yaw, now.pitch)[:, 2]
        back = np.array(before.aside) - self._draw(WITHDRAW) * ahead
        withdrawn = Waypoint(now._replace(position=now.position + back), speed, fingers)
        if before.grip:
            return [Waypoint(now, speed, fingers, RELEASE_STEPS), withdrawn]
        return [withdrawn]

    def _carry(
        self, skill: Skill, contact: Contact
    ) -> tuple[np.ndarray, list[Pose], float]:
        """Lifts the kettle, carries it, and puts it down.

        Returns:
            Where the hand touches it, the poses from there on, and its goal.
        """
        site = self._data.site(skill.site).xpos
        point = site + contact.offset
        goal = self._draw(skill.goal)
        to = np.array([goal, self._draw(KETTLE_Y), site[2]]) + contact.offset
        assert skill.lift is not None
        up = np.array([0.0, 0.0, self._draw(skill.lift)])
        path = [
            contact.hand(point + share * (to - point) + height * up, share)
            for share, height in ((0.2, 1.0), (0.85, 1.0), (1.0, 0.0))
        ]
        return point, path, goal

    def _push(
        self, skill: Skill, contact: Contact
    ) -> tuple[np.ndarray, list[Pose], float]:
        """Moves an element along its joint.

        Returns:
            Where the hand touches it, the poses from there on, and its goal.
        """
        joint = self._data.joint(skill.joint)
        site = self._data.site(skill.site).xpos
        goal = self._draw(skill.goal)
        value = float(joint.qpos[0])
        travel = goal * (1 + skill.beyond) - value
        at_site = site + joint_rotation(joint, value) @ contact.offset
        point = moved_point(joint, at_site, 0.0)
        path = [
            contact.hand(moved_point(joint, point, share * travel), share)
            for share in np.linspace(0, 1, PATH_POINTS)[1:]
        ]
        return point, path, goal

    def _approach(
        self,
        now: Pose,
        point: np.ndarray,
        skill: Skill,
        contact: Contact,
        free: float,
        near: float,
    ) -> list[Waypoint]:
        """Lines the hand up with a contact, and brings it close.

        Args:
            now: Where the hand is.
            point: Where it will touch the element, `(3,)` [m].
            skill: Of the element.
            contact: How the hand touches it.
            free: Speed on the way to the element [m/s].
            near: Speed of the last approach [m/s].
        """
        fingers = OPEN if skill.grip else CLOSE
        beside = point + np.array(skill.aside)
        yaw, pitch = contact.yaw, contact.pitch
        line_up = contact.hand(beside - self._draw(LINE_UP) * axes(yaw, pitch)[:, 2])
        waypoints = [
            Waypoint(line_up, free, fingers),
            Waypoint(contact.hand(beside), near, fingers),
        ]
        if np.linalg.norm(line_up.position - now.position) > FAR:
            via = (line_up.position + now.position) / 2
            via[1] = min(via[1], self._draw(skill.via))
            via += VIA_STRAY * self._rng.uniform(-1, 1, 3) * (1, 0, 1)
            half = Pose(via, (yaw + now.yaw) / 2, (pitch + now.pitch) / 2)
            waypoints.insert(0, Waypoint(half, free, fingers))
        return waypoints

    def _timed(self, now: Pose, waypoints: list[Waypoint], goal: float) -> Plan:
        """Turns waypoints into steps, as fast as the speeds and the joints allow."""
        q = self._data.qpos[ARM].copy()
        angles, times, feasible = [q], [0.0], True
        fingers, acts = [waypoints[0].fingers], [False]
        for waypoint in waypoints:
            poses, length = between(now, waypoint.pose)
            for pose in poses:
                to, error = self._arm.solve(q, pose)
                jump = to - q
                possible = error < MAX_ERROR and bool((abs(jump) < MAX_JUMP).all())
                feasible = feasible and possible
                least = float((jump / self._arm.max_step(to, jump)).max())
                steps = max(length / len(poses) / (waypoint.speed * STEP), least)
                angles.append(to)
                times.append(times[-1] + steps)
                q = to
            if waypoint.steps:
                angles.append(q)
                times.append(times[-1] + waypoint.steps)
            fingers += [waypoint.fingers] * (len(times) - len(fingers))
            acts += [waypoint.acts] * (len(times) - len(acts))
            now = waypoint.pose
        at = np.arange(1, math.ceil(times[-1]) + 1)
        arm = np.stack([np.interp(at, times, joint) for joint in np.transpose(angles)])
        rows = np.searchsorted(times, at).clip(max=len(times) - 1)
        return Plan(
            arm.T, np.array(fingers)[rows], np.array(acts)[rows], goal, feasible
        )


def between(start: Pose, end: Pose) -> tuple[list[Pose], float]:
    """Interpolates between two poses.

    Returns:
        Poses at most `SPACING` apart, the last one `end`; and the distance [m], in
        which turns count by `LEVER`.
    """
    move = end.position - start.position
    yaw, pitch = end.yaw - start.yaw, end.pitch - start.pitch
    length = max(float(np.linalg.norm(move)), LEVER * (abs(yaw) + abs(pitch)))
    parts = max(1, math.ceil(length / SPACING))
    shares = [part / parts for part in range(1, parts + 1)]
    poses = [
        Pose(start.position + s * move, start.yaw + s * yaw, start.pitch + s * pitch)
        for s in shares
    ]
    return poses, length


class Joint(Protocol):
    """What MuJoCo's data say about a joint: its number, axis and anchor."""

    id: int
    xaxis: np.ndarray
    xanchor: np.ndarray


def joint_rotation(joint: Joint, value: float) -> np.ndarray:
    """Returns how a joint that moves by a value turns its body, `(3, 3)`."""
    model = franka_kitchen().model
    if model.jnt_type[joint.id] == mujoco.mjtJoint.mjJNT_SLIDE:
        return np.eye(3)
    x, y, z = joint.xaxis
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(value) * K + (1 - math.cos(value)) * (K @ K)


def moved_point(joint: Joint, point: np.ndarray, value: float) -> np.ndarray:
    """Returns where a point of a joint's body is after the joint moved, `(3,)`."""
    model = franka_kitchen().model
    if model.jnt_type[joint.id] == mujoco.mjtJoint.mjJNT_SLIDE:
        return point + value * joint.xaxis
    return joint.xanchor + joint_rotation(joint, value) @ (point - joint.xanchor)
