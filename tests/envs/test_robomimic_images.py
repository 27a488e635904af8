"""Robomimic: observed images and vectors."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("robosuite")

from dp_bench import registry
from dp_bench.data import frames, readers, rendering
from dp_bench.envs import opengl
from robomimic_envs import (
    TASKS,
    each_task,
    env_of,
    recorded_moves,
    some_actions,
    write_as_robomimic,
)


@pytest.fixture(autouse=True)
def drawing():
    if not opengl.opengl_works():
        pytest.skip("OpenGL does not work here (apt-get install libosmesa6)")


def plainly_drawn(env, states, *, reflections=False):
    """Draws states with MuJoCo's renderer alone, and all shapes."""
    import mujoco

    model, data = env.suite.sim.model._model, mujoco.MjData(env.suite.sim.model._model)
    options = mujoco.MjvOption()
    options.geomgroup[0] = 0
    renderer = mujoco.Renderer(model, env.camera_size, env.camera_size)
    images = []
    for state in states:
        data.qpos[:] = state[1 : 1 + model.nq]
        mujoco.mj_forward(model, data)
        drawn = {}
        for camera in env.cameras:
            renderer.update_scene(data, camera=camera, scene_option=options)
            flag = mujoco.mjtRndFlag.mjRND_REFLECTION
            renderer.scene.flags[flag] = reflections
            drawn[f"{camera}_image"] = np.array(renderer.render())
        images.append(drawn)
    renderer.close()
    return images


def states_within(env, seed):
    """Raises the arms, then lowers them: cameras see the floor, then tables."""
    lift = np.tile([0.5, 0.5, 1, 0.5, 0, 0.5, 1], env.arms)
    states = [env.reset(seed=seed)[1]["state"]]
    for action in [lift] * 12 + [-lift] * 12 + some_actions(env, 6):
        *_, info = env.step(action)
        states.append(info["state"])
    return states[::3]


@each_task
def test_leaving_out_what_no_camera_sees_changes_no_pixel(name):
    env = env_of(name)
    states = states_within(env, 1)
    images = [env.images(state) for state in states]
    for drawn, plain in zip(images, plainly_drawn(env, states), strict=True):
        assert drawn.keys() == plain.keys()
        for key, image in drawn.items():
            np.testing.assert_array_equal(image, plain[key], err_msg=key)
    assert any((p[key] != images[0][key]).any() for p in images for key in p)


@each_task
def test_reflections_are_too_faint_to_matter(name):
    env = env_of(name)
    states = states_within(env, 1)
    with_them = plainly_drawn(env, states, reflections=True)
    without = plainly_drawn(env, states)
    differences = [
        np.abs(one[key].astype(int) - other[key]).mean()
        for one, other in zip(with_them, without, strict=True)
        for key in one
    ]
    assert 0 < np.mean(differences) < 1.5  # of 255 grey levels; Can has 1.2


def test_drawing_leaves_the_episode_alone():
    looked_at, left = TASKS["can"](obs="image"), env_of("can")
    left.reset(seed=2)
    obs, _ = looked_at.reset(seed=2)
    groups = looked_at.suite.sim.model._model.geom_group.copy()
    for action in some_actions(left, 8):
        looked_at.images(looked_at._state() * 0 + 0.1)
        *_, one = left.step(action)
        *_, other = looked_at.step(action)
        np.testing.assert_array_equal(one["state"], other["state"])
    np.testing.assert_array_equal(looked_at.suite.sim.model._model.geom_group, groups)
    assert obs["agentview_image"].shape == (84, 84, 3)
    looked_at.close()


def test_image_observations_have_the_published_keys():
    assert registry.task("can").obs_keys["image"] == (
        "agentview_image",
        "robot0_eye_in_hand_image",
        "robot0_eef_pos",
        "robot0_eef_quat",
        "robot0_gripper_qpos",
    )
    assert registry.task("tool_hang").obs_keys["image"][0] == "sideview_image"
    keys = registry.task("transport").obs_keys["image"]
    assert keys[:4] == (
        "shouldercamera0_image",
        "robot0_eye_in_hand_image",
        "shouldercamera1_image",
        "robot1_eye_in_hand_image",
    )
    assert keys[4:] == tuple(
        f"robot{i}_{part}"
        for i in (0, 1)
        for part in ("eef_pos", "eef_quat", "gripper_qpos")
    )


def test_images_of_a_robomimic_file_are_those_that_were_observed(tmp_path):
    env, task = TASKS["lift"](obs="image"), registry.task("lift")
    keys = task.image_keys_of("image")
    moves = recorded_moves()
    observed, states = [], []
    for k in range(moves.num_episodes):
        rows = moves.episode(k)
        start = {"state": moves.states[rows][0], "model": moves.models[k]}
        obs, info = env.reset(options=start)
        for action in moves.actions[rows]:
            observed.append([obs[key] for key in keys])
            states.append(info["state"])
            obs, _, _, _, info = env.step(action)
    env.close()
    seen = dataclasses.replace(moves, states=np.array(states))
    file = write_as_robomimic(seen, tmp_path / "demos.hdf5")
    demos = readers.read(file, task, "ph")
    target = tmp_path / "frames.hdf5"
    rendering.render(task, demos, target, "image", keys, processes=1)
    images = frames.attach(demos, target, keys).obs
    for k, key in enumerate(keys):
        np.testing.assert_array_equal(images[key], [each[k] for each in observed])


def test_environments_do_not_disturb_the_images_of_each_other():
    one, other = (TASKS["lift"](obs="image") for _ in range(2))
    other.reset(seed=0)
    obs, info = one.reset(seed=1)
    for disturb in (lambda: other.reset(seed=2), other.close):
        disturb()
        again = one.images(info["state"])
        for key, image in again.items():
            np.testing.assert_array_equal(image, obs[key])
    one.close()
