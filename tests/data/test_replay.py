"""Replaying demonstrations in the environment they were recorded in."""

import dataclasses

import numpy as np
import pytest

from dp_bench import references, registry
from dp_bench.cli import main
from dp_bench.data import hdf5, store
from dp_bench.data.actions import actions_of
from dp_bench.data.demos import Demos
from dp_bench.data.replay import replay
from dp_bench.errors import BadInput


@pytest.fixture(scope="module")
def task():
    return registry.task("pusht")


@pytest.fixture(scope="module")
def recorded(task):
    """Three short episodes, recorded here: a finger that runs into the block."""
    env = task.make_env(legacy=False)
    score = references.load(task.score)
    episodes = []
    for start in (
        [100, 250, 200, 250, 0.3],
        [300, 60, 256, 200, 1],
        [400, 400, 9, 9, 0],
    ):
        state = np.array(start, float)
        env.reset(options={"state": state})
        states, actions, rewards, infos = [], [], [], []
        for i in range(25):
            action = np.array([100 + 8 * i, 250 + 2 * i], np.float32)
            states.append(state)
            actions.append(action)
            _, reward, _, _, info = env.step(action)
            state = info["state"]
            rewards.append(reward)
            infos.append(info)
        outcome = score(np.array(rewards), infos)
        episodes.append((states, actions, rewards, outcome.score))
    states, actions, rewards, scores = zip(*episodes, strict=True)
    return Demos(
        task="pusht",
        source="test",
        obs={"state": np.concatenate(states)},
        actions=np.concatenate(actions),
        states=np.concatenate(states),
        rewards=np.concatenate(rewards),
        scores=np.array(scores),
        episode_ends=np.array([25, 50, 75]),
        env_kwargs={"obs": "state", "legacy": False},
    )


def test_a_replay_reaches_the_recorded_states_and_scores(recorded, task):
    report = replay(recorded, task)
    assert report.reached.all()
    assert report.deviation.max() < 1e-6
    np.testing.assert_allclose(report.replayed, recorded.scores, atol=1e-6)


def test_converted_actions_lead_to_the_same_scores(recorded, task):
    report = replay(recorded, task, control="velocity")
    assert report.reached.all()
    assert report.deviation.max() < 1e-6
    np.testing.assert_allclose(report.replayed, recorded.scores, atol=1e-6)
    assert "as velocity actions: 3 episodes" in report.summary_lines()[0]
    as_they_are = replay(recorded, task, control="position")
    np.testing.assert_array_equal(as_they_are.replayed, replay(recorded, task).replayed)


def test_recorded_velocity_actions_are_replayed_under_velocity_control(recorded, task):
    by_velocity = dataclasses.replace(
        recorded,
        actions=actions_of(task, recorded, "velocity"),
        env_kwargs=recorded.env_kwargs | {"control": "velocity"},
    )
    for control in (None, "velocity"):
        assert replay(by_velocity, task, control=control).deviation.max() < 1e-4
    with pytest.raises(BadInput, match="cannot turn velocity actions into position"):
        replay(by_velocity, task, control="position")


def test_a_control_mode_without_a_converter_is_refused(recorded, task):
    with pytest.raises(BadInput, match="no control mode 'torque'; it has position"):
        replay(recorded, task, control="torque")
    bare = dataclasses.replace(task, actions_as={})
    with pytest.raises(BadInput, match="cannot turn position actions into velocity"):
        replay(recorded, bare, control="velocity")


def test_the_command_replays_under_the_named_control(recorded, tmp_path, capsys):
    path = tmp_path / "recorded.hdf5"
    hdf5.save(recorded, path)
    main(["demos", "check", str(path), "--control", "velocity"])
    assert "velocity actions: 3 episodes replayed, 3 reach" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["demos", "check", str(path), "--control", "torque"])
    out, err = capsys.readouterr()
    assert out == ""
    assert "no control mode 'torque'" in err


