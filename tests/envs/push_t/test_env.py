"""PushT: physics against recorded rollouts, and the contract of the environment."""

import math
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import dp_bench  # noqa: F401 (registers the environment)
from dp_bench.envs.push_t.env import CONTROLS, OBS_KINDS, PushT
from dp_bench.envs.push_t.geometry import GOAL
from dp_bench.errors import BadInput
from pushing import pushing_actions, states_along

ENV_ID = "dp_bench/PushT-v0"
START = [100.0, 100.0, 256.0, 200.0, 1.0]


def test_rollouts_match_the_reference(shared):
    with np.load(shared / "golden/pusht_rollouts.npz") as golden:
        rollouts = {name: golden[name] for name in golden.files}
    env = PushT(obs="state", legacy=True)
    for episode in {name.split("/")[0] for name in rollouts}:
        env.reset(options={"state": rollouts[f"{episode}/init"]})
        for i, action in enumerate(rollouts[f"{episode}/action"]):
            _, reward, _, _, info = env.step(action)
            where = f"episode {episode}, step {i}"
            for name, value in (
                ("state", info["state"]),
                ("reward", reward),
                ("coverage", info["coverage"]),
            ):
                np.testing.assert_allclose(
                    value, rollouts[f"{episode}/{name}"][i], 0, 1e-6, err_msg=where
                )


def test_starts_match_the_reference():
    rs = np.random.RandomState(100_003)
    expected = [rs.randint(50, 450), rs.randint(50, 450)]
    expected += [rs.randint(100, 400), rs.randint(100, 400)]
    expected += [(rs.randn() * 2 * np.pi - np.pi) % (2 * np.pi)]
    _, info = PushT(obs="state").reset(seed=100_003)
    # The physics step moves a block that starts in a wall or under the finger.
    np.testing.assert_allclose(info["state"], expected, 0, 1e-9)


# ------------------------------------------------------------------------ the contract


