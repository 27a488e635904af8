"""Kitchen: the same physics as FrankaKitchen, rewards, and Gymnasium's contract."""

import contextlib
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dp_bench.envs.opengl import opengl_works
from dp_bench.errors import BadInput

pytest.importorskip(
    "gymnasium_robotics", reason="needs gymnasium-robotics: 'dp-bench[kitchen]'"
)
from commands import run_python

from dp_bench.envs.kitchen import franka
from dp_bench.envs.kitchen.env import CONTROLS, Kitchen
from dp_bench.envs.kitchen.franka import NOISY_JOINTS, ORDER, Q
from kitchen_states import states_along, velocities, with_done

ENV_ID = "dp_bench/Kitchen-v0"
PLACES, GOALS = franka.OBS_ELEMENT_INDICES, franka.OBS_ELEMENT_GOALS


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_it_moves_and_observes_like_franka_kitchen(noise):
    """To the last bit, once both solvers start each step afresh."""
    theirs = franka.kitchen_env.KitchenEnv(
        robot_noise_ratio=noise, object_noise_ratio=noise
    )
    ours = Kitchen(obs="full", noise=noise)
    published, _ = theirs.reset(seed=5)
    obs, _ = ours.reset(seed=5)
    for action in velocities(0, 40):
        np.testing.assert_array_equal(obs, np.float32(published["observation"]))
        theirs.data.qacc_warmstart[:] = 0
        published = theirs.step(action)[0]
        obs, _, _, _, info = ours.step(action)
        np.testing.assert_array_equal(info["state"][Q], theirs.data.qpos)
        assert not np.array_equal(info["state"][NOISY_JOINTS], obs[:9]) or noise == 0


def test_position_control_follows_velocity_control_through_joint_targets():
    """Also beyond the limits of the joints, to which both modes clip targets."""
    moved = states_along(Kitchen(), 2 * velocities(1, 50), seed=3)
    targets = franka.joint_targets(moved[:-1, NOISY_JOINTS], 2 * velocities(1, 50))
    by_position = states_along(Kitchen(control="position"), targets, seed=3)
    np.testing.assert_array_equal(by_position, moved)


def test_a_joint_moves_at_the_velocity_of_its_action():
    """The seventh joint, which carries little, covers most of the distance."""
    action = np.zeros(9, np.float32)
    action[6] = -0.5
    states = states_along(Kitchen(noise=0), [action] * 12)
    steps = np.diff(states[4:, 6])
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.1)
    assert -0.08 < steps.mean() < -0.04  # of 0.08 rad


def test_equal_states_continue_equally_whatever_came_before():
    actions = velocities(2, 40)
    env = Kitchen(noise=0)
    whole = states_along(env, actions)
    assert np.ptp(whole[:, :9], axis=0).max() > 0.3
    used = Kitchen(noise=0)
    states_along(used, velocities(3))
    for i in (0, 7, 25):
        rest = states_along(used, actions[i:], options={"state": whole[i]})
        np.testing.assert_array_equal(rest, whole[i:])


@pytest.mark.parametrize("control", CONTROLS)
def test_same_seed_and_actions_give_the_same_episode(control):
    def episode(env, seed):
        obs, _ = env.reset(seed=seed)
        env.action_space.seed(0)
        return [obs, *(env.step(env.action_space.sample())[0] for _ in range(10))]

    env = Kitchen(control=control)
    one, other = episode(env, 1), episode(env, 2)
    np.testing.assert_array_equal(one, episode(Kitchen(control=control), 1))
    assert not np.array_equal(one[0], other[0])


def test_resets_without_a_seed_vary_and_repeat_after_a_seed():
    env = Kitchen()
    env.reset(seed=7)
    some = [env.reset()[0] for _ in range(3)]
    assert not np.array_equal(some[0], some[1])
    env.reset(seed=7)
    np.testing.assert_array_equal(some, [env.reset()[0] for _ in range(3)])


def test_noise_is_as_large_as_its_ratio_says():
    """0.1 times 0.1 rad for joints, and nothing that moves objects about."""
    start = with_done()
    env = Kitchen(noise=0.1)
    obs = np.array([env.reset(seed=s)[0] for s in range(200)])
    noise = np.abs(obs - start[Q])
    assert 0.0098 < noise[:, :9].max() <= 0.0101
    assert 0 < noise[:, 9:].max() <= 0.0101
    assert (
        np.ptp([env.reset(seed=s)[1]["state"][Q] for s in range(3)], axis=0).max() == 0
    )


