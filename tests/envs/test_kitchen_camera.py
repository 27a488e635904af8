"""Kitchen: images, with and without OpenGL."""

import numpy as np
import pytest

pytest.importorskip(
    "gymnasium_robotics", reason="needs gymnasium-robotics: 'dp-bench[kitchen]'"
)
from commands import run_python

from kitchen_states import with_done

DRAWING = """
import numpy as np
from dp_bench.envs.kitchen.env import Kitchen

env = Kitchen(render_mode="rgb_array")
env.reset(seed=0)
before = env.render()
state = np.load("done.npy")
env.reset(options={"state": state})
after = env.render()
env.close()
np.savez("images.npz", before=before, after=after)
"""


STEPPING = """
import sys
import numpy as np
from dp_bench.envs.kitchen.env import Kitchen
from dp_bench.errors import BadInput

env = Kitchen(render_mode="rgb_array")
env.reset(seed=0)
env.step(np.zeros(9))
print("OpenGL" in sys.modules)
try:
    env.render()
except BadInput as error:
    print(error)
"""


def test_an_image_shows_which_elements_moved(tmp_path):
    np.save(tmp_path / "done.npy", with_done("kettle", "slide cabinet"))
    for opengl in ("egl", "osmesa"):
        run_python(DRAWING, tmp_path, MUJOCO_GL=opengl)
        if (tmp_path / "images.npz").exists():
            break
    else:
        pytest.skip("needs OpenGL: apt-get install libosmesa6")
    with np.load(tmp_path / "images.npz") as file:
        before, after = file["before"].astype(int), file["after"].astype(int)
    assert before.shape == (480, 640, 3)
    assert before.std() > 20
    changed = np.abs(before - after).max(axis=-1) > 30
    assert 0.005 < changed.mean() < 0.5


def test_without_opengl_steps_work_and_an_error_says_what_to_install(tmp_path):
    process = run_python(STEPPING, tmp_path, MUJOCO_GL="glfw")
    loaded, message = process.stdout.splitlines()
    assert loaded == "False"
    assert "images of Kitchen need OpenGL" in message
    assert "apt-get install libosmesa6" in message
