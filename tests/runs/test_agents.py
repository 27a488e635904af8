"""Loaded agents: they make the environment their run was trained for."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

import dp_bench
from dp_bench import registry
from dp_bench.envs.push_t.env import PushT
from dp_bench.errors import BadInput
from dp_bench.seeds import Purpose, derive
from made_up import written_run

POLICY = {"channels": [8, 16], "step_dim": 8, "sample_steps": 2}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run of velocity control; the task's default is position control."""
    return written_run(
        tmp_path_factory.mktemp("run"),
        obs_kind="state", obs_dim=5, control="velocity", policy=POLICY,
    ).path  # fmt: skip


def test_an_agent_makes_the_environment_of_its_run(run_folder):
    agent = dp_bench.load_agent(run_folder)
    assert agent.control == "velocity"
    env = agent.make_env()
    assert env.unwrapped.control == "velocity"
    assert env.observation_space.shape == (5,)
    obs, _ = env.reset(seed=7)
    agent.reset(7)
    action = agent.act(obs)
    env.step(action)
    env.close()
    assert action.shape == env.action_space.shape
    assert registry.task("pusht").controls[0] == "position"  # what gym.make would give


def test_keyword_arguments_reach_the_environment(run_folder):
    env = dp_bench.load_agent(run_folder).make_env(render_mode="rgb_array")
    env.reset(seed=0)
    image = env.render()
    env.close()
    assert isinstance(image, np.ndarray)
    assert image.ndim == 3


@pytest.mark.parametrize("name", ["control", "obs", "obs_kind", "source"])
def test_an_argument_that_the_run_decides_is_refused(run_folder, name):
    agent = dp_bench.load_agent(run_folder)
    with pytest.raises(BadInput, match=f"takes no '{name}'.*velocity control"):
        agent.make_env(**{name: "position"})


def test_an_agent_says_what_it_plays(run_folder):
    shown = repr(dp_bench.load_agent(run_folder))
    assert shown == (
        "<Agent dp_c on pusht, state observations, velocity control, train seed 0>"
    )


def test_an_agent_without_a_run_makes_no_environment():
    class Still:
        horizons = dp_bench.Horizons(1, 1, 1)

    agent = dp_bench.Agent(Still())
    assert agent.control is None
    assert repr(agent) == "<Agent of Still, Horizons(obs=1, action=1, prediction=1)>"
    with pytest.raises(
        BadInput, match=r"Still that belongs to no run.*gymnasium\.make"
    ):
        agent.make_env()


def made(**kwargs):
    return gym.make(
        "dp_bench/PushT-v0", **{"obs": "state", "control": "velocity"} | kwargs
    )


WRONG = {
    "default control": (lambda: gym.make("dp_bench/PushT-v0", obs="state"), "position"),
    "position control": (lambda: made(control="position"), "control='position'"),
    "keypoints": (lambda: made(obs="keypoints"), "obs='keypoints'"),
    "another task": (lambda: gym.make("dp_bench/BlockPush-v0"), "BlockPush-v0"),
    "class": (lambda: PushT(obs="state"), "control='position'"),
    "wrapped": (
        lambda: gym.wrappers.TimeLimit(made(control="position"), 5), "position",
    ),
}  # fmt: skip


def in_a_sync_vector(make):
    return SyncVectorEnv([make, make])


def in_an_async_vector(make):
    return AsyncVectorEnv([make, make])


def in_a_wrapped_vector(make):
    return gym.wrappers.vector.RecordEpisodeStatistics(in_a_sync_vector(make))


def in_a_list(make):
    return [made(), make()]


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_an_environment_that_is_not_the_run_s_is_refused(run_folder, make, message):
    agent = dp_bench.load_agent(run_folder)
    with pytest.raises(BadInput, match=rf"{message}.*agent\.make_env\(\)"):
        agent.reset(7, make())


@pytest.mark.parametrize(
    "several", [in_a_sync_vector, in_an_async_vector, in_a_wrapped_vector, in_a_list]
)
def test_lanes_that_are_not_the_run_s_are_refused(run_folder, several):
    agent = dp_bench.load_agent(run_folder)
    wrong, right = several(WRONG["default control"][0]), several(made)
    with pytest.raises(BadInput, match="control='position'"):
        agent.reset([7, 8], wrong)
    agent.reset([7, 8], right)
    for envs in (wrong, right):
        if not isinstance(envs, list):
            envs.close()


def test_a_vector_environment_made_by_gymnasium_is_checked_too(run_folder):
    agent = dp_bench.load_agent(run_folder)
    for kind in ("sync", "async"):
        envs = gym.make_vec(
            "dp_bench/PushT-v0", num_envs=2, vectorization_mode=kind, obs="state"
        )
        with pytest.raises(BadInput, match="control='position'"):
            agent.reset([7, 8], envs)
        envs.close()


def test_an_agent_that_knows_no_environment_says_so(run_folder):
    agent = dp_bench.load_agent(run_folder)
    with pytest.raises(BadInput, match=r"does not know its environment.*make_env"):
        agent.reset(7)
    dp_bench.Agent(agent.actor).reset(7)  # on a robot
    agent.make_env()
    agent.reset(7)


def test_an_action_far_outside_the_space_is_refused_in_the_loop(run_folder):
    agent = dp_bench.load_agent(run_folder)
    obs, _ = agent.make_env().reset(seed=7)
    agent.actor.action_normalizer.offset.fill_(-1e6)
    agent.reset(7)
    with pytest.raises(BadInput, match="far outside the environment's action space"):
        agent.act(obs)


def test_importing_the_loader_does_not_load_torch():
    code = (
        "import sys, dp_bench; dp_bench.load_agent, dp_bench.Agent; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def first_actions(tmp_path, train_seed, env_seed=7):
    """What a run of this train seed does first; all runs here have equal weights."""
    path = tmp_path / f"{train_seed}-{env_seed}"
    agent = dp_bench.load_agent(written_run(path, train_seed=train_seed).path)
    assert agent.actor.train_seed == train_seed
    env = agent.make_env()
    obs, _ = env.reset(seed=7)
    env.close()
    agent.reset(env_seed)
    return agent.act(obs)


def test_trainings_with_equal_weights_draw_different_noise(tmp_path):
    zero, one, two = (first_actions(tmp_path, seed) for seed in (0, 1, 2))
    assert not np.array_equal(zero, one)
    assert not np.array_equal(one, two)
    assert np.array_equal(one, first_actions(tmp_path / "again", 1))
    assert not np.array_equal(one, first_actions(tmp_path, 1, env_seed=8))


def test_train_seed_0_keeps_the_noise_that_all_trainings_had():
    assert derive(Purpose.DECISIONS, 100_000, 0) == derive(Purpose.DECISIONS, 100_000)
    assert derive(Purpose.DECISIONS, 100_000, 1) != derive(Purpose.DECISIONS, 100_000)
    assert derive(Purpose.DECISIONS, 1, 2) != derive(Purpose.DECISIONS, 2, 1)
