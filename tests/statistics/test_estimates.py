from math import comb

import numpy as np
import pytest
from scipy import stats

from dp_bench.errors import BadInput
from dp_bench.statistics.estimates import Estimate, estimate_mean, mean_of, pool_of
from made_up_scores import hard_and_easy_starts, rng, width


def test_differences_between_train_seeds_widen_the_interval():
    same = np.tile(np.linspace(0, 1, 50), (3, 1))
    shifted = same + np.array([[-0.3], [0.0], [0.3]])
    narrow, wide = map(estimate_mean, (same, shifted))
    assert narrow.value == pytest.approx(wide.value)
    assert width(wide) > 2 * width(narrow)


def test_scores_of_one_training_get_a_t_interval_in_wilsons_form():
    """The ends are the shares p with (mean - p)^2 = t^2 p (1 - p) / n."""
    scores = np.random.default_rng(2).beta(2, 1, size=(1, 20))
    mean, low, high = estimate_mean(scores)[:3]
    n = mean * (1 - mean) / (scores.var(ddof=1) / 20)
    t = stats.t.ppf(0.975, 19)
    for end in (low, high):
        assert (mean - end) ** 2 == pytest.approx(t**2 * end * (1 - end) / n)
    assert low < mean < high


def test_numbers_beyond_one_get_the_interval_of_a_t_test():
    numbers = np.random.default_rng(3).normal(5, 2, size=(1, 12))
    low, high = estimate_mean(numbers)[1:3]
    expected = stats.ttest_1samp(numbers[0], 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx(tuple(expected))


def test_without_an_effect_of_starts_the_trainings_are_the_sample():
    """Each training has one score on all starts: a t interval over three numbers."""
    numbers = np.repeat([[2.0], [3.0], [7.0]], 40, axis=1)
    low, high = estimate_mean(numbers)[1:3]
    expected = stats.ttest_1samp([2.0, 3.0, 7.0], 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("binary", [False, True])
def test_the_order_of_seeds_and_starts_does_not_matter(binary):
    scores = hard_and_easy_starts(3)
    scores = (scores > 0.4).astype(float) if binary else scores
    shuffled = rng().permutation(rng().permutation(scores, axis=0), axis=1)
    np.testing.assert_allclose(estimate_mean(shuffled)[:3], estimate_mean(scores)[:3])


def test_swapping_success_and_failure_mirrors_the_interval():
    scores = hard_and_easy_starts(3)
    there, back = estimate_mean(scores), estimate_mean(1 - scores)
    assert (there.low, there.high) == pytest.approx((1 - back.high, 1 - back.low))


def test_solving_every_start_does_not_give_certainty():
    """The interval of 50 of 50 begins at 50 / (50 + z^2), that of 49 of 50 lower."""
    solved = np.ones((1, 50))
    all_but_one = solved.copy()
    all_but_one[0, 7] = 0
    estimate = estimate_mean(solved)
    assert estimate[:3] == pytest.approx((1, 50 / (50 + 1.959964**2), 1), abs=1e-6)
    assert estimate_mean(all_but_one).low < estimate.low
    failed = estimate_mean(1 - solved)
    assert failed[:3] == pytest.approx((0, 0, 1 - estimate.low))
    assert estimate_mean(np.ones((3, 50))).low == estimate.low


@pytest.mark.parametrize(("hits", "trials"), [(8, 10), (1, 50), (0, 7), (30, 30)])
def test_successes_of_one_seed_get_wilsons_interval(hits, trials):
    """A second implementation: scipy's."""
    successes = np.array([[1.0] * hits + [0.0] * (trials - hits)])
    expected = stats.binomtest(hits, trials).proportion_ci(method="wilson")
    assert estimate_mean(successes)[1:3] == pytest.approx(tuple(expected), abs=1e-12)


def test_repeated_successes_do_not_narrow_the_interval():
    once = (hard_and_easy_starts(1) > 0.5).astype(float)
    thrice = estimate_mean(np.tile(once, (3, 1)))
    assert width(thrice) >= width(estimate_mean(once))


@pytest.mark.parametrize("p", [0.02, 0.1, 0.5, 0.9, 0.98])
def test_intervals_of_successes_contain_the_truth_often_enough(p):
    """Adds up the exact binomial probabilities of results whose interval contains p."""
    E, covered = 50, 0.0
    for k in range(E + 1):
        estimate = estimate_mean(np.array([[1.0] * k + [0.0] * (E - k)]))
        if estimate.low <= p <= estimate.high:
            covered += comb(E, k) * p**k * (1 - p) ** (E - k)
    assert 0.91 < covered < 0.985


def test_intervals_of_scores_contain_the_truth_often_enough():
    trials, draw = 1000, np.random.default_rng(5)
    covered = 0
    for _ in range(trials):
        estimate = estimate_mean(draw.beta(2, 1, size=(1, 50)))
        covered += estimate.low <= 2 / 3 <= estimate.high
    assert 0.93 < covered / trials < 0.97


def test_one_number_has_no_interval():
    estimate = estimate_mean(np.array([[0.4]]))
    assert np.isnan([estimate.low, estimate.high]).all()


def test_several_trainings_on_one_start_are_the_sample():
    numbers = np.array([[2.0], [3.0], [7.0]])
    expected = stats.ttest_1samp([2.0, 3.0, 7.0], 0).confidence_interval(0.95)
    assert estimate_mean(numbers)[1:3] == pytest.approx(tuple(expected))


def test_unlike_trainings_of_other_rows_widen_an_interval_and_alike_ones_do_not():
    draw = np.random.default_rng(4)
    calm = [draw.uniform(0.3, 0.6, size=(3, 50)) for _ in range(3)]
    wild = [row + np.array([[-0.3], [0.0], [0.3]]) for row in calm]
    own = estimate_mean(calm[0])
    assert width(estimate_mean(calm[0], pool_of([calm[0], *wild]))) > 2 * width(own)
    assert width(estimate_mean(wild[0], pool_of([wild[0], *calm]))) < width(
        estimate_mean(wild[0])
    )


def test_rows_with_one_training_or_one_start_do_not_join_a_pool():
    rows = [hard_and_easy_starts(3, seed=k) for k in (1, 2)]
    assert pool_of([*rows, np.ones((1, 50)), np.ones((3, 1))]) == pool_of(rows)
    assert pool_of(rows[:1]) is None
    assert pool_of([]) is None


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.ones(3), r"shape \(3,\)"),
        (np.ones((0, 3)), r"shape \(0, 3\)"),
        (np.array([[1.0, np.nan]]), r"scores\[0, 1\] is nan"),
    ],
)
def test_scores_that_are_no_finite_matrix_are_refused(scores, message):
    with pytest.raises(BadInput, match=message):
        estimate_mean(scores)


