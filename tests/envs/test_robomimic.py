"""Lift, Can, Square, Transport, ToolHang: starts, control, states, files."""

import dataclasses
import json
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("robosuite", reason="needs robosuite: 'dp-bench[robomimic]'")

from dp_bench import references, registry
from dp_bench.data import hdf5, readers
from dp_bench.data import replay as doctor
from dp_bench.data.actions import actions_of
from dp_bench.data.demos import Demonstration, joined
from dp_bench.data.images import LazyImages
from dp_bench.envs.robomimic import env as robomimic
from dp_bench.envs.robomimic.env import (
    Can,
    Lift,
    Robomimic,
    Square,
    ToolHang,
    Transport,
)
from dp_bench.errors import BadInput

TASKS = {
    "lift": Lift,
    "can": Can,
    "square": Square,
    "transport": Transport,
    "tool_hang": ToolHang,
}
NUMBERS = {"lift": 19, "can": 23, "square": 23, "transport": 59, "tool_hang": 53}
each_task = pytest.mark.parametrize("name", TASKS)
_made: dict[tuple[str, str], Robomimic] = {}


def env_of(name, control="velocity"):
    """One environment for all tests: making one takes a second."""
    if (name, control) not in _made:
        _made[name, control] = TASKS[name](control=control)
    return _made[name, control]


def some_actions(env, count, seed=0):
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(count)]


# ---- Starts


START = """
import sys
import numpy as np
from dp_bench.envs.robomimic import env as robomimic
env = getattr(robomimic, sys.argv[1])()
starts = [env.reset(seed=seed)[1]["state"] for seed in range(int(sys.argv[2]))]
np.save(sys.argv[3], starts)
"""


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("can", 20),
        ("square", 20),
        ("tool_hang", 20),
        # a reset builds the model
        ("lift", 3),
        ("transport", 3),
        pytest.param("lift", 20, marks=pytest.mark.slow),
        pytest.param("transport", 20, marks=pytest.mark.slow),
    ],
)
def test_a_seed_means_one_start_in_any_process_after_whatever_was_played(
    name, count, tmp_path
):
    env, there = env_of(name), tmp_path / "starts.npy"
    words = [sys.executable, "-c", START, TASKS[name].__name__, str(count), str(there)]
    subprocess.run(words, check=True)
    for seed in range(7):
        env.reset(seed=1000 + seed)
        env.step(some_actions(env, 1)[0])
    starts = [env.reset(seed=seed)[1]["state"] for seed in range(count)]
    np.testing.assert_array_equal(starts, np.load(there))
    assert not np.array_equal(starts[0], starts[1])


@each_task
def test_a_model_is_built_anew_only_where_starts_differ_in_it(name):
    env = env_of(name)
    env.reset(seed=0)
    before = env._suite.sim.model
    env.reset(seed=1)
    assert (env._suite.sim.model is before) == (not TASKS[name].model_varies)


@each_task
def test_what_is_seen_is_as_published(name):
    env = env_of(name)
    obs, _ = env.reset(seed=0)
    assert obs.shape == (NUMBERS[name],)
    seen = env._suite._get_observations()
    arms = 2 if name == "transport" else 1
    parts = [seen["object-state"]]
    for arm in range(arms):
        parts += [
            seen[f"robot{arm}_eef_pos"],
            seen[f"robot{arm}_eef_quat"],
            seen[f"robot{arm}_gripper_qpos"],
        ]
    np.testing.assert_array_equal(obs, np.concatenate(parts).astype(np.float32))


# ---- States


@each_task
def test_the_first_numbers_of_a_state_are_time_and_positions(name):
    env = env_of(name)
    arms = 2 if name == "transport" else 1
    model = env._suite.sim.model
    _, info = env.reset(seed=0)
    assert registry.task(name).positions == 1 + model.nq
    assert len(info["state"]) == 1 + model.nq + model.nv + arms


