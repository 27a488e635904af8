"""Control modes: the meaning of actions, and robosuite's controllers."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from .suite import ACTION_REACH, PART, Controller, Suite

CONTROLS = ("velocity", "position")
ACTION_SIZES = {"velocity": 7, "position": 10}  # numbers for each arm
LEAST_AREA = 1e-9  # spanned by two rows of a rotation; below it they give no directions


def controllers_of(suite: Suite) -> list[Controller]:
    """Lists the controller of each arm. Robosuite makes new ones in each reset."""
    return [robot.composite_controller.part_controllers[PART] for robot in suite.robots]


def set_up_controllers(suite: Suite, control: str) -> None:
    """Prepares the controllers for a control mode and the state as it is now."""
    for robot, controller in zip(suite.robots, controllers_of(suite), strict=True):
        controller.input_type = "absolute" if control == "position" else "delta"
        controller.update(force=True)
        controller.initial_joint = np.array(robot.init_qpos, np.float64)
        controller.reset_goal()


def hand_poses(suite: Suite) -> tuple[np.ndarray, np.ndarray]:
    """Returns each hand's position, `(A, 3)` [m], and rotation matrix, `(A, 3, 3)`."""
    controllers = controllers_of(suite)
    for controller in controllers:
        controller.update(force=True)
    return (
        np.array([controller.ref_pos for controller in controllers]),
        np.array([controller.ref_ori_mat for controller in controllers]),
    )


def base_poses(suite: Suite) -> np.ndarray:
    """Returns the pose of the base of each robot, `(A, 4, 4)`."""
    poses = np.tile(np.eye(4), (len(suite.robots), 1, 1))
    for pose, controller in zip(poses, controllers_of(suite), strict=True):
        pose[:3, :3], pose[:3, 3] = controller.origin_ori, controller.origin_pos
    return poses


def position_actions(
    positions: np.ndarray, matrices: np.ndarray, velocities: np.ndarray
) -> np.ndarray:
    """Converts velocity actions to position actions, `(N, 10)`, one arm a row.

    Args:
        positions: Positions of the hands, `(N, 3)` [m].
        matrices: Rotation matrices of the hands, `(N, 3, 3)`.
        velocities: Actions of velocity control, `(N, 7)`.
    """
    velocities = np.clip(velocities, -1, 1)
    moves, turns = np.split(velocities[:, :6] * ACTION_REACH, 2, axis=1)
    turned = Rotation.from_rotvec(turns) * Rotation.from_matrix(matrices)
    return np.hstack([positions + moves, first_rows(turned), velocities[:, 6:]])


def controller_action(suite: Suite, action: np.ndarray) -> np.ndarray:
    """Converts a position action to what the controllers take: rotation vectors.

    An arm whose action holds no rotation keeps the rotation of its hand.
    """
    numbers: list[float] = []
    arms = action.reshape(len(suite.robots), -1)
    for arm, controller in zip(arms, controllers_of(suite), strict=True):
        rotation = rotation_of(arm[3:9])
        if rotation is None:
            controller.update(force=True)
            rotation = Rotation.from_matrix(controller.ref_ori_mat)
        numbers += [*arm[:3], *rotation.as_rotvec(), arm[9]]
    return np.array(numbers)


def rotation_of(rows: np.ndarray) -> Rotation | None:
    """Returns the rotation whose matrix has these first two rows, `(6,)`.

    The rows need not be orthonormal. The first gives a direction; of the second only
    the part at right angles to the first counts (Zhou et al., 2019).

    Returns:
        None when a row is 0, or both have one direction.
    """
    first, second = np.reshape(rows, (2, 3))
    if np.linalg.norm(np.cross(first, second)) < LEAST_AREA:
        return None
    rotation, _ = Rotation.align_vectors(
        np.eye(3)[:2], [first, second], weights=[np.inf, 1.0]
    )
    return rotation


def first_rows(rotations: Rotation) -> np.ndarray:
    """Returns the first two rows of the matrix of each of N rotations, `(N, 6)`."""
    return rotations.as_matrix()[:, :2].reshape(-1, 6)
