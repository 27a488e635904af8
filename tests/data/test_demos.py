"""Demonstrations in memory."""

import dataclasses

import numpy as np
import pytest

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
