"""Drawing a scene without the shapes that a camera cannot see."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from .suite import mujoco

NOT_DRAWN = 0  # group of shapes that only collide
MARGIN = 1.01  # of the boxes round shapes, against rounding
SIGNS = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))  # of their corners
PATIENCE = 10  # pictures after which to look again whether the mirror is in view

Draw = Callable[[bool], np.ndarray]  # with reflections or not


class Scene:
    """Positions of a model, and the shapes that its cameras can see there.

    Drawing takes as long as there are triangles, 170,000 for an arm at a table, and
    twice as long with a mirror: the floor is one. Shapes out of view, and the mirror
    out of view, change no pixel. A picture without them is the same bit for bit.

    Args:
        model: The model that is drawn.
        mirrors: Numbers of the shapes that reflect the others.
    """

    def __init__(self, model: mujoco.MjModel, mirrors: list[int]) -> None:
        self.model, self.data = model, mujoco.MjData(model)
        self._mirrors = mirrors
        self._unbounded = model.geom_rbound <= 0
        centres, halves = np.split(model.geom_aabb, 2, axis=1)
        self._corners = centres[:, None] + SIGNS * halves[:, None] * MARGIN
        self._patience: dict[int, int] = {}  # by camera whose view holds the mirror

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

    def picture(self, draw: Draw, camera: int, aspect: float) -> np.ndarray:
        """Draws what a camera sees.

        Args:
            draw: Draws `data`, with reflections or without.
            camera: Number of the camera.
            aspect: Width of the picture, as a multiple of its height.
        """
        flat = all(
            self.model.geom_type[mirror] == mujoco.mjtGeom.mjGEOM_PLANE
            for mirror in self._mirrors
        )
        if len(self._mirrors) > 1 or not flat:
            return draw(True)
        beyond = self._beyond(camera, aspect)
        if not self._mirrors:
            return self._drawn_without(beyond, draw, reflections=False)
        (mirror,) = self._mirrors
        patience = self._patience.get(camera, 0)
        if not patience:
            seen = self._drawn_without(beyond, draw, reflections=False)
            without = beyond | (np.arange(self.model.ngeom) == mirror)
            if (seen == self._drawn_without(without, draw, reflections=False)).all():
                return seen
        self._patience[camera] = (patience or PATIENCE) - 1
        beyond &= self._beyond(camera, aspect, mirror)
        return self._drawn_without(beyond, draw, reflections=True)

    def _beyond(
        self, camera: int, aspect: float, mirror: int | None = None
    ) -> np.ndarray:
        """Tells which shapes, or their images in a mirror, lie outside the view.

        Returns:
            bool `(ngeom,)`.
        """
        data = self.data
        turns = data.geom_xmat.reshape(-1, 3, 3)
        corners = self._corners @ turns.transpose(0, 2, 1) + data.geom_xpos[:, None]
        if mirror is not None:
            normal = turns[mirror, :, 2]
            height = (corners - data.geom_xpos[mirror]) @ normal
            corners -= 2 * height[..., None] * normal
        axes = data.cam_xmat[camera].reshape(3, 3)  # columns: right, up, backwards
        right, up, back = np.moveaxis((corners - data.cam_xpos[camera]) @ axes, -1, 0)
        tangent = math.tan(math.radians(float(self.model.cam_fovy[camera])) / 2)
        beyond = (back > 0).all(axis=1)
        for along, slope in ((right, tangent * aspect), (up, tangent)):
            for side in (along, -along):
                beyond |= (side > -back * slope).all(axis=1)
        return beyond & ~self._unbounded

    def _drawn_without(
        self, hidden: np.ndarray, draw: Draw, *, reflections: bool
    ) -> np.ndarray:
        with self._hiding(hidden):
            return draw(reflections)

    @contextlib.contextmanager
    def _hiding(self, hidden: np.ndarray) -> Iterator[None]:
        """Puts shapes into the group that is not drawn, while the block runs."""
        groups = self.model.geom_group.copy()
        self.model.geom_group[hidden] = NOT_DRAWN
        try:
            yield
        finally:
            self.model.geom_group[:] = groups
