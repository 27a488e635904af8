"""Windows: small enough to check by eye, and laws."""

import numpy as np
import pytest

from dp_bench import BadInput, Horizons, registry
from dp_bench.data.windows import short_episodes, window_index
from dp_bench.presets import preset


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


def test_an_episode_that_is_too_short_gives_one_window_that_begins_with_it():
    ends = np.array([1, 4, 11])  # 1, 3 and 7 steps, and 8 have a window of their own
    index = window_index(ends, Horizons(2, 8, 16))
    np.testing.assert_array_equal(
        index,
        [
            [0] * 16,
            [1, 1, 2, *[3] * 13],
            [4, 4, 5, 6, 7, 8, 9, *[10] * 9],
        ],
    )
    assert short_episodes(ends, Horizons(2, 8, 16)).tolist() == [0, 1, 2]
    assert short_episodes(np.array([1, 4, 12]), Horizons(2, 8, 16)).tolist() == [0, 1]


def long_windows(start, length, h):
    """The windows of an episode that is long enough, step by step."""
    first, last = start, start + length - 1
    return [
        [min(max(now - (h.obs - 1) + k, first), last) for k in range(h.prediction)]
        for now in range(first, last + 1)
        if now - (h.obs - 1) + h.prediction - 1 <= last + h.action - 1
    ]


@pytest.mark.parametrize("seed", range(40))
def test_windows_of_long_episodes_do_not_depend_on_short_ones(seed):
    rng = np.random.default_rng(seed)
    obs, action = int(rng.integers(1, 6)), int(rng.integers(1, 9))
    h = Horizons(obs, action, obs - 1 + action + int(rng.integers(0, 10)))
    lengths = rng.integers(1, 40, size=8)
    ends = np.cumsum(lengths)
    index = window_index(ends, h)
    owner = np.searchsorted(ends, index[:, 0], side="right")
    short = set(short_episodes(ends, h).tolist())
    assert index.dtype == np.int64
    for k, (end, length) in enumerate(zip(ends, lengths, strict=True)):
        expected = long_windows(end - length, length, h)
        assert (k in short) == (not expected)
        windows = index[owner == k]
        if k in short:
            assert len(windows) == 1
            assert set(windows[0]) == set(range(end - length, end))  # every row of it
        else:
            assert windows.tobytes() == np.array(expected, np.int64).tobytes()


@pytest.mark.parametrize("name", registry.METHODS)
@pytest.mark.parametrize("tier", ["smoke", "laptop", "paper"])
def test_every_method_gets_a_window_of_every_episode(name, tier):
    ends = np.cumsum([1, 2, 3, 50, 1, 7])
    for task in registry.tasks():
        h = preset(registry.method(name), task, tier).policy.horizons
        owners = np.searchsorted(ends, window_index(ends, h), side="right")
        assert set(owners.flat) == set(range(6))


@pytest.mark.parametrize("sizes", [(0, 1, 1), (2, 8, 8), (1, -1, 4)])
def test_impossible_horizons_are_refused(sizes):
    with pytest.raises(BadInput):
        Horizons(*sizes)