def test_the_global_generator_stays_untouched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (the one under test)
    env = Kitchen()
    env.reset(seed=1)
    env.step(np.zeros(9))
    env.reset()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_a_done_element_stays_done_and_keeps_its_rank():
    env = Kitchen(noise=0)
    env.reset(options={"state": with_done("microwave")})
    _, reward, _, _, info = env.step(np.zeros(9))
    assert reward == 1
    assert info["order"].tolist() == [0, 0, 0, 0, 0, 1, 0]
    state = info["state"]
    state[PLACES["microwave"]] = 0  # shut again
    state[PLACES["slide cabinet"]] = GOALS["slide cabinet"]
    env.reset(options={"state": state})
    _, reward, _, _, info = env.step(np.zeros(9))
    assert reward == 1
    assert info["order"].tolist() == [0, 0, 0, 2, 0, 1, 0]
    assert info["done"].tolist() == [False, False, False, True, False, True, False]
    assert info["at_goal"].tolist() == [False, False, False, True, False, False, False]
    _, reward, *_ = env.step(np.zeros(9))
    assert reward == 0


def test_four_elements_are_a_success_and_seven_end_the_episode():
    env = Kitchen(noise=0)
    state = with_done()
    for done, success, end in ((3, False, False), (4, True, False), (7, True, True)):
        state[ORDER] = [*range(1, done + 1), *[0] * (7 - done)]
        env.reset(options={"state": state})
        _, _, terminated, _, info = env.step(np.zeros(9))
        assert (info["success"], terminated) == (success, end)


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("obs", ["qpos", "full"])
def test_it_is_a_gymnasium_environment(obs, control, monkeypatch):
    monkeypatch.setitem(Kitchen.metadata, "render_modes", ["rgb_array"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Positions are in rad, as in the demonstrations; policies scale them.
        warnings.filterwarnings("ignore", ".*symmetric and normalized space.*")
        draws = obs == "qpos" and control == "velocity" and opengl_works()
        env = gym.make(ENV_ID, obs=obs, control=control).unwrapped
        check_env(env, skip_render_check=not draws)


def test_it_vectorises():
    envs = gym.make_vec(ENV_ID, num_envs=3, vectorization_mode="sync")
    with contextlib.closing(envs):
        obs, _ = envs.reset(seed=[4, 5, 4])
        np.testing.assert_array_equal(obs[0], obs[2])
        assert not np.array_equal(obs[0], obs[1])
        *_, infos = envs.step(np.tile(velocities(0, 1), (3, 1)))
        assert infos["state"].shape == (3, 75)
        assert infos["order"].shape == (3, 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"obs": "image"}, "no observation 'image'; it has qpos, full"),
        ({"control": "torque"}, "no control mode 'torque'; it has velocity, position"),
        ({"noise": -0.1}, "noise -0.1 must be"),
        ({"render_mode": "ansi"}, "no render mode 'ansi'"),
    ],
)
def test_unknown_arguments_are_refused(arguments, message):
    with pytest.raises(BadInput, match=message):
        Kitchen(**arguments)


def test_invalid_actions_and_states_are_refused():
    env = Kitchen()
    with pytest.raises(BadInput, match=r"shape \(9,\), not \(7,\)"):
        env.step(np.zeros(7))
    with pytest.raises(BadInput, match="finite"):
        env.step(np.full(9, np.nan))
    with pytest.raises(BadInput, match=r"shape \(75,\), not \(30,\)"):
        env.reset(options={"state": np.zeros(30)})
    state = with_done()
    for order in ([2, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0, 0]):
        state[ORDER] = order
        with pytest.raises(BadInput, match=r"1, 2, \.\.\. for elements in the order"):
            env.reset(options={"state": state})


def test_without_the_package_an_error_names_the_extra(tmp_path):
    code = """
import sys
sys.modules["gymnasium_robotics"] = None
import gymnasium as gym
import dp_bench
gym.make("dp_bench/Kitchen-v0")
"""
    process = run_python(code, tmp_path)
    last = process.stderr.splitlines()[-1]
    assert "Kitchen needs gymnasium-robotics: pip install 'dp-bench[kitchen]'" in last
