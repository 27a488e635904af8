"""Drawing a scene without the shapes that a camera cannot see."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator

import numpy as np

from .suite import mujoco

NOT_DRAWN = 0  # group of shapes that only collide
MARGIN = 1.01  # of the boxes round shapes, against rounding
SIGNS = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))  # of their corners


class Scene:
    """Positions of a model, and the shapes that its cameras can see there.

    The time of drawing grows with the number of triangles, 170,000 for an arm at a
    table. Shapes out of view change no pixel.

    Args:
        model: The model that is drawn.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model, self.data = model, mujoco.MjData(model)
        self._unbounded = model.geom_rbound <= 0
        centres, halves = np.split(model.geom_aabb, 2, axis=1)
        self._corners = centres[:, None] + SIGNS * halves[:, None] * MARGIN

    def place(self, qpos: np.ndarray, of: mujoco.MjData) -> None:
        """Moves everything to where it is with joint positions `(nq,)`.

        Args:
            qpos: The joint positions.
            of: The simulation, for bodies that no joint moves.
        """
        model, data = self.model, self.data
        data.qpos[:] = qpos
        data.mocap_pos[:], data.mocap_quat[:] = of.mocap_pos, of.mocap_quat
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)

    @contextlib.contextmanager
    def seen_from(self, camera: int, aspect: float) -> Iterator[None]:
        """Lets only shapes be drawn that a camera may see, for the block.

        All others are put into the group that is not drawn.

        Args:
            camera: Number of the camera.
            aspect: Width of the image, as a multiple of its height.
        """
        groups = self.model.geom_group.copy()
        self.model.geom_group[self._beyond(camera, aspect)] = NOT_DRAWN
        try:
            yield
        finally:
            self.model.geom_group[:] = groups

    def _beyond(self, camera: int, aspect: float) -> np.ndarray:
        """Tells which shapes lie outside the view of a camera, `(ngeom,)`."""
        data = self.data
        turns = data.geom_xmat.reshape(-1, 3, 3)
        corners = self._corners @ turns.transpose(0, 2, 1) + data.geom_xpos[:, None]
        axes = data.cam_xmat[camera].reshape(3, 3)  # columns: right, up, backwards
        right, up, back = np.moveaxis((corners - data.cam_xpos[camera]) @ axes, -1, 0)
        slope = math.tan(math.radians(float(self.model.cam_fovy[camera])) / 2)
        beyond: np.ndarray = (back > 0).all(axis=1)
        for along, limit in ((right, slope * aspect), (up, slope)):
            for side in (along, -along):
                beyond |= (side > -back * limit).all(axis=1)
        return beyond & ~self._unbounded
