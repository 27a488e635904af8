"""The layout of observations and their noise."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from dp_bench.task import ObsNoise

from .franka import NUM_DQ, NUM_JOINTS, NUM_Q, franka_kitchen

OBS_KINDS = ("qpos", "full")
NOISE = 0.1  # noise ratio of the published protocol, for robot and objects alike
MAX_POSITION, MAX_VELOCITY = 10.0, 100.0  # clip here [rad, m], [rad/s, m/s]

# The parts of an observation of `obs="full"`, `(59,)`.
ROBOT_Q, ROBOT_DQ = slice(0, 9), slice(9, 18)
OBJECT_Q, OBJECT_DQ = slice(18, 39), slice(39, 59)


def full_observation(q: np.ndarray, dq: np.ndarray) -> np.ndarray:
    """Orders positions `(30,)` and velocities `(29,)` as `obs="full"`, `(59,)`."""
    n = NUM_JOINTS
    full: np.ndarray = np.concatenate([q[:n], dq[:n], q[n:], dq[n:]])
    return full


def positions(full: np.ndarray) -> np.ndarray:
    """Picks the 30 numbers of `obs="qpos"` from the 59 of `obs="full"`, `(..., 30)`."""
    return np.concatenate([full[..., ROBOT_Q], full[..., OBJECT_Q]], axis=-1)


def noise_amplitudes(robot: float, objects: float) -> np.ndarray:
    """Returns the largest noise of each observed number, `(59,)`.

    Args:
        robot: Noise ratio for the robot's joints.
        objects: Noise ratio for the objects.
    """
    of_q = franka_kitchen().robot_env.robot_pos_noise_amp
    of_dq = franka_kitchen().robot_env.robot_vel_noise_amp
    # FrankaKitchen gives the first object the amplitude of a finger.
    return np.concatenate(
        [
            robot * of_q[:NUM_JOINTS],
            robot * of_dq[:NUM_JOINTS],
            objects * of_q[NUM_JOINTS - 1 :],
            objects * of_dq[NUM_JOINTS:],
        ]
    )


def obs_noise(obs_kind: str, control: str) -> ObsNoise:
    """Returns the observation noise of evaluation, and how actions compensate it.

    Args:
        obs_kind: "qpos" or "full".
        control: "velocity", which counts from the observed joints, or "position".

    Returns:
        `noise`, `(30,)` or `(59,)` [rad, m; and these per second], by the amplitudes in
        the robot's configuration; `follows`, `(9, 30)` or `(9, 59)`.
    """
    robot = franka_kitchen().robot_env
    noise = noise_amplitudes(NOISE, NOISE)
    if obs_kind == "qpos":
        noise = positions(noise)
    follows = np.zeros((NUM_JOINTS, len(noise)))
    if control == "velocity":  # a joint observed too far ahead has less far to go
        follows[:, ROBOT_Q] = -np.diag(1 / (robot.act_rng * robot.dt))
    return ObsNoise(noise, follows)


def observation_space(obs: str) -> spaces.Box:
    """Returns the space of observations of a kind, "qpos" or "full"."""
    limits = np.full(NUM_Q + NUM_DQ, MAX_POSITION, np.float32)
    limits[ROBOT_DQ] = limits[OBJECT_DQ] = MAX_VELOCITY
    if obs == "qpos":
        limits = positions(limits)
    return spaces.Box(-limits, limits, dtype=np.float32)
