"""Splitting demonstrations into training and validation."""

import numpy as np
import pytest

from dp_bench.data.split import split_episodes
from dp_bench.errors import BadInput
from made_up import pusht_demos


@pytest.mark.parametrize("num_episodes", [1, 2, 3, 50, 206])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_a_split_is_by_episode_and_disjoint(num_episodes, share):
    demos = pusht_demos(lengths=[1] * num_episodes)
    split = split_episodes(demos, np.random.default_rng(0), validation_share=share)
    both = np.concatenate([split.train, split.validation])
    assert sorted(both) == list(range(num_episodes))
    assert len(split.train) >= 1
    assert (len(split.validation) > 0) == (share > 0 and num_episodes > 1)


def test_the_published_share_holds_back_four_of_206():
    demos = pusht_demos(lengths=[1] * 206)
    split = split_episodes(
        demos, np.random.default_rng(0), validation_share=0.02, train_episodes=90
    )
    assert len(split.validation) == 4
    rest = np.setdiff1d(np.arange(206), split.validation)
    np.testing.assert_array_equal(split.train, rest[:90])


def test_the_same_generator_gives_the_same_split():
    demos = pusht_demos(lengths=[1] * 50)
    digests = [
        split_episodes(demos, np.random.default_rng(seed), validation_share=0.1).digest
        for seed in (0, 0, 1)
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("share", "train_episodes"), [(-0.1, None), (1.0, None), (np.nan, None), (0.1, 0)]
)
def test_an_impossible_split_is_refused(share, train_episodes):
    with pytest.raises(BadInput, match="must be"):
        split_episodes(
            pusht_demos(),
            np.random.default_rng(0),
            validation_share=share,
            train_episodes=train_episodes,
        )
