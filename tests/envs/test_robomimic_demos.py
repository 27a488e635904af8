"""Robomimic: reading and writing robomimic's files."""

import dataclasses
import json
import re

import h5py
import numpy as np
import pytest

from dp_bench import references, registry
from dp_bench.data import hdf5, readers
from dp_bench.data.actions import actions_of
from dp_bench.data.images import LazyImages
from dp_bench.data.replay import replay
from dp_bench.errors import BadInput

pytest.importorskip("robosuite", reason="needs robosuite: 'dp-bench[robomimic]'")
from dp_bench.envs.robomimic.demos import TRANSPORT
from robomimic_envs import (
    each_task,
    env_of,
    recorded_moves,
    some_actions,
    write_as_robomimic,
)


@pytest.fixture(scope="module")
def random_moves():
    return recorded_moves()


@pytest.fixture
def robomimic_file(random_moves, tmp_path):
    return write_as_robomimic(random_moves, tmp_path / "robomimic_file.hdf5")


def test_recorded_actions_are_preferred_to_converted_ones(random_moves):
    targets = random_moves.actions_as["position"]
    lift = registry.task("lift")
    np.testing.assert_array_equal(actions_of(lift, random_moves, "position"), targets)
    with pytest.raises(BadInput, match="cannot turn velocity actions into position"):
        actions_of(lift, dataclasses.replace(random_moves, actions_as={}), "position")


def test_targets_follow_from_recorded_states():
    env = env_of("transport")
    _, info = env.reset(seed=2)
    states, actions, targets = [], some_actions(env, 5), []
    for action in actions:
        states.append(info["state"])
        targets.append(env.target(action))
        *_, info = env.step(action)
    converted = TRANSPORT.targets(np.array(states), np.array(actions))
    np.testing.assert_allclose(converted, targets, atol=1e-6)


def test_reading_returns_what_was_written(random_moves, tmp_path):
    path = tmp_path / "own.hdf5"
    hdf5.save(random_moves, path)
    again = readers.read(path, registry.task("lift"))
    assert again.digest == random_moves.digest
    assert again.models == random_moves.models
    for name in ("obs", "last_obs", "actions_as", "notes"):
        one, other = getattr(random_moves, name), getattr(again, name)
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(other[key], one[key])
    one = random_moves.select([2, 0])
    assert one.models == (random_moves.models[2], random_moves.models[0])


def test_files_have_the_layout_of_robomimic(random_moves, tmp_path):
    path = tmp_path / "own.hdf5"
    hdf5.save(random_moves, path)
    with h5py.File(path) as file:
        args = json.loads(file["data"].attrs["env_args"])
        assert (args["env_name"], args["type"]) == ("Lift", 1)
        assert args["env_kwargs"]["robots"] == ["Panda"]
        demo = file["data/demo_1"]
        assert demo.attrs["num_samples"] == 6
        assert demo.attrs["model_file"].startswith("<mujoco")
        widths = {name: demo[f"obs/{name}"].shape[1] for name in demo["obs"]}
        assert widths == {
            "object": 10,
            "robot0_eef_pos": 3,
            "robot0_eef_quat": 4,
            "robot0_gripper_qpos": 2,
        }
        for name in demo["obs"]:
            now, following = demo[f"obs/{name}"][:], demo[f"next_obs/{name}"][:]
            np.testing.assert_array_equal(now[1:], following[:-1])
        assert demo["dones"][:].tolist() == [False] * 5 + [True]


def test_the_reader_reads_a_file_of_robomimic(random_moves, robomimic_file):
    demos = readers.read(robomimic_file, registry.task("lift"), "ph")
    assert (demos.task, demos.source) == ("lift", "ph")
    np.testing.assert_array_equal(demos.obs["state"], random_moves.obs["state"])
    # files leave out the grippers' commands, which follow from the actions
    np.testing.assert_allclose(demos.states, random_moves.states, atol=1e-12)
    assert demos.models == random_moves.models
    assert demos.scores.tolist() == [1, 1, 1]
    aims = actions_of(registry.task("lift"), demos, "position")
    np.testing.assert_allclose(aims, random_moves.actions_as["position"], atol=1e-6)
    some = readers.read(robomimic_file, registry.task("lift"), "ph", mask="better")
    np.testing.assert_array_equal(some.actions, random_moves.select([0, 2]).actions)


