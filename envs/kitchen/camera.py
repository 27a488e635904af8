"""The camera of Kitchen."""

from __future__ import annotations

import numpy as np

from .. import opengl
from .franka import DEFAULT_CAMERA_CONFIG, HEIGHT, WIDTH, franka_kitchen, mujoco


class KitchenCamera:
    """Draws the kitchen from FrankaKitchen's viewpoint, at any positions.

    It has MuJoCo data of its own: drawing leaves the simulation alone.

    Args:
        small: Whether images are half as high and wide.
    """

    def __init__(self, small: bool = False) -> None:
        self._model = franka_kitchen().model
        size = (HEIGHT // 2, WIDTH // 2) if small else (HEIGHT, WIDTH)
        self._camera = opengl.Camera("Kitchen", self._model, *size)
        self._data = mujoco.MjData(self._model)
        self._view = mujoco.MjvCamera()
        for name, value in DEFAULT_CAMERA_CONFIG.items():
            setattr(self._view, name, value)

    def image(self, q: np.ndarray) -> np.ndarray:
        """Draws positions of robot and objects, `(30,)`: uint8 `(480, 640, 3)`.

        Raises:
            BadInput: When OpenGL does not work here.
        """
        self._data.qpos[:] = q
        mujoco.mj_forward(self._model, self._data)
        return self._camera.image(self._data, self._view)

    def tip(self) -> np.ndarray:
        """Tells where the hand is in the latest image, `(2,)`."""
        return self._camera.in_image(self._data.site("end_effector").xpos)

    def close(self) -> None:
        """Releases the OpenGL context. The next image takes another one."""
        self._camera.close()
