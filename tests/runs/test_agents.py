"""Loaded agents: they make the environment their run was trained for."""

import subprocess
import sys

import numpy as np
import pytest

import dp_bench
from dp_bench import registry
from dp_bench.errors import BadInput
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
    picture = env.render()
    env.close()
    assert isinstance(picture, np.ndarray)
    assert picture.ndim == 3


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


def test_importing_the_loader_does_not_load_torch():
    code = (
        "import sys, dp_bench; dp_bench.load_agent, dp_bench.Agent; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
