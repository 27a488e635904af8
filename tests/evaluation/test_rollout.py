"""Rollouts: which action answers which observation, for all lanes and processes."""

import functools
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.evaluate import load_actor
from dp_bench.evaluation.rollout import RolloutSpec, groups_of, play, play_group
from dp_bench.horizons import Horizons
from dp_bench.task import TEST_STARTS, Outcome
from made_up import written_run

LENGTHS = {seed: 5 + seed % 7 for seed in range(20)}


class Echo:
    """Returns its last action as observation and reward; episodes differ in length."""

    def reset(self, *, seed):
        self.left, self.at = LENGTHS[seed], np.array([100.0 * seed])
        return self.at.copy(), {}

    def step(self, action):
        self.left -= 1
        self.at = np.array(action, float)
        return self.at.copy(), float(action[0]), False, self.left == 0, {}

    def close(self):
        pass


class Counter:
    """Acts by counting on from the latest observation."""

    def __init__(self, horizons):
        self.horizons, self.asked = horizons, []

    def reset(self, env_seeds):
        self.asked.clear()

    def act(self, obs):
        self.asked.append(obs.copy())
        return obs[:, -1:] + np.arange(1, self.horizons.action + 1)[:, None]


def outcome(rewards, infos):
    assert len(infos) == len(rewards)
    return Outcome(0.0, False, {f"{k:02}": float(r) for k, r in enumerate(rewards)})


HORIZONS = [Horizons(1, 1, 1), Horizons(2, 1, 4), Horizons(2, 3, 6), Horizons(3, 8, 16)]


@pytest.mark.parametrize("horizons", HORIZONS, ids=str)
@pytest.mark.parametrize("lanes", [1, 2, 7])
def test_every_action_answers_the_latest_observation_of_its_lane(horizons, lanes):
    seeds = list(range(10))
    played = [
        episode
        for group in groups_of(seeds, lanes)
        for episode in play_group(
            Counter(horizons), [Echo() for _ in group], group, outcome
        )
    ]
    assert [episode.env_seed for episode in played] == seeds
    for episode in played:
        expected = 100 * episode.env_seed + np.arange(1, LENGTHS[episode.env_seed] + 1)
        assert list(episode.outcome.sub_scores.values()) == list(expected)
        assert episode.length == LENGTHS[episode.env_seed]
        assert episode.decision_latency > 0


def test_the_first_observation_is_repeated_to_fill_the_history():
    counter = Counter(Horizons(3, 2, 4))
    play_group(counter, [Echo()], [0], outcome)
    asked = [obs[0, :, 0].tolist() for obs in counter.asked]
    assert asked == [[0, 0, 0], [0, 1, 2], [2, 3, 4]]


def test_groups_hold_each_env_seed_once_and_in_order():
    groups = groups_of(range(7), 3)
    assert groups == [(0, 1, 2), (3, 4, 5), (6,)]
    assert groups_of([], 3) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_actions_observations_and_rewards_must_be_finite(bad):
    class Wild(Counter):
        def act(self, obs):
            return super().act(obs) * bad

    class Broken(Echo):
        def step(self, action):
            return np.array([bad]), 0.0, False, False, {}

    class Priceless(Echo):
        def step(self, action):
            return np.array([0.0]), bad, False, False, {}

    horizons = Horizons(2, 2, 4)
    with pytest.raises(
        BadInput, match=r"Wild\.act returned an action that is not finite"
    ):
        play_group(Wild(horizons), [Echo()], [1], outcome)
    for env in (Broken(), Priceless()):
        with pytest.raises(BadInput, match="not finite"):
            play_group(Counter(horizons), [env], [1], outcome)


def test_actions_of_the_wrong_shape_are_refused():
    class Short(Counter):
        def act(self, obs):
            return super().act(obs)[:, :-1]

    with pytest.raises(BadInput, match=r"Short.act must return actions"):
        play_group(Short(Horizons(2, 4, 8)), [Echo()], [1], outcome)


@pytest.mark.parametrize("width", [1, 3])
def test_actions_of_another_width_than_the_environment_takes_are_refused(width):
    class Two(Echo):
        action_space = gym.spaces.Box(-1e9, 1e9, (2,))

    class Wide(Counter):
        def act(self, obs):
            return np.repeat(super().act(obs), width, axis=2)

    words = rf"Wide.act returned actions of shape \({width},\), but .* takes \(2,\)"
    with pytest.raises(BadInput, match=words):
        play_group(Wide(Horizons(2, 4, 8)), [Two()], [1], outcome)


# ---- with a real policy, on the real PushT


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with an untrained policy."""
    return written_run(tmp_path_factory.mktemp("runs") / "run")


def short_env(steps):
    """PushT with a short time limit."""
    from gymnasium.wrappers import TimeLimit

    env = registry.task("pusht").make_env()
    return TimeLimit(env, steps)


def played(run, processes, lanes=2, steps=20, on_group=None):
    spec = RolloutSpec(
        functools.partial(load_actor, run.path, None, run.info(), "cpu"),
        registry.task("pusht").make_env,
        "dp_bench.envs.scores:best_reward",
    )
    if processes == 1:  # a local function cannot be sent to a worker
        spec = spec._replace(make_env=functools.partial(short_env, steps))
    groups = groups_of(TEST_STARTS[:5], lanes)
    return [
        e._replace(decision_latency=0.0)
        for e in play(spec, groups, processes=processes, on_group=on_group)
    ]


def test_the_number_of_lanes_changes_scores_by_rounding_only(run):
    alone, together = (played(run, 1, lanes=n, steps=8) for n in (1, 5))
    scores = [[e.outcome.score for e in each] for each in (alone, together)]
    assert max(scores[0]) > 0.1, "episodes that score nothing would show no difference"
    np.testing.assert_allclose(*scores, atol=1e-3)


def test_on_group_is_called_for_every_group_in_order(run):
    sizes = []
    episodes = played(run, 1, steps=3, on_group=lambda group: sizes.append(len(group)))
    assert sizes == [2, 2, 1]
    assert [e.env_seed for e in episodes] == list(TEST_STARTS[:5])


def test_a_worker_that_dies_ends_the_rollout_with_an_error(run):
    spec = RolloutSpec(
        functools.partial(os._exit, 3),
        functools.partial(SimpleNamespace),
        "dp_bench.envs.scores:best_reward",
    )
    with pytest.raises(BadInput, match="worker processes died"):
        play(spec, [(1,), (2,)], processes=2)


ENDLESS = """
import sys, time, functools
from dp_bench.evaluation.rollout import RolloutSpec, play
if __name__ == "__main__":
    spec = RolloutSpec(
        functools.partial(time.sleep, 0),
        functools.partial(time.sleep, 600),
        "dp_bench.envs.scores:best_reward",
    )
    print("begun", flush=True)
    play(spec, [(1,), (2,), (3,)], processes=2)
"""


def children_of(pid):
    """Reads the running child processes of `pid` from /proc."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    state, parent = file.read().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == pid and state != "Z":
                found.add(int(entry))
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(tmp_path, number):
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    parent.stdout.readline()
    deadline = time.monotonic() + 60
    while len(children_of(parent.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)  # two workers and multiprocessing's tracker
    time.sleep(3)
    workers = children_of(parent.pid)
    assert len(workers) == 3
    parent.send_signal(number)
    parent.wait(timeout=20)
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, workers))
