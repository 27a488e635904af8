"""The arm's kinematics: joint angles for poses of the hand, gravity and speed."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .franka import ARM, franka_kitchen, mujoco

NUM_ARM = 7  # joints

# How an action moves a joint. Action 1 puts the target 0.16 rad from the observed
# angle. In a step the joint covers this share of the distance to a target, gravity
# aside. (Damping over stiffness is 0.115 s for the first four joints and 0.083 s for
# the others.)
ACTION_REACH = 0.16  # [rad]
SHARE = np.array([0.51, 0.51, 0.51, 0.51, 0.62, 0.62, 0.62])
MAX_ACTION = 0.82  # that a plan asks of a joint, gravity included

POSTURE = np.array([-0.6, -1.65, 1.7, -2.1, 0.2, 1.1, 1.7])  # the arm stays near [rad]
DAMPING = 2e-4  # weight of the posture, and of the size of a step
TURN_WEIGHT = 0.12  # an error of 1 rad counts as so many metres
ITERATIONS = 4  # for each pose


class Pose(NamedTuple):
    """Where the hand's site is, and where its fingers point; they open sideways."""

    position: np.ndarray
    yaw: float
    pitch: float


class Arm:
    """Joint angles of the arm for poses of the hand, by inverse kinematics.

    Damped least squares with MuJoCo's Jacobian: the step dq of the angles minimises

        |J dq - e|^2 + DAMPING |dq - (POSTURE - q)|^2,  low <= q + dq <= high

    for the error e of position and direction. The hand leaves one of seven angles
    free. The second term makes it a function of the pose, so that the arm repeats
    itself in the same posture. An angle that would leave its range stays at the end of
    the range, and the others compensate.
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
        """Returns the pose of the hand at angles `(7,)`."""
        self._data.qpos[ARM] = q
        mujoco.mj_kinematics(self._model, self._data)
        x, y, z = self._site.xmat[2::3]
        return Pose(
            self._site.xpos.copy(), math.atan2(x, y), math.atan2(z, math.hypot(x, y))
        )

    def sag(self, q: np.ndarray) -> np.ndarray:
        """Returns how far gravity keeps joints from their targets, `(7,)` [rad]."""
        force = np.zeros(self._model.nv)
        self._data.qpos[ARM] = q
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_rne(self._model, self._data, 0, force)
        sag: np.ndarray = force[ARM] / self._model.actuator_gainprm[ARM, 0]
        return sag

    def max_step(self, q: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Returns how far joints can move in a step, with their signs, `(7,)` [rad].

        Args:
            q: Angles now, `(7,)`.
            directions: Numbers whose signs tell where the joints go, `(7,)`.
        """
        signs = np.where(directions < 0, -1.0, 1.0)
        return SHARE * (signs * MAX_ACTION * ACTION_REACH - self.sag(q))

    def solve(self, q: np.ndarray, pose: Pose) -> tuple[np.ndarray, float]:
        """Returns the angles for a pose, `(7,)`, near `q`, and the error left [m]."""
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
        """Solves the least squares problem for the angles that stay in their range."""
        free, step = np.ones(NUM_ARM, bool), np.zeros(NUM_ARM)
        while free.any():
            H = A[:, free].T @ A[:, free] + DAMPING * np.eye(int(free.sum()))
            g = A[:, free].T @ e + DAMPING * (POSTURE - q)[free]
            step[:] = 0.0
            step[free] = np.linalg.solve(H, g)
            outside = (q + step < self._low) | (q + step > self._high)
            if not outside.any():
                break
            free &= ~outside
        return step


def axes(yaw: float, pitch: float) -> np.ndarray:
    """Returns the hand's axes in the world, `(3, 3)`: up, across, along the fingers."""
    sy, cy, sp, cp = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
    up = np.array([-sy * sp, -cy * sp, cp])
    ahead = np.array([sy * cp, cy * cp, sp])
    return np.stack([up, np.cross(ahead, up), ahead], axis=1)
