"""What the scripts know about a scene: more than policies observe."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ..base import Robomimic
from ..controllers import controllers_of
from ..suite import Suite, SuiteObject

SOFTNESS = 0.02  # the hand counts as easier to move by this share: arms get straight


class Scene:
    """Poses of bodies and hands, and contacts, in the environment's state.

    Attributes:
        suite: Robosuite's environment.
    """

    def __init__(self, env: Robomimic) -> None:
        self.suite: Suite = env.suite

    def body(self, name: str) -> tuple[np.ndarray, Rotation]:
        """Returns the position of a body [m] and its rotation."""
        model, data = self.suite.sim.model, self.suite.sim.data
        number = model.body_name2id(name)
        return np.array(data.body_xpos[number]), _rotation(data.body_xmat[number])

    def site(self, name: str) -> np.ndarray:
        """Returns the position of a site [m]."""
        model, data = self.suite.sim.model, self.suite.sim.data
        return np.array(data.site_xpos[model.site_name2id(name)])

    def hand(self, arm: int = 0) -> tuple[np.ndarray, Rotation]:
        """Returns the position of a hand [m] and its rotation."""
        controller = controllers_of(self.suite)[arm]
        controller.update(force=True)
        return np.array(controller.ref_pos), _rotation(controller.ref_ori_mat)

    def holds(self, model: SuiteObject, arm: int = 0) -> bool:
        """Tells whether both fingers of a hand touch an object."""
        return bool(self.suite._check_grasp(self.suite.robots[arm].gripper, model))

    def coupling(self, arm: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Returns how a hand responds to targets: its controller mixes moves and turns.

        Returns:
            The target, relative to the hand, that keeps its velocity [m, rad], `(6,)`;
            and a matrix, `(6, 6)`, from a wanted change of the target to the change
            that has the wanted effect.
        """
        controller = controllers_of(self.suite)[arm]
        velocity = np.concatenate([controller.ref_pos_vel, controller.ref_ori_vel])
        J = controller.J_full
        mobility = J @ np.linalg.solve(controller.mass_matrix, J.T)
        decoupled = np.zeros((6, 6))
        decoupled[:3, :3], decoupled[3:, 3:] = mobility[:3, :3], mobility[3:, 3:]
        inverse = np.linalg.inv(mobility + SOFTNESS * np.diag(np.diag(mobility)))
        return velocity * controller.kd / controller.kp, decoupled @ inverse


def _rotation(matrix: np.ndarray) -> Rotation:
    return Rotation.from_matrix(np.reshape(matrix, (3, 3)))
