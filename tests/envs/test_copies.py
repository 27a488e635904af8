"""Copies of PushT and of Robomimic's tasks continue as the original does."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest

from dp_bench import registry
from dp_bench.envs.push_t.env import PushT

HOW = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda env: pickle.loads(pickle.dumps(env)),
    "a copy of a copy": lambda env: copy.deepcopy(copy.deepcopy(env)),
}
STATE = np.array([222.0, 97.0, 240.0, 180.0, 1.0])


def pushed(env, steps):
    """Pushes the block about; returns every state in full precision."""
    return [env.step(env.action_space.sample())[4]["state"] for _ in range(steps)]


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
@pytest.mark.parametrize("control", ["position", "velocity"])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("begin", [
    {"seed": 5}, {}, {"options": {"state": STATE}}, {"seed": 5, "options": {}},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("steps", [0, 60])
def test_a_copy_of_push_t_continues_bit_by_bit(how, control, legacy, begin, steps):
    env = PushT("state", legacy=legacy, control=control)
    env.reset(seed=1)
    pushed(env, 3)
    start = env.reset(**begin)[1]["state"]
    env.action_space.seed(0)
    states = pushed(env, steps)
    if steps:
        assert np.abs(states[-1][2:4] - start[2:4]).max() > 1, "the block never moved"
    other = how(env)
    assert other is not env
    assert np.array_equal(pushed(env, 20), pushed(other, 20))
    assert np.array_equal(env.reset()[1]["state"], other.reset()[1]["state"])


def test_playing_a_copy_leaves_the_original_alone():
    env, alone = (PushT("state") for _ in range(2))
    for each in (env, alone):
        each.reset(seed=5)
        each.action_space.seed(0)
        pushed(each, 30)
    pushed(copy.deepcopy(env), 30)
    assert np.array_equal(pushed(env, 20), pushed(alone, 20))


def test_a_copy_before_the_first_reset_is_a_new_environment():
    other = copy.deepcopy(PushT("keypoints", control="velocity"))
    assert other.obs_kind == "keypoints"
    assert other.control == "velocity"
    assert other.reset(seed=3)[0].shape == (20,)


def test_a_copy_keeps_what_gymnasium_adds():
    env = gym.make("dp_bench/PushT-v0", obs="image", render_mode="rgb_array")
    env.reset(seed=3)
    for _ in range(10):
        env.step(np.array([256.0, 256.0]))
    other = copy.deepcopy(env)
    assert other.spec == env.spec
    assert other.render_mode == "rgb_array"
    assert np.array_equal(other.render(), env.render())
    for left in range(289, -1, -1):
        truncated = other.step(np.array([9.0, 9.0]))[3]
        assert truncated == (left == 0)


@pytest.mark.parametrize(
    "control", ["position", pytest.param("velocity", marks=pytest.mark.slow)]
)
def test_a_copy_of_lift_continues_in_the_model_of_its_start(control):
    pytest.importorskip("robosuite")
    env = registry.task("lift").make_env(control=control)
    xml = env.unwrapped.model()
    state = env.reset(seed=4)[1]["state"]
    for begin in ({"seed": 4}, {}, {"options": {"model": xml, "state": state}}):
        env.reset(**begin)
        env.action_space.seed(0)
        pushed(env, 3)
        other = copy.deepcopy(env)
        assert np.array_equal(pushed(env, 5), pushed(other, 5))
        other.close()
    env.close()
