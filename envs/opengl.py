"""Simulators and the OpenGL they draw with, where either may be missing."""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Iterator
from typing import Any

from dp_bench.errors import BadInput

OPENGL = (
    "without a display, apt-get install libosmesa6 and set MUJOCO_GL=osmesa, or "
    "apt-get install libegl1 and set MUJOCO_GL=egl"
)


@contextlib.contextmanager
def loading(task: str, package: str, install: str) -> Iterator[None]:
    """Imports a simulator inside a `with` block, or says in one sentence what to do.

    MuJoCo loads the OpenGL that `MUJOCO_GL` names when it is imported.

    Raises:
        BadInput: When the package is missing, or OpenGL is.
    """
    try:
        yield
    except ImportError as error:
        raise BadInput(f"{task} needs {package}: pip install {install}") from error
    except Exception as error:  # each way to OpenGL fails in its own
        raise BadInput(
            f"the OpenGL of MUJOCO_GL={os.environ.get('MUJOCO_GL')} cannot be loaded: "
            f"unset it where no pictures are wanted; {OPENGL}"
        ) from error


def renderer(task: str, model: Any, height: int, width: int) -> Any:
    """A `mujoco.Renderer` of a model; the OpenGL context it takes is its own.

    Raises:
        BadInput: When there is no OpenGL.
    """
    import mujoco

    if not opengl_works():
        raise BadInput(
            f"pictures of {task} need OpenGL, which does not work here: {OPENGL}"
        )
    return mujoco.Renderer(model, height, width)


@functools.cache
def opengl_works() -> bool:
    """Whether there can be a camera.

    It is tried once: where MuJoCo cannot draw, it ends the process at the second try.
    """
    import mujoco

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what GLFW has to say about it
            mujoco.Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 8, 8).close()
    except Exception:  # each way to OpenGL fails in its own
        return False
    return True
