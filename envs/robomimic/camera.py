"""The cameras of Robomimic's scenes."""

from __future__ import annotations

import numpy as np

from .. import opengl
from .suite import Sim, mujoco


class Cameras:
    """Draws a scene from its cameras, with an OpenGL context for each image size.

    Args:
        task: Name of the environment, for error messages.
    """

    def __init__(self, task: str) -> None:
        self._task = task
        self._cameras: dict[tuple[int, int], opengl.Camera] = {}
        self._options = mujoco.MjvOption()
        self._options.geomgroup[0] = 0  # hide the shapes that only collide

    def picture(self, sim: Sim, view: str, height: int, width: int) -> np.ndarray:
        """Draws the scene, uint8 `(height, width, 3)`.

        Args:
            sim: The scene.
            view: Name of the camera in the scene.
            height: [px].
            width: [px].

        Raises:
            BadInput: When OpenGL does not work here.
        """
        size = height, width
        if size not in self._cameras:
            self._cameras[size] = opengl.Camera(self._task, sim.model._model, *size)
        return self._cameras[size].picture(sim.data._data, view, self._options)

    def close(self) -> None:
        """Releases the OpenGL contexts, which belong to the model drawn so far."""
        for camera in self._cameras.values():
            camera.close()
        self._cameras.clear()