@each_task
def test_from_a_state_it_goes_on_as_if_nothing_had_happened(name):
    env = env_of(name)
    actions = some_actions(env, 10)
    env.reset(seed=5)
    for action in actions[:5]:
        *_, info = env.step(action)
    state = info["state"]
    later = [env.step(action)[-1]["state"] for action in actions[5:]]
    seeds = (5,) if TASKS[name].model_varies else (5, 6, None)  # another draws another
    for seed in seeds:
        obs, info = env.reset(seed=seed, options={"state": state})
        np.testing.assert_array_equal(info["state"], state)
        again = [env.step(action)[-1]["state"] for action in actions[5:]]
        np.testing.assert_array_equal(again, later)
        seen, _ = env.reset(seed=seed, options={"state": state})
        np.testing.assert_array_equal(seen, obs)


def test_objects_are_seen_from_where_the_hand_is_from_the_start():
    env = env_of("can")
    obs, info = env.reset(seed=1)
    again, _ = env.reset(seed=2, options={"state": info["state"]})
    np.testing.assert_allclose(again, obs, atol=1e-6)
    # of `object`, the first seven numbers are the can's pose, the next from the hand
    can, seen = obs[:3], obs[7:10]
    hand, turn = obs[14:17], Rotation.from_quat(obs[17:21])
    assert np.linalg.norm(seen) == pytest.approx(np.linalg.norm(can - hand), abs=0.02)
    assert turn.magnitude() > 0


def test_a_model_is_its_own_whatever_was_loaded_after_it():
    can = Can()
    model = can.model()
    env_of("lift").reset(seed=0)  # builds another
    assert can.model() == model
    assert "can" in model
    assert "VisualMilk" in model
    can.close()


def test_after_a_refused_model_it_goes_on():
    env = Can()
    _, first = env.reset(seed=7)
    with pytest.raises(BadInput, match="model is not one of Can"):
        env.reset(options={"model": env_of("lift").model()})
    _, again = env.reset(seed=7)
    np.testing.assert_array_equal(again["state"], first["state"])
    env.close()


def test_a_recorded_model_is_taken_and_forgotten_again():
    env = env_of("lift")
    _, info = env.reset(seed=3)
    size = env._suite.sim.model.geom("cube_g0").size.copy()
    model, state = env.model(), info["state"]
    env.reset(seed=4)
    assert not np.array_equal(env._suite.sim.model.geom("cube_g0").size, size)
    env.reset(options={"model": model, "state": state})
    now = env._suite.sim.model.geom("cube_g0").size  # XML has six digits
    np.testing.assert_allclose(now, size, rtol=1e-4)
    env.reset(seed=4)
    assert not np.allclose(env._suite.sim.model.geom("cube_g0").size, size, rtol=1e-4)


# ---- Control


@each_task
def test_position_control_leads_where_velocity_control_leads(name):
    one, other = env_of(name), env_of(name, "position")
    one.reset(seed=2)
    other.reset(seed=2)
    for action in some_actions(one, 8):
        target = one.target(action)
        state = one.step(action)[-1]["state"]
        np.testing.assert_allclose(other.step(target)[-1]["state"], state, atol=1e-5)


def test_targets_of_recorded_states_are_those_of_the_moment():
    env = env_of("transport")
    _, info = env.reset(seed=2)
    states, actions, targets = [], some_actions(env, 5), []
    for action in actions:
        states.append(info["state"])
        targets.append(env.target(action))
        *_, info = env.step(action)
    found = Transport.targets(np.array(states), np.array(actions))
    np.testing.assert_allclose(found, targets, atol=1e-6)


def test_six_numbers_of_a_rotation_are_its_first_two_rows():
    turns = Rotation.random(5, np.random.default_rng(0))
    rows = robomimic.first_rows(turns)
    np.testing.assert_array_equal(rows[1], turns[1].as_matrix()[:2].ravel())
    for turn, six in zip(turns, rows, strict=True):
        again = robomimic.rotation_of(six)
        assert (again * turn.inv()).magnitude() < 1e-7
        skewed = np.concatenate([3 * six[:3], 0.5 * six[3:] + 0.2 * six[:3]])
        again = robomimic.rotation_of(skewed)
        assert (again * turn.inv()).magnitude() < 1e-7


