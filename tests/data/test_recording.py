import gymnasium as gym
import numpy as np
import pytest

from dp_bench.data.recording import EpisodeRecorder


class Counter(gym.Env):
    """Adds each action to a number, and ends at 3; shows an array or a dictionary."""

    def __init__(self, by_kind=False):
        self.by_kind = by_kind

    def reset(self, *, seed=None, options=None):
        self.total = float(seed)
        return self._observe(), {"state": np.array([self.total])}

    def step(self, action):
        self.total += float(action[0])
        info = {"state": np.array([self.total])}
        return self._observe(), self.total / 2, self.total >= 3, False, info

    def _observe(self):
        array = np.array([self.total, 7.0])
        return {"pose": array, "touch": array[1:]} if self.by_kind else array


def played(**options):
    recorder = EpisodeRecorder(Counter(**options), 1)
    while not recorder.terminated:
        action = np.ones(1)
        recorder.step(action, velocity=2 * action)
    return recorder


def test_each_row_pairs_an_action_with_the_observation_and_state_before_it():
    recorder = played()
    demo = recorder.demonstration(0.5, {"env_seed": 1})
    assert len(recorder) == 2
    assert [info["state"].item() for info in recorder.infos] == [2.0, 3.0]
    np.testing.assert_array_equal(demo.obs["state"], [[1, 7], [2, 7]])
    np.testing.assert_array_equal(demo.states, [[1], [2]])
    np.testing.assert_array_equal(demo.actions, [[1], [1]])
    np.testing.assert_array_equal(demo.rewards, [1.0, 1.5])
    assert (demo.score, demo.notes, demo.model) == (0.5, {"env_seed": 1}, "")
    assert demo.last_obs == {}


def test_actions_of_other_control_modes_are_recorded_beside():
    demo = played().demonstration(1.0, {})
    np.testing.assert_array_equal(demo.actions_as["velocity"], [[2], [2]])
    assert demo.actions_as["velocity"].dtype == np.float32


@pytest.mark.parametrize("by_kind", [False, True])
def test_the_last_observation_is_kept_on_request(by_kind):
    demo = played(by_kind=by_kind).demonstration(1.0, {}, with_last_obs=True)
    kind = "pose" if by_kind else "state"
    np.testing.assert_array_equal(demo.last_obs[kind], [3, 7])


def test_observations_by_kind_stay_apart():
    demo = played(by_kind=True).demonstration(1.0, {})
    np.testing.assert_array_equal(demo.obs["pose"], [[1, 7], [2, 7]])
    np.testing.assert_array_equal(demo.obs["touch"], [[7], [7]])