@pytest.mark.parametrize("obs", OBS_KINDS)
def test_it_is_a_gymnasium_environment(obs, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    if obs != "state":  # one test of the window is enough
        monkeypatch.setitem(PushT.metadata, "render_modes", ["rgb_array"])
    else:
        pytest.importorskip("pygame")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Targets are in px, as in the demonstrations. Policies scale them.
        warnings.filterwarnings("ignore", ".*symmetric and normalized space.*")
        for control in CONTROLS if obs == "state" else CONTROLS[:1]:
            check_env(gym.make(ENV_ID, obs=obs, control=control).unwrapped)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_it_vectorises(mode):
    envs = gym.make_vec(ENV_ID, num_envs=3, vectorization_mode=mode, obs="state")
    try:
        obs, _ = envs.reset(seed=[4, 5, 4])
        np.testing.assert_array_equal(obs[0], obs[2])
        assert not np.array_equal(obs[0], obs[1])
        for _ in range(5):
            _, _, _, _, infos = envs.step(np.tile(np.float32([[256, 256]]), (3, 1)))
        assert infos["state"].shape == (3, 5)
        np.testing.assert_array_equal(infos["state"][0], infos["state"][2])
    finally:
        envs.close()


@pytest.mark.parametrize("obs", OBS_KINDS)
def test_same_seed_and_actions_give_the_same_episode(obs):
    env = gym.make(ENV_ID, obs=obs)
    actions = pushing_actions(env, seed=3, steps=20)

    def play():
        first, _ = env.reset(seed=3)
        return [first, *(env.step(action)[0] for action in actions)]

    assert gym.utils.env_checker.data_equivalence(play(), play(), exact=True)


def test_an_episode_does_not_depend_on_the_one_before():
    env, fresh = PushT(obs="state"), PushT(obs="state")
    for action in pushing_actions(env, seed=1, steps=40):
        env.step(action)
    actions = pushing_actions(env, seed=2, steps=40)
    env.reset(seed=2)
    fresh.reset(seed=2)
    for action in actions:
        np.testing.assert_array_equal(env.step(action)[0], fresh.step(action)[0])


def test_resets_without_a_seed_vary_and_can_be_repeated():
    env = PushT(obs="state")
    env.reset(seed=7)
    some = [env.reset()[0] for _ in range(3)]
    assert not np.array_equal(some[0], some[1])
    env.reset(seed=7)
    np.testing.assert_array_equal(some, [env.reset()[0] for _ in range(3)])


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (the test checks it)
    env = PushT()
    env.reset(seed=1)
    env.reset()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("obs", OBS_KINDS)
def test_observations_are_not_views_of_each_other(obs):
    env = PushT(obs=obs)

    def arrays(value):
        return list(value.values()) if isinstance(value, dict) else [value]

    first, info = env.reset(options={"state": START})
    kept = [array.copy() for array in arrays(first)]
    state = info["state"].copy()
    second, *_, later = env.step(np.array([256.0, 256.0]))
    for one, copy, two in zip(arrays(first), kept, arrays(second), strict=True):
        assert not np.shares_memory(one, two)
        np.testing.assert_array_equal(one, copy)
        assert not np.array_equal(one, two)
    assert not np.shares_memory(info["state"], later["state"])
    np.testing.assert_array_equal(info["state"], state)


def test_reset_puts_everything_at_the_given_state():
    _, info = PushT().reset(options={"state": START})
    np.testing.assert_allclose(info["state"], START, 0, 1e-9)
    _, info = PushT(legacy=True).reset(options={"state": START})
    # Turned about the centre of gravity, 45 px along the stem, which stays.
    x, y = START[2] + 45 * math.sin(1.0), START[3] + 45 - 45 * math.cos(1.0)
    np.testing.assert_allclose(info["state"][2:], [x, y, 1.0], 0, 1e-9)


def test_an_episode_continues_from_a_state_between_pushes():
    """`info["state"]` restores a block at rest."""
    env = PushT(obs="state")
    for action in pushing_actions(env, seed=5, steps=30):
        env.step(action)
    for _ in range(30):  # wait for the finger to stand still, away from the block
        *_, info = env.step(np.array([20.0, 20.0]))
    _, again = PushT(obs="state").reset(options={"state": info["state"]})
    np.testing.assert_allclose(again["state"], info["state"], 0, 1e-6)


def test_an_episode_ends_when_the_block_covers_the_outline():
    env = PushT(obs="state")
    env.reset(options={"state": [60.0, 60.0, *GOAL]})
    _, reward, terminated, truncated, info = env.step(np.array([60.0, 60.0]))
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["success"]
    assert info["coverage"] == pytest.approx(1.0)
    assert info["iou"] == pytest.approx(1.0)


def test_registration_cuts_an_episode_off_after_300_steps():
    env = gym.make(ENV_ID, obs="state")
    env.reset(options={"state": START})
    ends = [env.step(np.float32([100, 100]))[3] for _ in range(300)]
    assert ends == [False] * 299 + [True]


@pytest.mark.parametrize("obs", ["state", "keypoints"])
def test_observations_stay_in_their_space_under_hard_pushes(obs):
    """The finger pushes towards the walls, to targets beyond the table."""
    env = PushT(obs=obs)
    for seed in range(15):
        rng = np.random.default_rng(seed)
        first, info = env.reset(seed=seed)
        assert first in env.observation_space
        for _ in range(8):
            block = info["state"][2:4]
            behind = block + 130 * rng.normal(size=2)
            through = 2 * block - behind + 600 * np.sign(block - behind)
            for target in (behind, through):
                for _ in range(8):
                    observed, *_, info = env.step(target)
                    assert observed in env.observation_space


# ----------------------------------------------------------------------------- actions


def test_targets_beyond_the_table_are_moved_to_its_edge():
    ends = []
    for target in ([900.0, -50.0], [512.0, 0.0]):
        env = PushT(obs="state")
        env.reset(options={"state": [400, 60, 150, 300, 0]})
        for _ in range(10):
            observed, *_ = env.step(np.array(target))
        ends.append(observed)
    np.testing.assert_array_equal(*ends)


def test_a_displacement_starts_at_the_current_position_of_the_finger():
    """Some targets are beyond the table."""
    position, velocity = (PushT(obs="state", control=control) for control in CONTROLS)
    targets = pushing_actions(position, seed=2, steps=60).astype(np.float64)
    targets[::7] += 500
    start = position.reset(seed=2)[1]["state"]
    states = states_along(position, start, targets)
    moved = np.ptp(states[:, 2:], axis=0)
    assert moved.min() > 0.1
    again = states_along(velocity, start, targets - states[:-1, :2])
    np.testing.assert_allclose(again, states, 0, 1e-6)


def test_a_zero_displacement_leaves_the_finger_at_rest():
    env = PushT(obs="state", control="velocity")
    states = states_along(env, START, np.zeros((10, 2)))
    np.testing.assert_array_equal(states[:, :2], [START[:2]] * 11)


@pytest.mark.parametrize(
    ("action", "named"),
    [([np.nan, 1.0], "nan"), ([1.0, np.inf], "inf"), ([1.0], "(1,)")],
)
@pytest.mark.parametrize("control", CONTROLS)
def test_a_bad_action_is_named(action, named, control):
    env = PushT(control=control)
    env.reset(seed=0)
    with pytest.raises(BadInput) as refused:
        env.step(np.array(action))
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: PushT(obs="pixels"), "keypoints"),
        (lambda: PushT(control="torque"), "'torque'; it has position, velocity"),
        (lambda: PushT(render_mode="ansi"), "rgb_array"),
        (lambda: PushT().reset(seed=2**32), "2**32 - 1"),
        (lambda: PushT().reset(options={"state": [1.0, 2.0]}), "(2,)"),
        (lambda: PushT().reset(options={"state": [1, 1, np.nan, 1, 1]}), "nan"),
        (lambda: PushT().reset(options={"state": [1, 1, 5000, 1, 1]}), "5000"),
        (lambda: PushT().reset(options={"start": START}), "'state'"),
    ],
)
def test_bad_input_names_the_value_and_the_rule(call, named):
    with pytest.raises(BadInput) as refused:
        call()
    assert named in str(refused.value)
