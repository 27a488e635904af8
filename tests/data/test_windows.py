"""Windows: small enough to check by eye, and laws."""

import numpy as np
import pytest

from dp_bench import BadInput, Horizons
from dp_bench.data.windows import window_index


def test_windows_of_two_short_episodes():
    index = window_index(np.array([3, 5]), Horizons(obs=2, action=1, prediction=2))
    np.testing.assert_array_equal(index, [[0, 0], [0, 1], [1, 2], [3, 3], [3, 4]])


@pytest.mark.parametrize(
    "horizons", [Horizons(1, 1, 1), Horizons(2, 8, 16), Horizons(3, 1, 12)]
)
def test_a_window_never_leaves_its_episode(horizons):
    ends = np.array([20, 21, 60])
    episode_of_row = np.searchsorted(ends, np.arange(60), side="right")
    owners = episode_of_row[window_index(ends, horizons)]
    assert (owners == owners[:, :1]).all()


def test_every_row_is_the_current_step_of_some_window():
    horizons = Horizons(2, 8, 16)
    index = window_index(np.array([40, 90]), horizons)
    now = index[:, horizons.obs - 1]
    # the last rows are only ever predicted: Tp - Ta - To + 1 of each episode
    late = horizons.prediction - horizons.action - horizons.obs + 1
    expected = [
        r for r in range(90) if r not in [*range(40 - late, 40), *range(90 - late, 90)]
    ]
    assert sorted(set(now)) == expected


def test_an_episode_that_is_too_short_yields_no_window():
    horizons = Horizons(2, 8, 16)
    shortest = horizons.prediction - horizons.action - horizons.obs + 2
    assert len(window_index(np.array([shortest - 1]), horizons)) == 0
    assert len(window_index(np.array([shortest]), horizons)) == 1


@pytest.mark.parametrize("sizes", [(0, 1, 1), (2, 8, 8), (1, -1, 4)])
def test_impossible_horizons_are_refused(sizes):
    with pytest.raises(BadInput):
        Horizons(*sizes)
