"""Images of BlockPush, drawn by MuJoCo."""

from __future__ import annotations

import functools

import mujoco
import numpy as np

from .. import opengl
from ..base import ASSETS
from .geometry import PLACES, POSE, PUSHER

WIDTH, HEIGHT = 640, 448  # of images [px]
PUSHER_BODY = 4  # of the bodies that are placed


class BlockPushCamera:
    """Draws observations. The first image takes an OpenGL context."""

    def __init__(self) -> None:
        self._data: mujoco.MjData | None = None

    def image(self, observation: np.ndarray, small: bool = False) -> np.ndarray:
        """Draws an observation, `(16,)`: uint8 `(448, 640, 3)`.

        Args:
            observation: `(16,)`.
            small: Whether this image, if it is the first, and all others are half as
                high and wide.

        Raises:
            BadInput: When there is no OpenGL.
        """
        model = scene()
        if self._data is None:
            self._data = mujoco.MjData(model)
            size = (HEIGHT // 2, WIDTH // 2) if small else (HEIGHT, WIDTH)
            self._camera = opengl.Camera("BlockPush", model, *size)
        poses = np.zeros((5, 3))  # x, y, yaw of blocks, targets and pusher
        poses[:2] = observation[POSE].reshape(2, 3)
        poses[2:4] = observation[PLACES].reshape(2, 3)
        poses[PUSHER_BODY, :2] = observation[PUSHER]
        self._data.mocap_pos[:, :2] = poses[:, :2]
        self._data.mocap_quat[:, 0] = np.cos(poses[:, 2] / 2)
        self._data.mocap_quat[:, 3] = np.sin(poses[:, 2] / 2)
        mujoco.mj_forward(model, self._data)
        return self._camera.image(self._data, "above")

    def tip(self) -> np.ndarray:
        """Tells where the pusher is in the latest image, `(2,)`."""
        assert self._data is not None
        return self._camera.in_image(self._data.mocap_pos[PUSHER_BODY])

    def close(self) -> None:
        """Gives the OpenGL context back. The next image takes another one."""
        if self._data is not None:
            self._camera.close()


@functools.cache
def scene() -> mujoco.MjModel:
    """Returns the table with its colours, on which bodies are placed and not moved."""
    return mujoco.MjModel.from_xml_path(str(ASSETS / "block_push_scene.xml"))
