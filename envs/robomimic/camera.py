"""The cameras of Robomimic's scenes."""

from __future__ import annotations

import numpy as np

from .. import opengl
from .culling import NOT_DRAWN, Scene
from .suite import Sim, mujoco


class Cameras:
    """Draws a scene from its cameras, with an OpenGL context for each image size.

    An image shows the joint positions as they are. Robosuite's own images show them
    one physics step (2 ms) earlier. They also have faint reflections in the floor (1 %
    of the light), which double the time of drawing: without them a grey level differs
    by 0.5 to 1.2 of 255 on average.

    Args:
        task: Name of the environment, for error messages.
    """

    def __init__(self, task: str) -> None:
        self._task = task
        self._cameras: dict[tuple[int, int], opengl.Camera] = {}
        self._options = mujoco.MjvOption()
        self._options.geomgroup[NOT_DRAWN] = 0
        self._scene: Scene | None = None

    def image(
        self,
        sim: Sim,
        view: str,
        height: int,
        width: int,
        qpos: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draws the scene, uint8 `(height, width, 3)`; the simulation stays as it is.

        Args:
            sim: The scene.
            view: Name of the camera in the scene.
            height: [px].
            width: [px].
            qpos: Joint positions to show, `(nq,)`; None for those of the simulation.

        Raises:
            BadInput: When OpenGL does not work here.
        """
        model, size = sim.model._model, (height, width)
        if size not in self._cameras:
            self._cameras[size] = opengl.Camera(self._task, model, *size)
        camera = self._cameras[size]
        if self._scene is None:
            self._scene = Scene(model)
        scene = self._scene
        scene.place(sim.data._data.qpos if qpos is None else qpos, sim.data._data)
        with scene.seen_from(int(model.camera(view).id), width / height):
            return camera.image(scene.data, view, self._options)

    def in_image(self, point: np.ndarray, height: int, width: int) -> np.ndarray:
        """Projects a point `(3,)` [m] into the latest image of this size, `(2,)`."""
        return self._cameras[height, width].in_image(point)

    def close(self) -> None:
        """Releases the OpenGL contexts, which belong to the model drawn so far."""
        for camera in self._cameras.values():
            camera.close()
        self._cameras.clear()
        self._scene = None