@pytest.mark.parametrize("rows", [np.zeros(6), [1, 0, 0, 2, 0, 0]])
def test_rows_without_a_rotation_leave_the_hand_as_it_is(rows):
    assert robomimic.rotation_of(np.array(rows, np.float64)) is None
    env = env_of("can", "position")
    env.reset(seed=0)
    hold = env.target(np.zeros(7))
    hold[3:9] = rows
    before = env._controllers()[0].ref_ori_mat.copy()
    for _ in range(5):
        env.step(hold)
    turned = Rotation.from_matrix(env._controllers()[0].ref_ori_mat @ before.T)
    assert turned.magnitude() < 0.02


# ---- What a task is


def test_actions_that_were_recorded_for_a_control_are_preferred(wandered):
    aims = wandered.actions_as["position"]
    lift = registry.task("lift")
    np.testing.assert_array_equal(actions_of(lift, wandered, "position"), aims)
    with pytest.raises(BadInput, match="cannot turn velocity actions into position"):
        actions_of(lift, dataclasses.replace(wandered, actions_as={}), "position")


def test_the_time_limit_is_that_of_the_demonstrations():
    can, transport = registry.task("can"), registry.task("transport")
    assert [can.max_steps_of(s) for s in (None, "scripted", "ph", "mh", "mine")] == [
        *[400] * 3,
        500,
        400,
    ]
    assert transport.max_steps_of("mh") == 700
    env = can.make_env(source="mh")
    assert env.spec.max_episode_steps == 500
    env.close()


# ---- Bad input


def test_what_cannot_be_used_is_refused_in_one_sentence():
    env = env_of("can")
    for call, words in (
        (lambda: Can(obs="pixels"), "no observation 'pixels'; it has state, image"),
        (lambda: Can(control="force"), "no control mode 'force'"),
        (lambda: env.step(np.zeros(10)), r"shape \(7,\), 7 numbers an arm"),
        (lambda: env.step(np.full(7, np.nan)), "must be finite"),
        (lambda: env.reset(options={"state": np.zeros(3)}), "finite numbers"),
        (lambda: env.reset(options={"model": "<mujoco/>"}), "model is not one of Can"),
        (lambda: env.reset(options={"place": 1}), "no reset option 'place'"),
    ):
        with pytest.raises(BadInput, match=words):
            call()
    obs, _ = env.reset(seed=0)
    assert np.isfinite(obs).all()


WITHOUT = """
import sys
sys.modules["robosuite"] = None
from dp_bench import BadInput, registry
try:
    registry.task("can").make_env()
except BadInput as error:
    print(error)
"""


def test_without_robosuite_one_is_told_what_to_install():
    words = [sys.executable, "-c", WITHOUT]
    found = subprocess.run(words, check=True, capture_output=True, text=True)
    assert found.stdout.strip() == (
        "Robomimic needs robosuite: pip install 'dp-bench[robomimic]'"
    )


# ---- Files


@pytest.fixture(scope="module")
def wandered():
    """Three short episodes of Lift, in which a hand wanders about."""
    env = env_of("lift")
    episodes = []
    for seed in range(3):
        obs, info = env.reset(seed=seed)
        model, seen, states, aims = env.model(), [], [], []
        actions = some_actions(env, 6, seed)
        for action in actions:
            seen.append(obs)
            states.append(info["state"])
            aims.append(env.target(action))
            obs, _, _, _, info = env.step(action)
        episodes.append(
            Demonstration(
                obs={"state": np.array(seen)},
                actions=np.array(actions),
                states=np.array(states),
                rewards=np.arange(6) == 5,
                score=1.0,
                notes={"env_seed": seed},
                actions_as={"position": np.array(aims, np.float32)},
                last_obs={"state": obs},
                model=model,
            )
        )
    kwargs = {"obs": "state", "control": "velocity"}
    return joined("lift", "scripted", episodes, kwargs)


