from math import comb

import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.statistics.estimates import Estimate, bootstrap, entropy, mean_of
from made_up_scores import hard_and_easy_starts, rng, width


def test_differences_between_train_seeds_widen_the_interval():
    same = np.tile(np.linspace(0, 1, 50), (3, 1))
    shifted = same + np.array([[-0.3], [0.0], [0.3]])
    narrow, wide = (bootstrap(s, rng()) for s in (same, shifted))
    assert narrow.value == pytest.approx(wide.value)
    assert width(wide) > 2 * width(narrow)


def test_the_bootstrap_of_two_starts_matches_a_hand_calculation():
    """Resampled means are 0, 1/4 and 1/2, with probabilities 1/4, 1/2 and 1/4."""
    wide = bootstrap(np.array([[0.0, 0.5]]), rng())
    assert wide == (0.25, 0.0, 0.5, 0.95, 1, 2)
    middle = bootstrap(np.array([[0.0, 0.5]]), rng(), level=0.4)
    assert (middle.low, middle.high) == (0.25, 0.25)


def test_the_bootstrap_of_two_seeds_and_two_starts_matches_a_hand_calculation():
    """Both axes are resampled: 1 of 16 resamples holds the worst cell only."""
    scores = np.array([[0.0, 0.2], [0.4, 0.8]])
    assert bootstrap(scores, rng(), level=0.95)[:3] == pytest.approx((0.35, 0.0, 0.8))
    inner = bootstrap(scores, rng(), level=0.8)  # beyond the 1/16 in each tail
    assert inner.low > 0
    assert inner.high < 0.8


@pytest.mark.parametrize("binary", [False, True])
def test_the_interval_is_as_wide_as_the_two_way_variance_says(binary):
    """Rows, columns and the remainder all contribute to the variance."""
    scores = np.random.default_rng(3).normal(size=(4, 60)) + np.arange(4)[:, None] / 8
    scores = (scores > 0.2).astype(float) if binary else scores
    mean, (S, E) = scores.mean(), scores.shape
    rows, columns = scores.mean(1) - mean, scores.mean(0) - mean
    rest = scores - mean - rows[:, None] - columns
    variance = (rows**2).sum() / S**2 + (columns**2).sum() / E**2
    variance += (rest**2).sum() / (S * E) ** 2
    assert width(bootstrap(scores, rng())) == pytest.approx(
        2 * 1.96 * np.sqrt(variance), rel=0.05
    )


@pytest.mark.parametrize("binary", [False, True])
def test_the_order_of_seeds_and_starts_does_not_matter(binary):
    scores = hard_and_easy_starts(3)
    scores = (scores > 0.4).astype(float) if binary else scores
    shuffled = rng().permutation(rng().permutation(scores, axis=0), axis=1)
    np.testing.assert_allclose(
        bootstrap(shuffled, rng())[:3], bootstrap(scores, rng())[:3], atol=0.005
    )


def test_the_interval_depends_on_the_given_generator_only():
    scores = hard_and_easy_starts(3)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert bootstrap(scores, rng()) == bootstrap(scores, rng())
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_solving_every_start_does_not_give_certainty():
    """The interval of 50 of 50 begins at 50 / (50 + z^2), that of 49 of 50 lower."""
    solved = np.ones((1, 50))
    all_but_one = solved.copy()
    all_but_one[0, 7] = 0
    estimate = bootstrap(solved, rng())
    assert estimate[:3] == pytest.approx((1, 50 / (50 + 1.959964**2), 1), abs=1e-6)
    assert bootstrap(all_but_one, rng()).low < estimate.low
    failed = bootstrap(1 - solved, rng())
    assert failed[:3] == pytest.approx((0, 0, 1 - estimate.low))
    assert bootstrap(np.ones((3, 50)), rng()).low == estimate.low


def test_successes_of_one_seed_get_wilsons_interval():
    """Wilson, 8 of 10: (0.4902, 0.9433)."""
    successes = np.array([[1.0] * 8 + [0.0] * 2])
    assert bootstrap(successes, rng())[1:3] == pytest.approx((0.4902, 0.9433), abs=5e-5)


def test_repeated_successes_do_not_narrow_the_interval():
    once = (hard_and_easy_starts(1) > 0.5).astype(float)
    thrice = bootstrap(np.tile(once, (3, 1)), rng())
    assert thrice[:3] == pytest.approx(bootstrap(once, rng())[:3])


