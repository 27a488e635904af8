"""Robomimic: starts, observations, states and refused input."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dp_bench import registry
from dp_bench.errors import BadInput

pytest.importorskip("robosuite", reason="needs robosuite: 'dp-bench[robomimic]'")
from dp_bench.envs.robomimic.env import Can
from robomimic_envs import TASKS, each_task, env_of, some_actions

OBS_WIDTHS = {"lift": 19, "can": 23, "square": 23, "transport": 59, "tool_hang": 53}


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
        pytest.param("transport", 3, marks=pytest.mark.slow),
        pytest.param("lift", 20, marks=pytest.mark.slow),
        pytest.param("transport", 20, marks=pytest.mark.slow),
    ],
)
def test_a_seed_gives_the_same_start_in_any_process_after_any_episode(
    name, count, tmp_path
):
    env, file = env_of(name), tmp_path / "starts.npy"
    arguments = [TASKS[name].__name__, str(count), str(file)]
    subprocess.run([sys.executable, "-c", START, *arguments], check=True)
    for seed in range(7):
        env.reset(seed=1000 + seed)
        env.step(some_actions(env, 1)[0])
    starts = [env.reset(seed=seed)[1]["state"] for seed in range(count)]
    np.testing.assert_array_equal(starts, np.load(file))
    assert not np.array_equal(starts[0], starts[1])


@each_task
def test_resets_build_a_new_model_only_if_starts_differ_in_it(name):
    env = env_of(name)
    env.reset(seed=0)
    before = env.suite.sim.model
    env.reset(seed=1)
    assert (env.suite.sim.model is before) == (not TASKS[name].model_varies)


@each_task
def test_observations_are_ordered_as_published(name):
    env = env_of(name)
    obs, _ = env.reset(seed=0)
    assert obs.shape == (OBS_WIDTHS[name],)
    published = env.suite._get_observations()
    arms = 2 if name == "transport" else 1
    parts = [published["object-state"]]
    for arm in range(arms):
        parts += [
            published[f"robot{arm}_eef_pos"],
            published[f"robot{arm}_eef_quat"],
            published[f"robot{arm}_gripper_qpos"],
        ]
    np.testing.assert_array_equal(obs, np.concatenate(parts).astype(np.float32))


@each_task
def test_the_first_numbers_of_a_state_are_time_and_positions(name):
    env = env_of(name)
    arms = 2 if name == "transport" else 1
    model = env.suite.sim.model
    _, info = env.reset(seed=0)
    assert registry.task(name).positions == 1 + model.nq
    assert len(info["state"]) == 1 + model.nq + model.nv + arms


@each_task
def test_an_episode_continues_equally_from_its_state(name):
    env = env_of(name)
    actions = some_actions(env, 10)
    env.reset(seed=5)
    for action in actions[:5]:
        *_, info = env.step(action)
    state = info["state"]
    later = [env.step(action)[-1]["state"] for action in actions[5:]]
    seeds = (
        (5,) if TASKS[name].model_varies else (5, 6, None)
    )  # another seed, another model
    for seed in seeds:
        obs, info = env.reset(seed=seed, options={"state": state})
        np.testing.assert_array_equal(info["state"], state)
        again = [env.step(action)[-1]["state"] for action in actions[5:]]
        np.testing.assert_array_equal(again, later)
        again, _ = env.reset(seed=seed, options={"state": state})
        np.testing.assert_array_equal(again, obs)


def test_a_reset_observes_objects_relative_to_the_hand():
    env = env_of("can")
    obs, info = env.reset(seed=1)
    again, _ = env.reset(seed=2, options={"state": info["state"]})
    np.testing.assert_allclose(again, obs, atol=1e-6)
    # `object` begins with the can's pose; then comes the pose relative to the hand
    can, relative = obs[:3], obs[7:10]
    hand, turn = obs[14:17], Rotation.from_quat(obs[17:21])
    assert np.linalg.norm(relative) == pytest.approx(
        np.linalg.norm(can - hand), abs=0.02
    )
    assert turn.magnitude() > 0


def test_an_environment_keeps_its_model_when_another_loads_one():
    can = Can()
    model = can.model()
    env_of("lift").reset(seed=0)  # builds another model
    assert can.model() == model
    assert "can" in model
    assert "VisualMilk" in model
    can.close()


def test_starts_are_the_same_after_a_refused_model():
    env = Can()
    _, first = env.reset(seed=7)
    with pytest.raises(BadInput, match="model is not one of Can"):
        env.reset(options={"model": env_of("lift").model()})
    _, again = env.reset(seed=7)
    np.testing.assert_array_equal(again["state"], first["state"])
    env.close()


def test_a_recorded_model_is_loaded_for_one_episode():
    env = env_of("lift")
    _, info = env.reset(seed=3)
    size = env.suite.sim.model.geom("cube_g0").size.copy()
    model, state = env.model(), info["state"]
    env.reset(seed=4)
    assert not np.array_equal(env.suite.sim.model.geom("cube_g0").size, size)
    env.reset(options={"model": model, "state": state})
    now = env.suite.sim.model.geom("cube_g0").size  # XML has six digits
    np.testing.assert_allclose(now, size, rtol=1e-4)
    env.reset(seed=4)
    assert not np.allclose(env.suite.sim.model.geom("cube_g0").size, size, rtol=1e-4)


def test_the_time_limit_depends_on_the_source_of_demonstrations():
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


def test_invalid_input_is_refused():
    env = env_of("can")
    for call, message in (
        (lambda: Can(obs="pixels"), "no observation 'pixels'; it has state, image"),
        (lambda: Can(control="force"), "no control mode 'force'"),
        (lambda: env.step(np.zeros(10)), r"7 numbers an arm: shape \(7,\)"),
        (lambda: env.step(np.full(7, np.nan)), "must be finite"),
        (lambda: env.reset(options={"state": np.zeros(3)}), "finite numbers"),
        (lambda: env.reset(options={"model": "<mujoco/>"}), "model is not one of Can"),
        (lambda: env.reset(options={"place": 1}), "no reset option 'place'"),
    ):
        with pytest.raises(BadInput, match=message):
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


def test_without_robosuite_an_error_names_the_extra():
    command = [sys.executable, "-c", WITHOUT]
    process = subprocess.run(command, check=True, capture_output=True, text=True)
    assert process.stdout.strip() == (
        "Robomimic needs robosuite: pip install 'dp-bench[robomimic]'"
    )
