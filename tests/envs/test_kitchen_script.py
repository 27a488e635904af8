"""The script of Kitchen does what it says, in many orders, the same every time."""

import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip(
    "gymnasium_robotics", reason="needs gymnasium-robotics: 'dp-bench[kitchen]'"
)
from dp_bench.envs.kitchen.env import Kitchen
from dp_bench.envs.kitchen.franka import ARM, NOISY_JOINTS, ORDER
from dp_bench.envs.kitchen.observations import positions
from dp_bench.envs.kitchen.script import MAX_STEPS, Demonstrator, demonstrate, play
from dp_bench.envs.kitchen.skills import ORDERS, SKILLS, draw_order
from dp_bench.envs.scores import ELEMENTS, elements_done, sequence

SEEDS = range(6)


@pytest.fixture(scope="module")
def demonstrations():
    """The episodes that succeed, by seed."""
    played = {seed: demonstrate(seed) for seed in SEEDS}
    return {seed: demo for seed, demo in played.items() if demo is not None}


def digest(demo):
    parts = (demo.actions, demo.states, demo.rewards, *demo.obs.values())
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def test_most_demonstrations_succeed(demonstrations):
    assert len(demonstrations) >= len(SEEDS) - 1


def test_a_demonstration_holds_observations_actions_states_and_rewards(demonstrations):
    for demo in demonstrations.values():
        steps = len(demo.actions)
        assert 100 < steps <= MAX_STEPS
        assert demo.obs["qpos"].shape == (steps, 30)
        assert demo.obs["full"].shape == (steps, 59)
        assert demo.obs["qpos"].dtype == demo.actions.dtype == np.float32
        np.testing.assert_array_equal(demo.obs["qpos"], positions(demo.obs["full"]))
        assert demo.states.shape == (steps, 75)
        assert demo.score == 1.0
        assert demo.rewards.sum() == 4
        assert Kitchen().action_space.contains(demo.actions.max(axis=0))
        assert Kitchen().action_space.contains(demo.actions.min(axis=0))
        # policies observe the joints with noise, as the robot does
        noisy = demo.states[:, NOISY_JOINTS].astype(np.float32)
        np.testing.assert_array_equal(demo.obs["qpos"][:, :9], noisy)
        assert np.abs(demo.states[:, :9] - demo.states[:, NOISY_JOINTS]).max() > 0.005


def test_a_replay_does_the_same_elements(demonstrations):
    for seed, demo in demonstrations.items():
        env = Kitchen(obs="full")
        obs, info = env.reset(seed=seed)
        rewards, infos = [], []
        for k, action in enumerate(demo.actions):
            np.testing.assert_array_equal(obs, demo.obs["full"][k])
            np.testing.assert_array_equal(info["state"], demo.states[k])
            obs, reward, _, _, info = env.step(action)
            rewards.append(reward)
            infos.append(info)
        outcome = elements_done(rewards, infos)
        assert outcome.success
        assert outcome.sub_scores["sequence"] == demo.notes["order"]


def test_the_note_is_the_order_in_which_elements_were_done(demonstrations):
    for demo in demonstrations.values():
        last, digits = demo.states[-1, ORDER], str(demo.notes["order"])
        done = str(sequence(last))  # before the last action, perhaps not the last one
        assert digits.startswith(done)
        assert len(done) >= 3
        assert demo.notes["order"] in ORDERS


def test_another_process_plays_the_same_bytes(demonstrations):
    seed, demo = next(iter(demonstrations.items()))
    code = (
        "from test_kitchen_script import digest, demonstrate\n"
        f"print(digest(demonstrate({seed})))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=__file__.rpartition("/")[0],
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.split()[-1] == digest(demo)


def test_other_episodes_before_it_change_nothing(demonstrations):
    seed, demo = list(demonstrations.items())[-1]
    assert digest(demonstrate(seed)) == digest(demo)


def test_the_script_leaves_the_global_generator_alone():
    np.random.seed(3)  # noqa: NPY002 (the one under test)
    expected = np.random.get_state()[1].copy()  # noqa: NPY002
    demonstrate(0)
    np.testing.assert_array_equal(np.random.get_state()[1], expected)  # noqa: NPY002


@pytest.mark.parametrize("k", range(len(ELEMENTS)), ids=ELEMENTS)
def test_each_element_can_be_done_alone(k):
    """In few steps, and no other element is done with it."""
    demos = [play(seed, (k,), np.random.default_rng(seed)) for seed in range(3)]
    assert all(demo is not None for demo in demos)
    assert all(len(demo.actions) < 120 for demo in demos)


def test_no_two_demonstrations_of_an_element_are_the_same():
    demos = [play(seed, (5,), np.random.default_rng(seed)) for seed in range(4)]
    for one, other in itertools.combinations(demos, 2):
        steps = min(len(one.actions), len(other.actions))
        apart = np.abs(one.states[:steps, ARM] - other.states[:steps, ARM])
        assert apart.max() > 0.05


def test_the_script_finds_a_kettle_that_stands_elsewhere():
    """Skills are relative to the elements. Here the kettle stands nearer."""
    env, demonstrator = Kitchen(), Demonstrator()
    state = env.reset(seed=0)[1]["state"]
    state[23:25] += (-0.04, -0.03)
    info = env.reset(seed=0, options={"state": state})[1]
    demonstrator.reset(np.random.default_rng(0), (6,))
    for _ in range(120):
        action = demonstrator.act(info["state"])
        if action is None:
            break
        info = env.step(action)[-1]
    assert info["done"].tolist() == [False] * 6 + [True]


def test_the_table_holds_24_orders_that_favour_no_element():
    digits = [str(order) for order in ORDERS]
    assert all(
        len(set(order)) == 4 and set(order) <= set("1234567") for order in digits
    )
    assert len(digits) == 24
    for element in "1234567":
        assert 12 <= sum(element in order for order in digits) <= 15
        assert sum(order.startswith(element) for order in digits) >= 2
    # the open hinge cabinet hides the slide cabinet's handle
    assert not any(
        "4" in order and "5" in order and order.index("5") < order.index("4")
        for order in digits
    )


def test_orders_are_drawn_as_often_as_the_table_says():
    rng, times = np.random.default_rng(0), 4000
    drawn = [sequence(ranks(draw_order(rng))) for _ in range(times)]
    for order, weight in ORDERS.items():
        expected = times * weight / sum(ORDERS.values())
        assert drawn.count(order) == pytest.approx(expected, abs=5 * expected**0.5)


def ranks(order):
    """The order as `info["order"]` holds it."""
    info = np.zeros(len(ELEMENTS), int)
    info[list(order)] = np.arange(1, len(order) + 1)
    return info


def test_each_element_has_a_skill():
    assert tuple(SKILLS) == ELEMENTS
