"""The scripts of Robomimic's tasks succeed, repeat themselves, and vary."""

import math

import numpy as np
import pytest

pytest.importorskip("robosuite", reason="needs robosuite: 'dp-bench[robomimic]'")

from dp_bench import references, registry
from dp_bench.data.demos import Demonstration, joined
from dp_bench.data.replay import replay
from dp_bench.envs.robomimic.scripts import play
from dp_bench.envs.robomimic.scripts.angles import (
    hand_at,
    nearest_equivalent,
    yaw_of_hand,
)
from dp_bench.envs.robomimic.scripts.follower import Follower
from dp_bench.envs.robomimic.scripts.moves import CLOSE, OPEN, Move
from dp_bench.task import MOST_TEST_STARTS, VALIDATION_STARTS

QUICK = ("lift",)
TASKS = [
    *QUICK,
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("can", "square", "transport", "tool_hang")
    ),
]
each_task = pytest.mark.parametrize("name", TASKS)
_played: dict[tuple[str, int], Demonstration | None] = {}


def script_of(name):
    return references.load(registry.task(name).sources["scripted"].script)


def played(name, seed):
    """Plays an episode once for all tests."""
    if (name, seed) not in _played:
        _played[name, seed] = script_of(name)(seed)
    return _played[name, seed]


@each_task
def test_a_script_solves_its_task_and_replays_in_both_controls(name):
    task = registry.task(name)
    episodes = [played(name, seed) for seed in (0, 1)]
    assert None not in episodes
    kwargs = {"obs": "state", "control": "velocity"}
    demos = joined(name, "scripted", episodes, kwargs)
    for control in task.controls:
        report = replay(demos, task, control=control, num_processes=1)
        assert report.replayed.tolist() == [1, 1]
        # targets are rounded to float32, and contacts amplify the rounding
        assert report.deviation.max() < 1e-5
        if control == "velocity":
            assert report.drift.max() < 1e-9


@each_task
def test_an_episode_is_a_function_of_its_seed(name):
    first = played(name, 0)
    played(name, 1)
    again = script_of(name)(0)
    np.testing.assert_array_equal(again.actions, first.actions)
    np.testing.assert_array_equal(again.states, first.states)


@each_task
def test_episodes_respect_action_limits_and_time_limits(name):
    task = registry.task(name)
    episode = played(name, 0)
    arms = 2 if name == "transport" else 1
    assert episode.actions.shape[1] == 7 * arms
    assert np.abs(episode.actions).max() <= 1
    assert len(episode.actions) <= task.max_steps
    assert episode.rewards[-1] == 1
    assert not episode.rewards[:-1].any()


def test_episodes_from_one_start_differ_in_what_the_script_draws(monkeypatch):
    episodes = []
    for stream in (play.STREAM, 17):
        monkeypatch.setattr(play, "STREAM", stream)
        episodes.append(script_of("can")(0))
    one, other = episodes
    np.testing.assert_array_equal(one.states[0], other.states[0])
    steps = min(len(one.actions), len(other.actions))
    assert np.abs(one.actions[:steps] - other.actions[:steps]).max() > 0.1


def test_demonstrations_start_from_no_test_or_validation_start():
    for name in registry.tasks():
        for source in registry.tasks()[name].sources.values():
            seeds = set(source.env_seeds)
            assert not seeds & set(MOST_TEST_STARTS)
            assert not seeds & set(VALIDATION_STARTS)


def test_a_move_waits_until_its_condition_holds():
    class Still:
        """A scene with a hand that stays."""

        def hand(self, arm):
            return np.zeros(3), hand_at(0.0)

    signals = []
    waiting = Move(np.zeros(3), hand_at(0.0), CLOSE, until=lambda: bool(signals))
    last = Move(np.ones(3), hand_at(0.0), OPEN, most=1)
    follower = Follower(Still(), 0, iter([waiting, last]))
    assert [follower.act()[6] for _ in range(3)] == [CLOSE] * 3
    signals.append(True)
    assert follower.act()[6] == OPEN
    assert not follower.done
    assert follower.act()[6] == OPEN  # the last action of the gripper
    assert follower.done


def test_equivalent_angles_differ_by_whole_periods():
    assert nearest_equivalent(math.radians(100), 0.0, math.pi / 2) == pytest.approx(
        math.radians(10)
    )
    assert nearest_equivalent(math.radians(-170), math.radians(170), 2 * math.pi) == (
        pytest.approx(math.radians(190))
    )
    assert yaw_of_hand(hand_at(0.7)) == pytest.approx(0.7)
