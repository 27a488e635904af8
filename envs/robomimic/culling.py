"""Drawing a scene without the shapes that a camera cannot see."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from .suite import mujoco

NOT_DRAWN = 0  # group of shapes that only collide
MARGIN = 1.01  # of the boxes round shapes, against rounding
SIGNS = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))  # of their corners
FLAT = 50  # triangles that a shape without a mesh counts as
PATIENCE = 32  # most pictures that are drawn in full before the next search

Draw = Callable[[bool], np.ndarray]  # with reflections or not


class View(NamedTuple):
    """Where the boxes round all shapes are, seen from a camera.

    Attributes:
        beyond: Whether a shape lies outside the view, `(ngeom,)`.
        low, high: First pixel, and one past the last, `(ngeom, 2)`, in units of half
            the height of the picture from its centre: right and up.
    """

    beyond: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Scene:
    """Positions of a model, and the shapes that its cameras can see there.

    The time of drawing grows with the number of triangles, 170,000 for an arm at a
    table. A mirror doubles it, and the floor is one. Shapes out of view change no
    pixel, and a mirror changes only the pixels that show it. A picture without the rest
    is the same bit for bit.

    Args:
        model: The model that is drawn.
        mirrors: Numbers of the shapes that reflect the others.
    """

    def __init__(self, model: mujoco.MjModel, mirrors: list[int]) -> None:
        self.model, self.data = model, mujoco.MjData(model)
        is_plane = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
        self._mirrors = mirrors
        self._can_cull = len(mirrors) == 0 or (
            len(mirrors) == 1 and is_plane[mirrors[0]]
        )
        is_mesh = model.geom_type == mujoco.mjtGeom.mjGEOM_MESH
        self._triangles = np.full(model.ngeom, FLAT)
        self._triangles[is_mesh] = model.mesh_facenum[model.geom_dataid[is_mesh]]
        self._triangles[model.geom_group == NOT_DRAWN] = 0
        self._unbounded = model.geom_rbound <= 0
        centres, halves = np.split(model.geom_aabb, 2, axis=1)
        self._corners = centres[:, None] + SIGNS * halves[:, None] * MARGIN
        # by camera: pictures that are still to be drawn in full, without a search for
        # the pixels of the mirror, and how many there were after the last search
        self._waits: dict[int, tuple[int, int]] = {}

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
        if not self._can_cull:
            return draw(True)
        direct = self._view(camera, aspect)
        if not self._mirrors:
            return self._drawn(draw, ~direct.beyond, reflections=False)
        (mirror,) = self._mirrors
        mirrored = self._view(camera, aspect, mirror)
        left, waited = self._waits.get(camera, (0, 0))
        if left:
            self._waits[camera] = left - 1, waited
            shapes = ~(direct.beyond & mirrored.beyond)
            return self._drawn(draw, shapes, reflections=True)
        seen = self._drawn(draw, ~direct.beyond, reflections=False)
        pixels = self._mirror_pixels(draw, mirror, direct, seen)
        if not pixels.any():
            return seen
        reflected = _overlap(mirrored, pixels)
        behind = _overlap(direct, pixels) | reflected
        count = self._triangles
        at_most = 2 * count[~(direct.beyond & mirrored.beyond)].sum()
        drawn = 2 * count[~direct.beyond].sum() + 2 * count[behind].sum()
        waits = 0 if drawn < at_most else min(2 * waited + 1, PATIENCE)
        self._waits[camera] = waits, waits
        there = self._drawn(draw, behind, reflections=True)
        return np.where(pixels[..., None], there, seen)

    def _mirror_pixels(
        self, draw: Draw, mirror: int, direct: View, seen: np.ndarray
    ) -> np.ndarray:
        """Tells which pixels show the mirror, `(height, width)`.

        Args:
            draw: Draws `data`, with reflections or without.
            mirror: Number of the mirror.
            direct: Where the shapes are.
            seen: The picture without reflections, `(height, width, 3)`.
        """
        others = ~direct.beyond
        others[mirror] = False
        differs: np.ndarray = (
            seen != self._drawn(draw, others, reflections=False)
        ).any(axis=2)
        return differs

    def _view(self, camera: int, aspect: float, mirror: int | None = None) -> View:
        """Says where shapes, or their images in a mirror, appear in a picture."""
        data = self.data
        turns = data.geom_xmat.reshape(-1, 3, 3)
        corners = self._corners @ turns.transpose(0, 2, 1) + data.geom_xpos[:, None]
        if mirror is not None:
            normal = turns[mirror, :, 2]
            height = (corners - data.geom_xpos[mirror]) @ normal
            corners -= 2 * height[..., None] * normal
        axes = data.cam_xmat[camera].reshape(3, 3)  # columns: right, up, backwards
        right, up, back = np.moveaxis((corners - data.cam_xpos[camera]) @ axes, -1, 0)
        slope = math.tan(math.radians(float(self.model.cam_fovy[camera])) / 2)
        beyond = (back > 0).all(axis=1)
        for along, limit in ((right, slope * aspect), (up, slope)):
            for side in (along, -along):
                beyond |= (side > -back * limit).all(axis=1)
        unclear = self._unbounded | (back >= 0).any(axis=1)
        places = np.stack([right, up], axis=-1) / np.minimum(back, -1e-9)[..., None]
        places /= -slope
        low, high = places.min(axis=1), places.max(axis=1)
        low[unclear], high[unclear] = -np.inf, np.inf
        return View(beyond & ~self._unbounded, low, high)

    def _drawn(
        self, draw: Draw, shapes: np.ndarray, *, reflections: bool
    ) -> np.ndarray:
        with self._only(shapes):
            return draw(reflections)

    @contextlib.contextmanager
    def _only(self, shapes: np.ndarray) -> Iterator[None]:
        """Puts all other shapes into the group that is not drawn, for the block."""
        groups = self.model.geom_group.copy()
        self.model.geom_group[~shapes] = NOT_DRAWN
        try:
            yield
        finally:
            self.model.geom_group[:] = groups


def _overlap(view: View, pixels: np.ndarray) -> np.ndarray:
    """Tells which shapes in view may cover one of the pixels `(height, width)`."""
    height, width = pixels.shape
    sums = np.zeros((height + 1, width + 1), np.int64)
    sums[1:, 1:] = pixels.cumsum(axis=0).cumsum(axis=1)

    def edges(at: np.ndarray, size: int, margin: int) -> np.ndarray:
        places = np.clip((at * height + size) / 2 + margin, 0, size)
        rounded: np.ndarray = places.astype(np.int64)
        return rounded

    left, right = edges(view.low[:, 0], width, -1), edges(view.high[:, 0], width, 2)
    top, bottom = edges(-view.high[:, 1], height, -1), edges(-view.low[:, 1], height, 2)
    count = sums[bottom, right] - sums[top, right] - sums[bottom, left]
    covered: np.ndarray = (count + sums[top, left] > 0) & ~view.beyond
    return covered