@pytest.mark.parametrize("p", [0.02, 0.1, 0.5, 0.9, 0.98])
def test_intervals_of_successes_contain_the_truth_often_enough(p):
    """Adds up the exact binomial probabilities of results whose interval contains p."""
    E, covered = 50, 0.0
    for k in range(E + 1):
        estimate = bootstrap(np.array([[1.0] * k + [0.0] * (E - k)]), rng())
        if estimate.low <= p <= estimate.high:
            covered += comb(E, k) * p**k * (1 - p) ** (E - k)
    assert 0.91 < covered < 0.985


def test_intervals_of_scores_contain_the_truth_often_enough():
    trials, draw = 400, np.random.default_rng(5)
    covered = 0
    for _ in range(trials):
        estimate = bootstrap(draw.beta(2, 1, size=(1, 50)), draw, resamples=500)
        covered += estimate.low <= 2 / 3 <= estimate.high
    assert 0.90 < covered / trials < 0.975


def test_one_number_has_no_interval():
    estimate = bootstrap(np.array([[0.4]]), rng())
    assert np.isnan([estimate.low, estimate.high]).all()


def test_one_resample_gives_an_interval_without_width():
    estimate = bootstrap(hard_and_easy_starts(3), rng(), resamples=1)
    assert estimate.low == estimate.high != estimate.value


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
        bootstrap(scores, rng())


def test_levels_and_resamples_out_of_range_are_refused():
    with pytest.raises(BadInput, match="level"):
        bootstrap(np.ones((1, 2)), rng(), level=95)
    with pytest.raises(BadInput, match="resamples must be at least 1, got 0"):
        bootstrap(np.ones((1, 2)), rng(), resamples=0)


def test_entropy_matches_hand_calculations():
    halves = entropy(np.array([[0.0, 1.0, 0.0, 1.0]]), rng(), options=2)
    assert halves.value == 1.0
    assert halves.high == 1.0  # no two choices are spread more evenly
    quarters = entropy(np.array([[5.0, 5.0], [7.0, 2.0]]), rng())
    assert quarters.value == pytest.approx(0.5 * 1 + 2 * 0.25 * 2)
    uneven = entropy(np.array([[3.0, 3.0, 3.0, 4.0]]), rng()).value
    assert uneven == pytest.approx(2 - 0.75 * np.log2(3))


def test_entropy_ignores_names_of_choices_and_episodes_without_a_choice():
    choices = np.random.default_rng(3).integers(0, 4, (3, 40)).astype(float)
    renamed = 10 - choices
    assert entropy(renamed, rng()).value == pytest.approx(entropy(choices, rng()).value)
    with_gaps = np.concatenate([choices, np.full((3, 5), np.nan)], axis=1)
    assert entropy(with_gaps, rng()).value == pytest.approx(
        entropy(choices, rng()).value
    )


def test_entropy_is_zero_for_one_choice_and_nan_for_none():
    assert entropy(np.ones((2, 9)), rng())[:3] == (0.0, 0.0, 0.0)
    assert np.isnan(entropy(np.full((2, 9), np.nan), rng())[:3]).all()
    one = entropy(np.array([[np.nan, 1.0]]), rng())
    assert one.value == 0.0
    assert np.isnan(one.low)


@pytest.mark.parametrize(
    ("choices", "episodes"), [(2, 50), (4, 50), (24, 50), (24, 150)]
)
def test_entropy_intervals_contain_the_truth_often_enough(choices, episodes):
    """Simulates; 50 episodes miss some of 24 choices, and resamples miss more."""
    shares = np.linspace(1, 2, choices)
    shares /= shares.sum()
    truth = -(shares * np.log2(shares)).sum()
    held = 0
    for seed in range(100):
        drawn = np.random.default_rng(seed).choice(choices, (1, episodes), p=shares)
        estimate = entropy(drawn.astype(float), rng(), options=choices, resamples=500)
        assert estimate.low <= estimate.value <= estimate.high <= np.log2(choices)
        held += estimate.low <= truth <= estimate.high
    assert held >= 85


def test_the_entropy_interval_of_fair_choices_reaches_close_to_its_maximum():
    """Four equally likely choices have 2 bits, a little more than the estimate."""
    choices = np.random.default_rng(1).integers(0, 4, (3, 50)).astype(float)
    estimate = entropy(choices, rng(), options=4)
    assert 1.9 < estimate.value < 2
    assert 1.8 < estimate.low < estimate.value
    assert estimate.value - 0.02 < estimate.high <= 2


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
            bootstrap((rng.random((1, 50)) < truth).astype(float), rng, resamples=1)
            for truth in truths
        ]
        mean = mean_of(parts)
        held += mean.low <= truths.mean() <= mean.high
    assert 0.92 <= held / 300 <= 0.985
