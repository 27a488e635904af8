"""FrankaKitchen's model, the limits of its robot and the layout of a state."""

from __future__ import annotations

import contextlib
import functools
import io
from typing import Protocol

import numpy as np

from .. import opengl
from ..scores import ELEMENTS

# Other modules take MuJoCo and these constants from here, so that a missing package
# always ends in the message of `opengl.loading`.
with (
    opengl.loading("Kitchen", "gymnasium-robotics", "'dp-bench[kitchen]'"),
    contextlib.redirect_stderr(io.StringIO()),  # silence its deprecation warnings
):
    import mujoco
    from gymnasium_robotics.envs.franka_kitchen import franka_env, kitchen_env

BONUS_THRESH: float = kitchen_env.BONUS_THRESH  # an element nearer to its goal is done
OBS_ELEMENT_GOALS: dict[str, np.ndarray] = kitchen_env.OBS_ELEMENT_GOALS
OBS_ELEMENT_INDICES: dict[str, np.ndarray] = kitchen_env.OBS_ELEMENT_INDICES
DEFAULT_CAMERA_CONFIG: dict[str, object] = franka_env.DEFAULT_CAMERA_CONFIG

CONTROL_RATE = 12.5  # policy steps per second [Hz]
WIDTH, HEIGHT = 640, 480  # of rendered images [px]

NUM_JOINTS = 9  # of the robot: seven of the arm, two fingers
NUM_Q, NUM_DQ = 30, 29  # positions and velocities of robot and objects
ARM, FINGERS = slice(0, 7), slice(7, 9)  # joints of the robot

# The parts of a state, `(75,)`.
STATE_SIZE = NUM_Q + NUM_DQ + NUM_JOINTS + len(ELEMENTS)
Q, DQ = slice(0, 30), slice(30, 59)  # positions and velocities, without noise
NOISY_JOINTS = slice(59, 68)  # the robot's joint positions as last observed
ORDER = slice(68, 75)  # 1 for the element done first, ...; 0 for elements not done


class Robot(Protocol):
    """The attributes of FrankaKitchen's robot that this package reads."""

    model: mujoco.MjModel
    init_qpos: np.ndarray
    frame_skip: int
    dt: float
    act_mid: np.ndarray
    act_rng: np.ndarray
    robot_pos_bound: np.ndarray
    robot_vel_bound: np.ndarray
    robot_pos_noise_amp: np.ndarray
    robot_vel_noise_amp: np.ndarray


class FrankaKitchen(Protocol):
    """The attributes of FrankaKitchen that this package reads."""

    model: mujoco.MjModel
    robot_env: Robot


@functools.cache
def franka_kitchen() -> FrankaKitchen:
    """Returns the FrankaKitchen of this process: model and constants, never stepped."""
    kitchen: FrankaKitchen = kitchen_env.KitchenEnv(width=WIDTH, height=HEIGHT)
    return kitchen


def start_state() -> np.ndarray:
    """Returns the state in which every episode starts, `(75,)`."""
    state = np.zeros(STATE_SIZE)
    state[Q] = franka_kitchen().robot_env.init_qpos
    state[NOISY_JOINTS] = state[:NUM_JOINTS]
    return state


def within_limits(targets: np.ndarray) -> np.ndarray:
    """Clips joint targets to the limits of the joints, `(..., 9)` [rad, m]."""
    low, high = joint_limits()
    return np.clip(targets, low, high)


def joint_limits() -> np.ndarray:
    """Returns the lowest and the highest target of each joint, `(2, 9)` [rad, m]."""
    limits: np.ndarray = franka_kitchen().robot_env.robot_pos_bound[:NUM_JOINTS].T
    return limits


def joint_targets(observed: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    """Converts velocity actions to joint targets, `(..., 9)` [rad, m].

    Args:
        observed: The robot's joint positions as last observed, `(..., 9)`.
        velocities: Actions, `(..., 9)`.
    """
    robot = franka_kitchen().robot_env
    speeds = robot.act_mid + np.clip(velocities, -1.0, 1.0) * robot.act_rng
    slowest, fastest = robot.robot_vel_bound[:NUM_JOINTS].T
    return within_limits(observed + np.clip(speeds, slowest, fastest) * robot.dt)