@pytest.fixture
def foreign(wandered, tmp_path):
    """The same as a file that robomimic wrote: without what we add to it."""
    path = tmp_path / "foreign.hdf5"
    hdf5.save(wandered, path)
    with h5py.File(path, "r+") as file:
        data = file["data"]
        for name in [n for n in data.attrs if n not in ("total", "env_args")]:
            del data.attrs[name]
        for demo in data.values():
            states = demo["states"][:, :-1]
            del demo["states"]
            demo["states"] = states
            del demo["actions_as_position"]
        file["mask/better"] = np.array(["demo_2", "demo_0"], dtype="S8")
    return path


def test_what_is_written_is_read_again(wandered, tmp_path):
    path = tmp_path / "own.hdf5"
    hdf5.save(wandered, path)
    again = readers.read(path, registry.task("lift"))
    assert again.digest == wandered.digest
    assert again.models == wandered.models
    for name in ("obs", "last_obs", "actions_as", "notes"):
        one, other = getattr(wandered, name), getattr(again, name)
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(other[key], one[key])
    one = wandered.select([2, 0])
    assert one.models == (wandered.models[2], wandered.models[0])


def test_files_are_laid_out_as_robomimic_lays_them_out(wandered, tmp_path):
    path = tmp_path / "own.hdf5"
    hdf5.save(wandered, path)
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


def test_a_file_of_robomimic_is_read(wandered, foreign):
    found = readers.read(foreign, registry.task("lift"), "ph")
    assert (found.task, found.source) == ("lift", "ph")
    np.testing.assert_array_equal(found.obs["state"], wandered.obs["state"])
    # how far the gripper was told to close is in no file, but follows from actions
    np.testing.assert_allclose(found.states, wandered.states, atol=1e-12)
    assert found.models == wandered.models
    assert found.scores.tolist() == [1, 1, 1]
    aims = actions_of(registry.task("lift"), found, "position")
    np.testing.assert_allclose(aims, wandered.actions_as["position"], atol=1e-6)
    some = readers.read(foreign, registry.task("lift"), "ph", mask="better")
    np.testing.assert_array_equal(some.actions, wandered.select([0, 2]).actions)


def test_models_of_older_robosuite_are_not_taken(foreign):
    with h5py.File(foreign, "r+") as file:
        args = json.loads(file["data"].attrs["env_args"]) | {"env_version": "1.4.1"}
        file["data"].attrs["env_args"] = json.dumps(args)
    assert readers.read(foreign, registry.task("lift"), "ph").models == ()


def test_the_doctor_replays_a_foreign_file_in_its_models(foreign):
    found = readers.read(foreign, registry.task("lift"), "ph")
    report = doctor.replay(found, registry.task("lift"), num_processes=1)
    assert report.drift.max() < 0.01  # XML has six digits


def some_pictures(k, name):
    rng = np.random.default_rng([k, len(name)])
    return rng.integers(0, 256, (6, 12, 12, 3), np.uint8)


@pytest.fixture
def photographed(foreign):
    """The same with pictures of both cameras."""
    with h5py.File(foreign, "r+") as file:
        for k in range(3):
            for name in ("agentview_image", "robot0_eye_in_hand_image"):
                file[f"data/demo_{k}/obs/{name}"] = some_pictures(k, name)
    return foreign


def test_pictures_in_a_file_of_robomimic_stay_there_and_are_kept(
    photographed, tmp_path
):
    task, name = registry.task("lift"), "agentview_image"
    found = readers.read(photographed, task, "ph", mask="better")
    assert isinstance(found.obs[name], LazyImages)
    assert found.obs[name].path == photographed
    wanted = np.concatenate([some_pictures(k, name) for k in (0, 2)])
    np.testing.assert_array_equal(found.obs[name], wanted)
    hdf5.save(found, tmp_path / "own.hdf5")
    again = readers.read(tmp_path / "own.hdf5", task)
    assert again.digest == found.digest
    assert again.obs[name].path == tmp_path / "own.hdf5"
    np.testing.assert_array_equal(again.obs[name][[7, 3]], wanted[[7, 3]])
    with h5py.File(tmp_path / "own.hdf5") as file:
        made_of = json.loads(file["data"].attrs["env_args"])["env_kwargs"]
        assert made_of["camera_names"] == ["agentview", "robot0_eye_in_hand"]
        assert made_of["camera_heights"] == 12
        assert file["data/demo_1/obs/robot0_eye_in_hand_image"].shape == (6, 12, 12, 3)


