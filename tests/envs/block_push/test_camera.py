"""Images of BlockPush, and what happens without OpenGL."""

import numpy as np
import pytest
from commands import run_python

from dp_bench.envs.block_push.camera import HEIGHT, WIDTH, scene
from dp_bench.envs.block_push.geometry import (
    BLOCK,
    PUSHER_RADIUS,
    TARGET_RADIUS,
    X_LIMITS,
    Y_LIMITS,
)
from pushing import table

DRAWING = """
import sys
import numpy as np
from dp_bench.envs.block_push.env import BlockPush

env = BlockPush(render_mode="rgb_array")
env.reset(options={"state": np.load("start.npy")})
before = env.render()
for _ in range(8):
    env.step(np.array([0.0, 0.015]))
after = env.render()
env.close()
window = BlockPush(render_mode="human")
window.reset(seed=0)
window.step(np.zeros(2))
assert window.render() is None
window.close()
np.savez("images.npz", before=before, after=after)
"""


STEPPING = """
import sys
import numpy as np
from dp_bench.envs.block_push.env import BlockPush
from dp_bench.errors import BadInput

env = BlockPush(render_mode="rgb_array")
env.reset(seed=0)
env.step(np.zeros(2))
print("OpenGL" in sys.modules)
try:
    env.render()
except BadInput as error:
    print(error)
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two images of one episode, drawn by an OpenGL that needs no display."""
    pytest.importorskip("pygame", reason="the script opens a window too")
    folder = tmp_path_factory.mktemp("images")
    np.save(folder / "start.npy", table((0.4, 0.0, 0.3), pusher=(0.4, -0.05)))
    for opengl in ("egl", "osmesa"):
        run_python(DRAWING, folder, MUJOCO_GL=opengl, SDL_VIDEODRIVER="dummy")
        if (folder / "images.npz").exists():
            with np.load(folder / "images.npz") as file:
                return file["before"], file["after"]
    pytest.skip("needs OpenGL: apt-get install libosmesa6")


def pixels(image, strongest):
    """Returns centre and number of the pixels in which one colour is far stronger."""
    others = np.delete(image.astype(int), strongest, axis=-1).max(axis=-1)
    rows, columns = np.nonzero(image[..., strongest] > others + 60)
    return np.mean(columns), np.mean(rows), len(rows)


def test_an_image_shows_blocks_targets_and_motion(images):
    before, after = images
    assert before.shape == (448, 640, 3)
    assert before.dtype == np.uint8
    assert before.mean() > 180  # the image is light
    red, blue = pixels(before, 0), pixels(before, 2)
    assert min(red[2], blue[2]) > 100
    assert red[0] < blue[0]  # y points to the right
    assert red[1] < blue[1]  # x points towards the viewer
    moved = pixels(after, 0)
    assert moved[0] > red[0] + 15
    assert pixels(after, 2) == pytest.approx(blue, abs=1)
    line = np.abs(before.astype(int) - (64, 144, 84)).max(axis=-1) < 40
    assert line.sum() > 500


def test_without_opengl_steps_work_and_rendering_names_the_remedy(tmp_path):
    done = run_python(STEPPING, tmp_path, MUJOCO_GL="glfw")
    loaded, message = done.stdout.splitlines()
    assert loaded == "False"
    assert "apt-get install libosmesa6" in message
    broken = run_python("import dp_bench.envs.block_push", tmp_path, MUJOCO_GL="osmesa")
    if broken.returncode:
        assert "apt-get install libosmesa6" in broken.stderr.splitlines()[-1]


def test_the_drawn_scene_has_the_sizes_of_the_geometry():
    model = scene()
    assert (model.vis.global_.offwidth, model.vis.global_.offheight) == (WIDTH, HEIGHT)
    bodies = [model.body(i) for i in range(1, model.nbody)]
    assert [body.name for body in bodies] == [
        *("block 1", "block 2", "target 1", "target 2", "pusher")
    ]
    assert [body.mocapid[0] for body in bodies] == [0, 1, 2, 3, 4]
    for k in (1, 2):
        np.testing.assert_array_equal(model.geom(f"block {k}").size, BLOCK / 2)
        target = model.geom(f"target {k}").size
        np.testing.assert_array_equal(target[:2], TARGET_RADIUS)
    assert model.geom("pusher").size[0] == PUSHER_RADIUS
    workspace = model.geom("workspace")
    for limits, side in ((X_LIMITS, 0), (Y_LIMITS, 1)):
        middle, half = workspace.pos[side], workspace.size[side]
        np.testing.assert_allclose((middle - half, middle + half), limits, 0, 1e-12)