def test_models_of_older_robosuite_are_left_out(robomimic_file):
    with h5py.File(robomimic_file, "r+") as file:
        args = json.loads(file["data"].attrs["env_args"]) | {"env_version": "1.4.1"}
        file["data"].attrs["env_args"] = json.dumps(args)
    assert readers.read(robomimic_file, registry.task("lift"), "ph").models == ()


def test_replay_uses_the_models_of_the_file(robomimic_file):
    demos = readers.read(robomimic_file, registry.task("lift"), "ph")
    report = replay(demos, registry.task("lift"), num_processes=1)
    assert report.drift.max() < 0.01  # XML has six digits


def some_images(k, name):
    rng = np.random.default_rng([k, len(name)])
    return rng.integers(0, 256, (6, 12, 12, 3), np.uint8)


@pytest.fixture
def file_with_images(robomimic_file):
    """The same file with images of both cameras."""
    with h5py.File(robomimic_file, "r+") as file:
        for k in range(3):
            for name in ("agentview_image", "robot0_eye_in_hand_image"):
                file[f"data/demo_{k}/obs/{name}"] = some_images(k, name)
    return robomimic_file


def test_images_stay_in_the_file_and_are_copied_when_saved(file_with_images, tmp_path):
    task, name = registry.task("lift"), "agentview_image"
    demos = readers.read(file_with_images, task, "ph", mask="better")
    assert isinstance(demos.obs[name], LazyImages)
    assert demos.obs[name].path == file_with_images
    expected = np.concatenate([some_images(k, name) for k in (0, 2)])
    np.testing.assert_array_equal(demos.obs[name], expected)
    hdf5.save(demos, tmp_path / "own.hdf5")
    again = readers.read(tmp_path / "own.hdf5", task)
    assert again.digest == demos.digest
    assert again.obs[name].path == tmp_path / "own.hdf5"
    np.testing.assert_array_equal(again.obs[name][[7, 3]], expected[[7, 3]])
    with h5py.File(tmp_path / "own.hdf5") as file:
        kwargs = json.loads(file["data"].attrs["env_args"])["env_kwargs"]
        assert kwargs["camera_names"] == ["agentview", "robot0_eye_in_hand"]
        assert kwargs["camera_heights"] == 12
        assert file["data/demo_1/obs/robot0_eye_in_hand_image"].shape == (6, 12, 12, 3)


@each_task
def test_sources_name_the_images_of_each_camera(name):
    task = registry.task(name)
    cls = references.load(task.entry_point)
    expected = tuple(f"obs/{camera}_image" for camera in cls.cameras)
    assert task.sources["ph"].images == expected


def replaced(name, change, episodes=(0, 1, 2)):
    """Changes a dataset of some episodes of a file."""

    def apply(file):
        for k in episodes:
            values = file[f"data/demo_{k}/{name}"][:]
            del file[f"data/demo_{k}/{name}"]
            file[f"data/demo_{k}/{name}"] = change(values)

    return apply


def mask_with_a_duplicate(file):
    del file["mask/better"]
    file["mask/better"] = np.array(["demo_1", "demo_1"], dtype="S8")


def with_attributes(**changes):
    def apply(file):
        for name, value in changes.items():
            file["data"].attrs[name] = value

    return apply


def without_images(file):
    del file["data/demo_0/obs/agentview_image"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            replaced("obs/agentview_image", lambda x: x / 255),
            "agentview_image must be images, uint8",
        ),
        (
            replaced("obs/agentview_image", lambda x: x[:, 1:], [1]),
            "agentview_image must have one shape",
        ),
        (
            replaced("obs/agentview_image", lambda x: x[1:], [2]),
            "agentview_image of demo_2 have 5 rows",
        ),
        (
            replaced("obs/agentview_image", lambda x: x[..., :1]),
            "agentview_image must be images, uint8",
        ),
        (
            replaced("obs/agentview_image", lambda x: x[:, 1:, 1:]),
            "of one size for all cameras, and are agentview uint8 (18, 11, 11, 3)",
        ),
        (without_images, "demo_0 has no 'obs/agentview_image'"),
    ],
)
def test_invalid_images_are_refused(file_with_images, change, message):
    with h5py.File(file_with_images, "r+") as file:
        change(file)
    with pytest.raises(BadInput, match=re.escape(message)):
        readers.read(file_with_images, registry.task("lift"), "ph")