@pytest.fixture
def imported(tmp_path, monkeypatch, capsys):
    """Imports demonstrations, and returns the last line that the command prints."""
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path / "data"))

    def get(demos):
        path = tmp_path / "recorded.hdf5"
        hdf5.save(demos, path)
        main(["demos", "get", "pusht", "--from", str(path)])
        return capsys.readouterr().out.splitlines()[-1]

    return get


def test_an_import_replays_a_few_episodes(recorded, imported):
    many = recorded.select([0, 1, 2] * 4)
    assert imported(many) == "replayed 3 of 12 episodes: 3 end as recorded"
    one = recorded.select([0])
    assert imported(one) == "replayed 1 of 1 episodes: 1 end as recorded"


def test_an_import_that_replays_otherwise_says_what_to_do(recorded, imported, tmp_path):
    scores = np.array([recorded.scores[0], 1.0, 0.9])
    said = imported(dataclasses.replace(recorded, scores=scores))
    assert "replayed 3 of 3 episodes: 1 end as recorded" in said
    assert f"episode 2 with score {recorded.scores[2]:.3f}, recorded 0.900" in said
    file = tmp_path / "data" / "pusht-test.hdf5"
    assert f"`dp-bench demos check {file}` before you train" in said


def test_an_import_that_cannot_be_replayed_says_so(
    recorded, imported, task, monkeypatch
):
    bare = dataclasses.replace(recorded, states=np.empty((75, 0)))
    assert imported(bare) == (
        "nothing was replayed: the file holds no states to start from"
    )

    def without_simulator(*args, **kwargs):
        raise BadInput("PushT needs pymunk: pip install pymunk")

    monkeypatch.setattr(type(task), "make_env", without_simulator)
    assert imported(recorded) == (
        "nothing was replayed: PushT needs pymunk: pip install pymunk"
    )


def test_demonstrations_that_are_there_are_not_replayed_again(
    recorded, imported, capsys
):
    imported(recorded)
    main(["demos", "get", "pusht", "--source", "test"])
    assert "replayed" not in capsys.readouterr().out


def test_a_start_that_does_not_fit_its_episode_is_noticed(recorded, task):
    states = recorded.states.copy()
    states[25] += [0, 0, 30, 0, 0]
    report = replay(dataclasses.replace(recorded, states=states), task)
    assert (report.deviation > 1).tolist() == [False, True, False]


def test_an_episode_that_falls_short_of_its_score_is_reported(recorded, task):
    scores = recorded.scores.copy()
    scores[1] = 1.0
    report = replay(dataclasses.replace(recorded, scores=scores), task)
    assert report.reached.tolist() == [True, False, True]
    text = "\n".join(report.summary_lines())
    assert "3 episodes replayed, 2 reach" in text
    assert "episode 1: recorded 1.000" in text


def test_processes_and_selection_do_not_change_the_result(recorded, task):
    many = recorded.select([0, 1, 2] * 4)
    alone = replay(many, task, num_processes=1)
    together = replay(many, task, num_processes=2)
    np.testing.assert_array_equal(alone.replayed, together.replayed)
    chosen = replay(recorded, task, episodes=[2, 0])
    np.testing.assert_array_equal(chosen.replayed, alone.replayed[[2, 0]])
    np.testing.assert_array_equal(chosen.recorded, recorded.scores[[2, 0]])


@pytest.mark.parametrize("episodes", [[], [3], [-1]])
def test_missing_episodes_are_refused(recorded, task, episodes):
    with pytest.raises(BadInput, match="episode"):
        replay(recorded, task, episodes=episodes)


@pytest.mark.parametrize("control", ["position", "velocity"])
def test_human_demonstrations_reach_their_scores_again(shared, task, control):
    path = shared / "data" / "pusht" / "pusht_cchi_v7_replay.zarr.zip"
    demos = store.load_demos("pusht", path=path)
    report = replay(demos, task, control=control, episodes=range(40))
    assert report.reached.all()
    assert report.deviation.max() < 1e-4
    assert 0.95 * report.replayed.mean() == pytest.approx(0.901, abs=0.001)
