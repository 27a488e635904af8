"""The scripts of Robomimic's tasks: they succeed, repeat themselves, and differ."""

import math

import numpy as np
import pytest

pytest.importorskip("robosuite", reason="needs robosuite: 'dp-bench[robomimic]'")

from dp_bench import references, registry
from dp_bench.data import replay as doctor
from dp_bench.data.demos import Demonstration, joined
from dp_bench.envs.robomimic import script
from dp_bench.task import TEST_STARTS, VALIDATION_STARTS

QUICK = ("lift", "can", "square")
TASKS = [
    *QUICK,
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("transport", "tool_hang")
    ),
]
each_task = pytest.mark.parametrize("name", TASKS)
_played: dict[tuple[str, int], Demonstration | None] = {}


def script_of(name):
    return references.load(registry.task(name).sources["scripted"].script)


def played(name, seed):
    """An episode; played once for all tests."""
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
        report = doctor.replay(demos, task, control=control, num_processes=1)
        assert report.replayed.tolist() == [1, 1]
        # targets are rounded to float32, and contacts make more of that later on
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
def test_episodes_are_as_policies_would_play_them(name):
    task = registry.task(name)
    episode = played(name, 0)
    arms = 2 if name == "transport" else 1
    assert episode.actions.shape[1] == 7 * arms
    assert np.abs(episode.actions).max() <= 1
    assert len(episode.actions) <= task.max_steps
    assert episode.rewards[-1] == 1
    assert not episode.rewards[:-1].any()


def test_episodes_from_one_start_differ_with_what_the_script_draws(monkeypatch):
    ways = []
    for stream in (script.STREAM, 17):
        monkeypatch.setattr(script, "STREAM", stream)
        ways.append(script_of("can")(0))
    one, other = ways
    np.testing.assert_array_equal(one.states[0], other.states[0])
    steps = min(len(one.actions), len(other.actions))
    assert np.abs(one.actions[:steps] - other.actions[:steps]).max() > 0.1


def test_starts_of_demonstrations_are_none_that_policies_are_judged_by():
    for name in registry.tasks():
        for source in registry.tasks()[name].sources.values():
            seeds = set(source.env_seeds)
            assert not seeds & set(TEST_STARTS)
            assert not seeds & set(VALIDATION_STARTS)


def test_an_arm_waits_until_it_may_go_on():
    class Still:
        """A hand that stays where it is."""

        def hand(self, arm):
            return np.zeros(3), script.hand_at(0.0)

    heard = []
    go = script.Go(
        np.zeros(3), script.hand_at(0.0), script.CLOSE, until=lambda: bool(heard)
    )
    last = script.Go(np.ones(3), script.hand_at(0.0), script.OPEN, most=1)
    arm = script.Arm(Still(), 0, iter([go, last]))
    assert [arm.act()[6] for _ in range(3)] == [script.CLOSE] * 3
    heard.append(True)
    assert arm.act()[6] == script.OPEN
    assert not arm.done
    assert arm.act()[6] == script.OPEN  # what it was told last
    assert arm.done


def test_angles_that_look_alike():
    assert script.alike(math.radians(100), 0.0, math.pi / 2) == pytest.approx(
        math.radians(10)
    )
    assert script.alike(math.radians(-170), math.radians(170), 2 * math.pi) == (
        pytest.approx(math.radians(190))
    )
    assert script.yaw_of_hand(script.hand_at(0.7)) == pytest.approx(0.7)
