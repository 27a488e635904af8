"""Loads simulators and draws MuJoCo models, and says what to install if it cannot."""

from __future__ import annotations

import contextlib
import ctypes.util
import functools
import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import mujoco

REMEDY = (
    "without a display, apt-get install libosmesa6 and set MUJOCO_GL=osmesa, or "
    "apt-get install libegl1 and set MUJOCO_GL=egl"
)
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
NVIDIA = Path("/dev/nvidiactl")


@contextlib.contextmanager
def loading(task: str, package: str, install: str) -> Iterator[None]:
    """Turns a failed import of a simulator in a `with` block into one sentence.

    MuJoCo loads the OpenGL that `MUJOCO_GL` names as soon as it is imported. Its
    warnings go to stderr; MuJoCo would write MUJOCO_LOG.TXT in the working folder.
    `MUJOCO_GL` stays as it is: robosuite sets it to EGL, also where there is none.

    Args:
        task: Name of the environment that needs the simulator.
        package: Name of the simulator.
        install: What `pip install` must be given.

    Raises:
        BadInput: When the package is missing, or OpenGL is.
    """
    chosen = os.environ.get("MUJOCO_GL")
    try:
        yield
        if "mujoco" in sys.modules:
            sys.modules["mujoco"].set_mju_user_warning(_show_warning)
    except ImportError as error:
        raise BadInput(f"{task} needs {package}: pip install {install}") from error
    except Exception as error:  # each implementation of OpenGL raises its own error
        problem = "OpenGL cannot be loaded"
        if chosen:
            problem += f" with MUJOCO_GL={chosen}; unset it if you need no images"
        raise BadInput(f"{problem}; {REMEDY}") from error
    finally:
        os.environ.pop("MUJOCO_GL", None)
        if chosen is not None:
            os.environ["MUJOCO_GL"] = chosen


def _show_warning(message: str) -> None:
    print(f"MuJoCo: {message}", file=sys.stderr, flush=True)


class Camera:
    """Draws a MuJoCo model. The first image takes an OpenGL context.

    Args:
        task: Name of the environment, for error messages.
        model: The model that is drawn.
        height: Of images [px].
        width: Of images [px].
    """

    def __init__(
        self, task: str, model: mujoco.MjModel, height: int, width: int
    ) -> None:
        self._task, self._model = task, model
        self._height, self._width = height, width
        self._renderer: mujoco.Renderer | None = None

    def image(
        self,
        data: mujoco.MjData,
        view: str | mujoco.MjvCamera,
        options: mujoco.MjvOption | None = None,
    ) -> np.ndarray:
        """Draws the model in a state, uint8 `(height, width, 3)`, without reflections.

        Reflections would double the time. Only Robomimic's models have them.

        Args:
            data: The state, after `mj_forward`.
            view: Where the model is seen from: a camera of the model, by name, or a
                free one.
            options: Which parts of the model are drawn; None for MuJoCo's choice.

        Raises:
            BadInput: When there is no OpenGL.
        """
        import mujoco

        renderer = self._opened()
        renderer.update_scene(data, camera=view, scene_option=options)
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        return np.array(renderer.render())

    def in_image(self, point: np.ndarray) -> np.ndarray:
        """Projects a point of the scene into the latest image.

        MuJoCo draws one image from the middle of two eyes.

        Args:
            point: `(3,)` [m].

        Returns:
            Distance from the left and from the upper edge, in widths and heights of
            the image, `(2,)`.
        """
        eyes = self._opened().scene.camera
        place, forward, up = (
            np.mean([getattr(eye, name) for eye in eyes], axis=0)
            for name in ("pos", "forward", "up")
        )
        near, low, high = (
            float(np.mean([getattr(eye, f"frustum_{name}") for eye in eyes]))
            for name in ("near", "bottom", "top")
        )
        to_point = point - place
        at_near = to_point * near / (to_point @ forward)
        height = high - low
        width = height * self._width / self._height
        right = np.cross(forward, up)
        return np.array([0.5 + at_near @ right / width, (high - at_near @ up) / height])

    def _opened(self) -> mujoco.Renderer:
        import mujoco

        if self._renderer is None:
            if not opengl_works():
                raise BadInput(
                    f"images of {self._task} need OpenGL, which does not work here: "
                    f"{REMEDY}"
                )
            quality = self._model.vis.quality
            size_of_shadows = quality.shadowsize
            if not self._model.light_castshadow.any():
                quality.shadowsize = 0  # else a context keeps 64 MiB for them
            self._renderer = mujoco.Renderer(self._model, self._height, self._width)
            quality.shadowsize = size_of_shadows
        return self._renderer

    def close(self) -> None:
        """Gives the OpenGL context back. The next image takes another one."""
        if self._renderer is not None:
            # MuJoCo deletes shapes and textures from the context that is current, which
            # may be that of another camera. Drawing makes ours current.
            self._renderer.scene.ngeom = 0
            self._renderer.render()
            self._renderer.close()
            self._renderer = None

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.close()


@functools.cache
def opengl_works() -> bool:
    """Tells whether MuJoCo can draw here.

    A process tries this once: at the second failure MuJoCo would end it. Where only
    OSMesa can draw, and the user has not chosen, MuJoCo is told to take it.
    """
    import mujoco

    if _only_osmesa_can_draw():
        os.environ["MUJOCO_GL"] = "osmesa"
        # It chose another OpenGL when it was imported.
        importlib.reload(sys.modules[mujoco.Renderer.__module__].gl_context)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GLFW warns about a missing display
            mujoco.Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 8, 8).close()
    except Exception:  # each implementation of OpenGL raises its own error
        return False
    return True


def _only_osmesa_can_draw() -> bool:
    """Tells whether there is OSMesa, no choice by the user, no display and no GPU."""
    return (
        sys.platform == "linux"
        and not any(os.environ.get(name) for name in ("MUJOCO_GL", *DISPLAYS))
        and not NVIDIA.exists()  # its EGL would be faster
        and ctypes.util.find_library("OSMesa") is not None
    )
