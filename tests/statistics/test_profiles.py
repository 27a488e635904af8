"""Performance profiles, and the probability that one training beats another."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm, t

from dp_bench.errors import BadInput
from dp_bench.statistics.estimates import estimate_mean
from dp_bench.statistics.profiles import performance_profiles, probability_of_beating


def test_a_profile_counts_the_scores_above_each_threshold():
    scores = np.array([[0.2, 0.6], [0.4, 1.0]])
    [profile] = performance_profiles([scores], [0.0, 0.2, 0.3, 0.6, 0.99, 1.0])
    np.testing.assert_allclose(profile.shares, [1, 0.75, 0.75, 0.25, 0.25, 0])


def test_one_training_has_wilsons_interval_over_its_starts():
    [profile] = performance_profiles([np.array([[0.1, 0.2, 0.8, 0.9]])], [0.0, 0.5])
    # (2 + z^2 / 2 +- z sqrt(1 + z^2 / 4)) / (4 + z^2), and 4 / (4 + z^2), with z = 1.96
    np.testing.assert_allclose(profile.lows, [0.5101, 0.1500], atol=1e-4)
    np.testing.assert_allclose(profile.highs, [1.0, 0.8500], atol=1e-4)


def test_the_area_under_a_profile_is_the_mean_score():
    rows = np.random.default_rng(0).uniform(size=(3, 4, 20))
    taus = np.linspace(0, 1, 2001)
    for scores, profile in zip(rows, performance_profiles(rows, taus), strict=True):
        assert profile.shares.mean() == pytest.approx(scores.mean(), abs=1e-3)
        assert (np.diff(profile.shares) <= 0).all()
        assert (profile.lows <= profile.shares).all()
        assert (profile.shares <= profile.highs).all()


def test_trainings_that_differ_have_wider_bands():
    equal = np.tile([0.2, 0.8], (4, 10))
    differing = np.repeat([[0.2], [0.8], [0.2], [0.8]], 20, axis=1)
    one, other = performance_profiles([equal, differing], [0.5])
    assert one.shares == other.shares == 0.5
    assert other.highs - other.lows > 1.5 * (one.highs - one.lows)
    [alone] = performance_profiles([differing], [0.5])
    estimate = estimate_mean((differing > 0.5).astype(float))
    assert (alone.lows[0], alone.highs[0]) == (estimate.low, estimate.high)


def test_a_probability_counts_pairs_of_trainings_and_half_of_ties():
    a = np.array([[0.8, 1.0], [0.8, 0.8], [0.6, 0.8]])  # means .9, .8, .7
    b = np.array([[0.6, 0.6], [0.5, 0.5], [0.7, 0.7]])  # means .6, .5, .7
    assert probability_of_beating(a, b).value == pytest.approx(8.5 / 9)
    assert probability_of_beating(b, a).value == pytest.approx(0.5 / 9)
    assert probability_of_beating(a, a).value == 0.5
    assert probability_of_beating(a, b)[3:] == (0.95, 3, 2)


def test_a_probability_is_mann_and_whitneys_u():
    draw = np.random.default_rng(0)
    for m, n in ((2, 5), (3, 3), (10, 7)):
        a, b = draw.integers(0, 3, size=(m, 4)), draw.integers(0, 3, size=(n, 4))
        u = mannwhitneyu(a.mean(axis=1), b.mean(axis=1)).statistic
        assert probability_of_beating(a, b).value == pytest.approx(u / (m * n))


def test_the_ends_of_its_interval_solve_newcombes_equation():
    a = np.array([[0.9], [0.8], [0.4]])
    b = np.array([[0.7], [0.5], [0.3], [0.2]])
    estimate = probability_of_beating(a, b)
    assert estimate.value == pytest.approx(10 / 12)
    for end in (estimate.low, estimate.high):
        # variance for m = 3 and n = 4, where (m + n) / 2 - 1 = 2.5
        spread = 1 + 2.5 * ((1 - end) / (2 - end) + end / (1 + end))
        variance = end * (1 - end) / 12 * spread
        assert (10 / 12 - end) ** 2 == pytest.approx(t.ppf(0.975, 5) ** 2 * variance)
    other = probability_of_beating(b, a)
    assert other.low == pytest.approx(1 - estimate.high)
    assert other.high == pytest.approx(1 - estimate.low)


def test_three_trainings_never_prove_that_a_method_wins():
    high, low = np.full((3, 5), 0.9), np.full((3, 5), 0.1)
    estimate = probability_of_beating(high, low)
    assert estimate.value == estimate.high == 1
    assert 0.3 < estimate.low < 0.4  # the exact test of ranks has p = .1
    five = probability_of_beating(np.full((5, 5), 0.9), np.full((5, 5), 0.1))
    assert five.low > 0.5  # p = .008


@pytest.mark.parametrize("trainings", [3, 5, 10])
@pytest.mark.parametrize("truth", [0.5, 0.76, 0.9])
def test_its_intervals_hold_the_truth(trainings, truth):
    draw = np.random.default_rng(0)
    gap = norm.ppf(truth) * np.sqrt(2)
    ends = {}
    hits = 0
    for _ in range(2000):
        a, b = draw.normal(gap, 1, trainings), draw.normal(0, 1, trainings)
        wins = int((a[:, None] > b).sum())
        if wins not in ends:
            ends[wins] = probability_of_beating(a[:, None], b[:, None])[1:3]
        low, high = ends[wins]
        hits += low <= truth <= high
    assert hits >= 0.94 * 2000


def test_one_training_is_refused():
    with pytest.raises(BadInput, match="a has one training"):
        probability_of_beating(np.ones((1, 3)), np.ones((3, 3)))
    with pytest.raises(BadInput, match="b has one training"):
        probability_of_beating(np.ones((3, 3)), np.ones((1, 3)))