@pytest.mark.parametrize("name", TASKS)
def test_files_may_hold_pictures_of_the_cameras_there_are(name):
    task = registry.task(name)
    cls = references.load(task.entry_point)
    wanted = tuple(f"obs/{camera}_image" for camera in cls.cameras)
    assert task.sources["ph"].images == wanted


def replaced(name, change, episodes=(0, 1, 2)):
    """Changes a dataset of some episodes of a file."""

    def apply(file):
        for k in episodes:
            values = file[f"data/demo_{k}/{name}"][:]
            del file[f"data/demo_{k}/{name}"]
            file[f"data/demo_{k}/{name}"] = change(values)

    return apply


def twice(file):
    del file["mask/better"]
    file["mask/better"] = np.array(["demo_1", "demo_1"], dtype="S8")


def described(**changes):
    def apply(file):
        for name, value in changes.items():
            file["data"].attrs[name] = value

    return apply


def without_pictures(file):
    del file["data/demo_0/obs/agentview_image"]


@pytest.mark.parametrize(
    ("change", "words"),
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
        (without_pictures, "demo_0 has no 'obs/agentview_image'"),
    ],
)
def test_what_is_wrong_with_pictures_is_named(photographed, change, words):
    with h5py.File(photographed, "r+") as file:
        change(file)
    with pytest.raises(BadInput, match=re.escape(words)):
        readers.read(photographed, registry.task("lift"), "ph")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replaced("states", lambda x: x[:-1]), "states of demo_0 have 5 rows, and its"),
        (replaced("obs/object", lambda x: x[:, :9]), "obs/object must be numbers"),
        (replaced("actions", lambda x: x[:, :6], [1]), "rows of actions must have one"),
        (replaced("actions", lambda x: x * np.nan), "actions must be finite"),
        (
            replaced("states", lambda x: x * 1e300),
            "states must be finite and no larger",
        ),
        (replaced("rewards", lambda x: x.astype("S3")), "rewards must be numbers"),
        (replaced("actions", lambda x: x[:, :6]), r"actions must be .*\(18, 7\)"),
        (described(env_args="{"), "env_args is no JSON"),
        (described(env_args=5), "'env_args' of /data must be text, got int64"),
        (twice, "mask 'better' names a demonstration twice"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(foreign, change, words):
    with h5py.File(foreign, "r+") as file:
        change(file)
    mask = "better" if change is twice else None
    with pytest.raises(BadInput, match=words):
        readers.read(foreign, registry.task("lift"), "ph", mask)


def test_text_may_be_bytes(foreign):
    with h5py.File(foreign, "r+") as file:
        args = file["data"].attrs["env_args"]
        file["data"].attrs["env_args"] = np.bytes_(args)
    assert readers.read(foreign, registry.task("lift"), "ph").num_episodes == 3


def test_files_that_cannot_be_used_are_refused(foreign, tmp_path):
    lift, can = registry.task("lift"), registry.task("can")
    with pytest.raises(BadInput, match="of Lift, and not of PickPlaceCan"):
        readers.read(foreign, can, "ph")
    with pytest.raises(BadInput, match="no mask 'worse'; it has better"):
        readers.read(foreign, lift, "ph", mask="worse")
    with pytest.raises(BadInput, match="name their source, as with `--source ph`"):
        readers.read(foreign, lift)
    with h5py.File(foreign, "r+") as file:
        del file["data/demo_1/obs/object"]
    with pytest.raises(BadInput, match="demo_1 has no 'obs/object'; it has robot0_eef"):
        readers.read(foreign, lift, "ph")
    cut = tmp_path / "cut.hdf5"
    cut.write_bytes(foreign.read_bytes()[:20_000])
    with pytest.raises(BadInput, match="is truncated or damaged"):
        readers.read(cut, lift, "ph")
