"""The scripted demonstrator of BlockPush against the published one."""

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.data.actions import actions_of
from dp_bench.data.demos import joined
from dp_bench.envs.block_push import script
from dp_bench.envs.block_push.env import CONTROLS
from dp_bench.envs.block_push.geometry import start
from dp_bench.envs.block_push.script import Demonstrator, demonstrate
from dp_bench.envs.scores import different_rewards


@pytest.fixture(scope="module")
def demonstrations():
    return [demonstrate(seed) for seed in range(12)]


def test_the_demonstrator_succeeds_in_all_orders(demonstrations):
    orders = [demonstration.notes["order"] for demonstration in demonstrations]
    assert set(orders) == {0, 1, 2, 3}
    for demonstration in demonstrations:
        assert demonstration.score == 1
        assert demonstration.rewards[-1] == pytest.approx(0.51)
        assert 60 < len(demonstration.actions) < 200
        assert np.linalg.norm(demonstration.actions, axis=1).max() < 0.0351


@pytest.mark.parametrize("control", CONTROLS)
def test_demonstrations_replay_exactly(demonstrations, control):
    task = registry.task("blockpush")
    demos = joined("blockpush", "scripted", demonstrations, {"control": "velocity"})
    actions = actions_of(task, demos, control)
    env = task.make_env(control=control)
    for k in range(demos.num_episodes):
        rows = demos.episode(k)
        obs, info = env.reset(seed=demonstrations[k].notes["env_seed"])
        rewards, infos = [], []
        for row in range(rows.start, rows.stop):
            np.testing.assert_array_equal(info["state"], demos.states[row])
            np.testing.assert_array_equal(obs, demos.obs["state"][row])
            obs, reward, terminated, _, info = env.step(actions[row])
            assert reward == pytest.approx(demos.rewards[row])
            rewards.append(reward)
            infos.append(info)
        assert terminated
        outcome = different_rewards(rewards, infos)
        assert outcome.score == demos.scores[k]
        assert outcome.sub_scores["order"] == demonstrations[k].notes["order"]


def test_a_demonstration_is_a_function_of_its_seed(demonstrations):
    again = demonstrate(7)
    np.testing.assert_array_equal(again.states, demonstrations[7].states)
    np.testing.assert_array_equal(again.actions, demonstrations[7].actions)
    assert again.notes == demonstrations[7].notes


def test_a_demonstrator_that_runs_out_of_steps_returns_none(monkeypatch):
    monkeypatch.setattr(script, "MAX_STEPS", 30)
    assert demonstrate(0) is None


def test_the_demonstrator_acts_like_the_published_one(published):
    """Published observations lead to the published actions."""
    for seed in [*range(30), *range(500, 520)]:
        obs, actions = published[0][seed], published[1][seed]
        rng = np.random.RandomState(seed)
        start(rng)
        demonstrator = Demonstrator()
        demonstrator.reset(rng)
        given = [demonstrator.act(row) for row in obs]
        np.testing.assert_allclose(given, actions, 0, 1e-6, err_msg=f"seed {seed}")
