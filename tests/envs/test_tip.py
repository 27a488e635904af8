"""Where the robot's tip is in an image: found again by another formula."""

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.envs.opengl import opengl_works


def seen_from(model, data, camera, point):
    """Projects a point with the camera's pose and field of view."""
    axes = data.cam_xmat[camera].reshape(3, 3)  # columns: right, up, backwards
    right, up, back = axes.T @ (point - data.cam_xpos[camera])
    half = -back * np.tan(np.radians(model.cam_fovy[camera]) / 2)
    return right / half, up / half


@pytest.mark.skipif(not opengl_works(), reason="needs OpenGL")
def test_a_point_of_a_scene_is_where_its_camera_sees_it():
    from dp_bench.envs.block_push.camera import HEIGHT, WIDTH, BlockPushCamera, scene

    camera = BlockPushCamera()
    rng = np.random.default_rng(0)
    camera.image(rng.uniform(0.2, 0.4, 16))
    model, data = scene(), camera._data
    for point in rng.uniform([0.2, -0.4, 0], [0.6, 0.4, 0.1], (5, 3)):
        x, y = seen_from(model, data, model.camera("above").id, point)
        expected = [0.5 + x * HEIGHT / WIDTH / 2, 0.5 - y / 2]
        assert camera._camera.in_image(point) == pytest.approx(expected, abs=1e-5)
    camera.close()


@pytest.mark.parametrize("name", registry.tasks())
def test_the_tip_lies_in_the_image_and_moves_with_the_robot(name):
    task = registry.task(name)
    if name != "pusht" and not opengl_works():
        pytest.skip("needs OpenGL")
    env = task.make_env(render_mode="rgb_array")
    env.reset(seed=3)
    env.action_space.seed(3)
    env.render()
    before = env.unwrapped.tip_in_image()
    action = env.action_space.sample()
    for _ in range(8):
        env.step(action)
    env.render()
    after = env.unwrapped.tip_in_image()
    env.close()
    assert before.shape == after.shape == (2,)
    assert ((before >= 0) & (before <= 1)).all()
    assert 1e-3 < np.abs(after - before).max() < 0.9