def with_nan(file):
    file["data/demo_1/actions"][4, 2] = np.nan


def with_an_empty_episode(file):
    file.copy("data/demo_0", "data/demo_3")
    for name in ("actions", "states", "rewards"):
        replaced(name, lambda x: x[:0], [3])(file)
    for name in file["data/demo_0/obs"]:
        replaced(f"obs/{name}", lambda x: x[:0], [3])(file)


def with_another_name(file):
    file.move("data/demo_2", "data/demo_2_bad")


def with_other_names(file):
    for k in range(3):
        file.move(f"data/demo_{k}", f"data/ep_{k}")


def without_env_args(file):
    del file["data"].attrs["env_args"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_nan, "actions must be finite, and row 4 of demo_1 is not"),
        (with_an_empty_episode, "demo_3 has no steps: delete the group"),
        (with_another_name, "episode 'demo_2_bad' of data is not called demo_<number>"),
        (with_other_names, "episode 'ep_0' of data is not called demo_<number>"),
        (without_env_args, "data has no attribute 'env_args'.* write it as JSON"),
        (replaced("states", lambda x: x[:-1]), "states of demo_0 have 5 rows, and its"),
        (replaced("obs/object", lambda x: x[:, :9]), "obs/object must be numbers"),
        (replaced("actions", lambda x: x[:, :6], [1]), "rows of actions must have one"),
        (replaced("actions", lambda x: x * np.nan), "actions must be finite"),
        (
            replaced("states", lambda x: x * 1e300),
            "states must be finite and no larger",
        ),
        (
            replaced("rewards", lambda x: x.astype("S3")),
            "rewards of demo_0 must be numbers",
        ),
        (replaced("actions", lambda x: x[:, :6]), r"actions must be .*\(18, 7\)"),
        (with_attributes(env_args="{"), "env_args is no JSON"),
        (with_attributes(env_args=5), "'env_args' of /data must be text, got int64"),
        (mask_with_a_duplicate, "mask 'better' names a demonstration twice"),
    ],
)
def test_invalid_files_are_refused(robomimic_file, change, message):
    with h5py.File(robomimic_file, "r+") as file:
        change(file)
    mask = "better" if change is mask_with_a_duplicate else None
    with pytest.raises(BadInput, match=message):
        readers.read(robomimic_file, registry.task("lift"), "ph", mask)


def test_attributes_may_be_bytes(robomimic_file):
    with h5py.File(robomimic_file, "r+") as file:
        args = file["data"].attrs["env_args"]
        file["data"].attrs["env_args"] = np.bytes_(args)
    assert readers.read(robomimic_file, registry.task("lift"), "ph").num_episodes == 3


def test_files_of_other_tasks_unknown_masks_and_cut_files_are_refused(
    robomimic_file, tmp_path
):
    lift, can = registry.task("lift"), registry.task("can")
    with pytest.raises(BadInput, match="of Lift, but the task is PickPlaceCan"):
        readers.read(robomimic_file, can, "ph")
    with pytest.raises(BadInput, match="no mask 'worse'; it has better"):
        readers.read(robomimic_file, lift, "ph", mask="worse")
    with pytest.raises(BadInput, match="name their source, as with `--source ph`"):
        readers.read(robomimic_file, lift)
    with h5py.File(robomimic_file, "r+") as file:
        del file["data/demo_1/obs/object"]
    with pytest.raises(BadInput, match="demo_1 has no 'obs/object'; it has robot0_eef"):
        readers.read(robomimic_file, lift, "ph")
    cut = tmp_path / "cut.hdf5"
    cut.write_bytes(robomimic_file.read_bytes()[:20_000])
    with pytest.raises(BadInput, match="is truncated or damaged"):
        readers.read(cut, lift, "ph")
