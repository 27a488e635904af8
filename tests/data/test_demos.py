"""Demonstrations in memory."""

import dataclasses

import numpy as np
import pytest

from dp_bench.data import hdf5
from dp_bench.errors import BadInput
from made_up import assert_same_demos, pusht_demos


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["actions", "states", "rewards", "obs/state"])
def test_a_number_that_is_not_finite_is_named_by_episode_and_step(name, bad):
    demos = pusht_demos(lengths=(3, 5))
    obs, _, kind = name.partition("/")
    array = (demos.obs[kind] if kind else getattr(demos, name)).copy()
    array[3 + 2] = bad
    changed = {**demos.obs, kind: array} if kind else array
    with pytest.raises(BadInput, match=f"{name} must be finite.*episode 1 at step 2"):
        dataclasses.replace(demos, **{obs: changed})


ROWS = r"obs/state must have a row of numbers for each step, \(N, D\), or be images"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"episode_ends": np.array([3.5, 8, 12])}, r"whole numbers, got 3.5"),
        ({"episode_ends": np.array([3, np.nan, 12])}, "whole numbers, got nan"),
        ({"episode_ends": np.array([3, 8, np.inf])}, "whole numbers, got inf"),
        ({"obs": {"state": np.zeros(12)}}, ROWS),
        ({"obs": {"state": np.zeros((12, 3, 4))}}, ROWS),
        ({"obs": {"state": np.zeros((12, 0))}}, ROWS),
        ({"obs": {"state": np.zeros((12, 8, 8, 3))}}, ROWS),
        ({"actions": np.zeros((12, 0))}, "actions must have a row of numbers"),
        ({"actions_as": {"velocity": np.zeros(12)}}, "actions_as_velocity must have"),
        (
            {"obs": {"state": np.full((12, 5), np.inf, np.float16)}},
            "obs/state must be finite, got inf in episode 0 at step 0",
        ),
        (
            {
                "obs": {"state": np.zeros((12, 5))},
                "last_obs": {"state": np.full((3, 5), np.inf)},
            },
            "last observations 'state' must be finite, and are not in episode 0",
        ),
    ],
)
def test_arrays_that_no_training_can_use_are_refused(changes, words):
    with pytest.raises(BadInput, match=words):
        pusht_demos(**changes)


def test_episode_ends_may_be_whole_numbers_of_any_type():
    for dtype in (np.float64, np.uint64, np.int8):
        demos = pusht_demos(episode_ends=np.array([3, 8, 12], dtype))
        assert demos.episode_ends.dtype == np.int64
        assert demos.lengths.tolist() == [3, 5, 4]


@pytest.mark.parametrize(
    "changes",
    [
        {"episode_ends": [3, 8, 11]},  # a row after the last episode
        {"episode_ends": [3, 3, 12]},  # an empty episode
        {"episode_ends": [0, 3, 12]},
        {"episode_ends": [8, 3, 12]},
        {"episode_ends": [], "scores": []},
        {"scores": [0.5, 0.5]},
        {"scores": [0.5, 0.5, 1.1]},
        {"scores": [0.5, 0.5, np.nan]},
        {"rewards": np.zeros(11)},
        {"obs": {}},
        {"obs": {"state": np.zeros((11, 5))}},
        {"obs": {"state": np.array(["a"] * 12)}},
        {"actions": np.full((12, 2), 1e300)},  # infinite as float32
        {"notes": {"env_seed": np.arange(4)}},
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes):
    arrays = {
        k: v if k in ("obs", "notes") else np.array(v) for k, v in changes.items()
    }
    with pytest.raises(BadInput):
        pusht_demos(**arrays)


FAR = 1.7e9 + 0.05 * np.arange(12)[:, None] * [1, -1]  # in steps of a twentieth


@pytest.mark.parametrize("change", ["none", "select", "file", "select then file"])
def test_actions_far_from_zero_keep_their_differences(tmp_path, change):
    demos = pusht_demos(actions=FAR)
    if "select" in change:
        demos = demos.select([0, 1, 2])
    if "file" in change:
        hdf5.save(demos, tmp_path / "a.hdf5")
        demos = hdf5.load(tmp_path / "a.hdf5")
    assert demos.actions.dtype == np.float64
    np.testing.assert_array_equal(demos.actions, FAR)
    assert demos.digest == pusht_demos(actions=FAR).digest


@pytest.mark.parametrize(
    "actions",
    [
        np.linspace(-1, 1, 24).reshape(12, 2),
        np.linspace(300, 512, 24).reshape(12, 2),
        np.column_stack([np.full(12, 0.1), np.linspace(0, 1e-9, 12)]),  # constant
        np.arange(24).reshape(12, 2),
        FAR.astype(np.float32),
        (1000 + np.arange(24).reshape(12, 2) / 2).astype(np.float16),
    ],
)
def test_other_actions_are_float32_as_ever(actions):
    demos = pusht_demos(actions=actions)
    assert demos.actions.dtype == np.float32
    assert demos.actions.tobytes() == actions.astype(np.float32).tobytes()


def test_the_digest_covers_the_recording_and_nothing_else():
    demos = pusht_demos()
    swapped = dict(reversed(demos.obs.items()))
    big_endian = demos.states.astype(">f8")
    columns = np.asfortranarray(demos.actions)
    same = dataclasses.replace(
        demos,
        obs=swapped,
        states=big_endian,
        actions=columns,
        scores=np.zeros(3),
        notes={},
    )
    assert same.digest == demos.digest
    others = [
        dataclasses.replace(demos, task="other"),
        dataclasses.replace(demos, actions=demos.actions + 1),
        dataclasses.replace(demos, states=demos.states + 1),
        dataclasses.replace(demos, episode_ends=np.array([4, 8, 12])),
        dataclasses.replace(demos, obs={**demos.obs, "state": demos.obs["state"] + 1}),
        dataclasses.replace(demos, obs={"state": demos.obs["state"]}),
    ]
    assert len({d.digest for d in [demos, *others]}) == 7


def test_selected_episodes_are_those_episodes():
    demos = pusht_demos()
    chosen = demos.select([2, 0])
    assert chosen.lengths.tolist() == [4, 3]
    rows = [8, 9, 10, 11, 0, 1, 2]
    np.testing.assert_array_equal(chosen.actions, demos.actions[rows])
    np.testing.assert_array_equal(chosen.obs["image"], demos.obs["image"][rows])
    np.testing.assert_array_equal(chosen.scores, demos.scores[[2, 0]])
    assert chosen.notes["env_seed"].tolist() == [9, 7]
    assert_same_demos(demos.select(range(3)), demos)
    for absent in (3, -1):
        with pytest.raises(BadInput, match=r"0\.\.2"):
            demos.select([absent])