def test_levels_out_of_range_are_refused():
    with pytest.raises(BadInput, match="level"):
        estimate_mean(np.ones((1, 2)), level=95)


def test_the_mean_of_estimates_matches_a_hand_calculation():
    """The ends lie 0.3 below and 0.4 above one mean, and 0.4 and 0.3 from another."""
    first = Estimate(0.5, 0.2, 0.9, 0.95, num_seeds=3, num_starts=50)
    second = Estimate(0.7, 0.3, 1.0, 0.95, num_seeds=2, num_starts=40)
    expected = (0.6, 0.6 - 0.25, 0.6 + 0.25, 0.95, 2, 90)
    assert mean_of([first, second]) == pytest.approx(expected)


def test_estimates_of_different_levels_have_no_mean():
    estimate = Estimate(0.5, 0.2, 0.9, 0.95, num_seeds=3, num_starts=50)
    with pytest.raises(BadInput, match="estimates of one level, got 2"):
        mean_of([estimate, estimate._replace(level=0.9)])
    with pytest.raises(BadInput, match="estimates of one level, got 0"):
        mean_of([])


def test_intervals_of_a_mean_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    truths, held = np.array([0.3, 0.6, 0.95]), 0
    for _ in range(300):
        parts = [
            estimate_mean((rng.random((1, 50)) < truth).astype(float))
            for truth in truths
        ]
        mean = mean_of(parts)
        held += mean.low <= truths.mean() <= mean.high
    assert 0.92 <= held / 300 <= 0.985
