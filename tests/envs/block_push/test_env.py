"""BlockPush: the contract of the environment, its actions and its rewards."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import dp_bench  # noqa: F401 (registers the environment)
from dp_bench.envs.block_push.env import CONTROLS
from dp_bench.envs.block_push.env import BlockPush as Env
from dp_bench.envs.block_push.geometry import AIM, PLACES, POSE, PUSHER, SPEED, start
from dp_bench.envs.block_push.script import demonstrate
from dp_bench.envs.opengl import opengl_works
from dp_bench.envs.scores import different_rewards
from dp_bench.errors import BadInput
from pushing import TARGETS, pushes, states_along, table

ENV_ID = "dp_bench/BlockPush-v0"
TARGETS_XY = np.array(TARGETS).reshape(1, 2, 3)


def test_it_is_a_gymnasium_environment(monkeypatch):
    monkeypatch.setitem(Env.metadata, "render_modes", ["rgb_array"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Actions are in m, as in the demonstrations. Policies scale them.
        warnings.filterwarnings("ignore", ".*symmetric and normalized space.*")
        for control in CONTROLS:
            env = gym.make(ENV_ID, control=control).unwrapped
            check_env(env, skip_render_check=not opengl_works())


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_it_vectorises(mode):
    envs = gym.make_vec(ENV_ID, num_envs=3, vectorization_mode=mode)
    try:
        obs, _ = envs.reset(seed=[4, 5, 4])
        np.testing.assert_array_equal(obs[0], obs[2])
        assert not np.array_equal(obs[0], obs[1])
        for _ in range(5):
            _, _, _, _, infos = envs.step(np.tile(np.float32([[0.02, 0.03]]), (3, 1)))
        assert infos["state"].shape == (3, 26)
        assert infos["entered"].shape == (3, 2, 2)
        np.testing.assert_array_equal(infos["state"][0], infos["state"][2])
    finally:
        envs.close()


def test_same_start_and_actions_give_the_same_states_whatever_came_before():
    start, actions = pushes(seed=3)
    used = Env()
    states_along(used, *pushes(seed=4))
    fresh = states_along(Env(), start, actions)
    assert np.ptp(fresh[:, POSE], axis=0).max() > 0.05
    np.testing.assert_array_equal(states_along(used, start, actions), fresh)


def test_a_start_is_a_function_of_the_seed_alone():
    env, used = Env(), Env(control="position")
    used.reset(seed=8)
    used.step(np.array([0.4, 0.0]))
    used.reset()
    for seed in (0, 7, 2**32 - 1):
        (obs, info), (other, _) = env.reset(seed=seed), used.reset(seed=seed)
        np.testing.assert_array_equal(obs, other)
        drawn = start(np.random.RandomState(seed))
        np.testing.assert_array_equal(info["state"], drawn)


def test_resets_without_a_seed_vary_and_can_be_repeated():
    env = Env()
    env.reset(seed=7)
    some = [env.reset()[0] for _ in range(3)]
    assert not np.array_equal(some[0], some[1])
    env.reset(seed=7)
    np.testing.assert_array_equal(some, [env.reset()[0] for _ in range(3)])


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (the test checks it)
    env = Env()
    env.reset(seed=1)
    env.reset()
    demonstrate(0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_an_observation_has_the_documented_order():
    state = table((0.3, -0.31, 0.1), (0.5, -0.2, 0.2), (0.31, -0.4))
    state[AIM] = 0.35, -0.38
    state[PLACES] = 0.28, 0.19, 0.3, 0.52, 0.21, 0.4
    env = Env()
    obs, _ = env.reset(options={"state": state})
    assert obs.dtype == np.float32
    named = [0.3, -0.31, 0.1, 0.5, -0.2, 0.2, 0.31, -0.4, 0.35, -0.38]
    named += [0.28, 0.19, 0.3, 0.52, 0.21, 0.4]
    np.testing.assert_array_equal(obs, np.float32(named))
    moved, *_ = env.step(np.array([0.01, 0.02]))
    np.testing.assert_allclose(moved[8:10], [0.36, -0.36], 0, 1e-6)
    np.testing.assert_array_equal(moved[10:], obs[10:])
    assert (moved[6:8] > obs[6:8]).all()
    assert not np.shares_memory(obs, moved)


@pytest.mark.parametrize("when", [0, 12, 25, 45])
def test_an_episode_continues_from_any_of_its_states(when):
    """The states are equal to the last bit, even in the middle of a push."""
    start, actions = pushes(seed=5)
    states = states_along(Env(), start, actions)
    if when:
        when = np.flatnonzero(states[when:, SPEED].any(axis=1))[0] + when
    again = states_along(Env(), states[when], actions[when:])
    np.testing.assert_array_equal(again, states[when:])


def test_registration_cuts_an_episode_off_after_350_steps():
    env = gym.make(ENV_ID)
    env.reset(seed=0)
    ends = [env.step(np.zeros(2, np.float32))[3] for _ in range(350)]
    assert ends == [False] * 349 + [True]


def test_observations_stay_in_their_space_under_hard_pushes():
    env = Env(control="position")
    rng = np.random.default_rng(0)
    low, high = [0.15, -0.5], [0.7, 0.5]
    for seed in range(10):
        first, info = env.reset(seed=seed)
        assert first in env.observation_space
        for _ in range(12):
            block = info["state"][3 * rng.integers(2) :][:2]
            for target in (block, block + rng.choice([-1, 1]) * rng.uniform(low, high)):
                for _ in range(5):
                    observed, *_, info = env.step(target)
                    assert observed in env.observation_space


# ----------------------------------------------------------------- actions and rewards


def test_both_control_modes_move_alike_to_the_same_targets():
    start, actions = pushes(seed=6)
    actions[::9] = [np.float32([0.1, -0.1])] * len(actions[::9])
    actions[40:] = [np.float32([0.1, 0.1])] * len(actions[40:])  # beyond the edge
    velocity = states_along(Env(), start, actions)
    position = states_along(Env(control="position"), start, velocity[1:, AIM])
    np.testing.assert_array_equal(position, velocity)
    np.testing.assert_array_equal(velocity[-1, AIM], [0.7, 0.5])


def test_targets_beyond_the_workspace_are_moved_to_its_edge():
    env = Env(control="position")
    for target, edge in (((9.0, 9.0), (0.7, 0.5)), ((-1.0, -0.6), (0.15, -0.5))):
        states = states_along(env, table(), [target] * 40)
        np.testing.assert_allclose(states[-1, PUSHER], edge, 0, 1e-6)


def test_rewards_follow_the_entries_into_targets():
    """The pusher pushes each block into its target, which ends the episode."""
    env = Env(control="position")
    near = table((0.28, 0.14, 0.0), (0.52, 0.14, 0.0), (0.28, 0.1))
    env.reset(options={"state": near})
    way = [(0.28, y) for y in np.arange(0.1, 0.14, 0.01)]
    way += [(0.4, 0.05), (0.4, 0.05), (0.52, 0.05), (0.52, 0.05)]
    way += [(0.52, y) for y in np.arange(0.08, 0.16, 0.01)]
    rewards, infos = [], []
    for target in way:
        _, reward, terminated, truncated, info = env.step(np.array(target))
        assert not truncated
        rewards.append(reward)
        infos.append(info)
        if terminated:
            break
    assert terminated
    assert info["success"]
    assert sorted(rewards)[-2:] == [0.49, 0.51]
    assert sum(rewards) == pytest.approx(1)
    assert rewards[-1] == 0.51
    np.testing.assert_array_equal(info["entered"], np.eye(2))
    for info in infos:
        centres = info["state"][POSE].reshape(2, 1, 3) - TARGETS_XY
        near = np.linalg.norm(centres[..., :2], axis=-1) < 0.05
        np.testing.assert_array_equal(info["in_target"], near)
    outcome = different_rewards(rewards, infos)
    assert outcome[:3] == (1.0, True, {"p1": 1.0, "p2": 1.0, "order": 0.0})


def test_a_second_visit_earns_nothing():
    inside = table((0.28, 0.2, 0.0), pusher=(0.28, 0.1))
    env = Env()
    env.reset(options={"state": inside})
    assert env.step(np.zeros(2))[1] == 0.49
    assert env.step(np.zeros(2))[1] == 0
    _, info = env.reset(options={"state": env.step(np.zeros(2))[-1]["state"]})
    assert info["entered"].sum() == 1
    assert env.step(np.zeros(2))[1] == 0


@pytest.mark.parametrize(
    ("action", "named"),
    [([np.nan, 0.0], "nan"), ([0.0, np.inf], "inf"), ([0.0], "(1,)")],
)
@pytest.mark.parametrize("control", CONTROLS)
def test_a_bad_action_is_named(action, named, control):
    env = Env(control=control)
    env.reset(seed=0)
    with pytest.raises(BadInput) as refused:
        env.step(np.array(action))
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Env(obs="image"), "'image'; it has state"),
        (lambda: Env(control="torque"), "'torque'; it has velocity, position"),
        (lambda: Env(render_mode="ansi"), "rgb_array"),
        (lambda: Env().reset(seed=-1), "2**32 - 1"),
        (lambda: Env().reset(options={"state": [1.0, 2.0]}), "(2,)"),
        (lambda: Env().reset(options={"state": [np.nan] * 26}), "nan"),
        (lambda: Env().reset(options={"state": [9.5] * 26}), "9.5"),
        (lambda: Env().reset(options={"start": table()}), "'state'"),
    ],
)
def test_bad_input_names_the_value_and_the_rule(call, named):
    with pytest.raises(BadInput) as refused:
        call()
    assert named in str(refused.value)
