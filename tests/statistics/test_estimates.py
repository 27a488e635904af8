from math import comb

import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.statistics.estimates import bootstrap, entropy, paired_difference


def rng():
    return np.random.default_rng(0)


def width(estimate):
    return estimate.high - estimate.low


def hard_and_easy_starts(num_seeds, num_starts=50, seed=1):
    """Scores that depend mostly on the start, `(S, E)`."""
    draw = np.random.default_rng(seed)
    ease = draw.uniform(0.1, 0.9, size=num_starts)
    return np.clip(ease + 0.05 * draw.normal(size=(num_seeds, num_starts)), 0, 1)


def test_training_seeds_widen_the_interval():
    same = np.tile(np.linspace(0, 1, 50), (3, 1))
    shifted = same + np.array([[-0.3], [0.0], [0.3]])
    narrow, wide = (bootstrap(s, rng()) for s in (same, shifted))
    assert narrow.value == pytest.approx(wide.value)
    assert width(wide) > 2 * width(narrow)


def test_two_starts_by_hand():
    """Resampled means are 0, 1/4, 1/2 with shares 1/4, 1/2, 1/4."""
    whole = bootstrap(np.array([[0.0, 0.5]]), rng())
    assert whole == (0.25, 0.0, 0.5, 0.95, 1, 2)
    middle = bootstrap(np.array([[0.0, 0.5]]), rng(), level=0.4)
    assert (middle.low, middle.high) == (0.25, 0.25)


def test_two_seeds_by_two_starts_by_hand():
    """Both axes are drawn: the worst cell alone comes up in 1 of 16 resamples."""
    scores = np.array([[0.0, 0.2], [0.4, 0.8]])
    assert bootstrap(scores, rng(), level=0.95)[:3] == pytest.approx((0.35, 0.0, 0.8))
    inner = bootstrap(scores, rng(), level=0.8)  # beyond the 1/16 in each tail
    assert inner.low > 0
    assert inner.high < 0.8


@pytest.mark.parametrize("binary", [False, True])
def test_the_width_is_that_of_the_two_way_variance(binary):
    """Rows, columns and what remains each have their share of it."""
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


def test_the_same_generator_gives_the_same_interval_and_no_other_is_used():
    scores = hard_and_easy_starts(3)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert bootstrap(scores, rng()) == bootstrap(scores, rng())
    assert paired_difference(scores, 1 - scores, rng()) == paired_difference(
        scores, 1 - scores, rng()
    )
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_every_start_solved_is_not_certainty():
    """50 of 50 leaves room for 1 / (1 + 50 / z^2), and 49 of 50 claims less."""
    solved = np.ones((1, 50))
    all_but_one = solved.copy()
    all_but_one[0, 7] = 0
    estimate = bootstrap(solved, rng())
    assert estimate[:3] == pytest.approx((1, 50 / (50 + 1.959964**2), 1), abs=1e-6)
    assert bootstrap(all_but_one, rng()).low < estimate.low
    failed = bootstrap(1 - solved, rng())
    assert failed[:3] == pytest.approx((0, 0, 1 - estimate.low))
    assert bootstrap(np.ones((3, 50)), rng()).low == estimate.low


def test_successes_of_one_seed_get_the_textbook_interval():
    """Wilson, 8 of 10: (0.4902, 0.9433)."""
    successes = np.array([[1.0] * 8 + [0.0] * 2])
    assert bootstrap(successes, rng())[1:3] == pytest.approx((0.4902, 0.9433), abs=5e-5)


def test_repeating_the_same_successes_with_more_seeds_is_not_news():
    once = (hard_and_easy_starts(1) > 0.5).astype(float)
    thrice = bootstrap(np.tile(once, (3, 1)), rng())
    assert thrice[:3] == pytest.approx(bootstrap(once, rng())[:3])


@pytest.mark.parametrize("p", [0.02, 0.1, 0.5, 0.9, 0.98])
def test_success_intervals_cover_the_truth(p):
    """Exact: sums the binomial probabilities of the results whose interval has p."""
    E, covered = 50, 0.0
    for k in range(E + 1):
        estimate = bootstrap(np.array([[1.0] * k + [0.0] * (E - k)]), rng())
        if estimate.low <= p <= estimate.high:
            covered += comb(E, k) * p**k * (1 - p) ** (E - k)
    assert 0.91 < covered < 0.985


def test_score_intervals_cover_the_truth():
    trials, draw = 400, np.random.default_rng(5)
    covered = 0
    for _ in range(trials):
        estimate = bootstrap(draw.beta(2, 1, size=(1, 50)), draw, resamples=500)
        covered += estimate.low <= 2 / 3 <= estimate.high
    assert 0.90 < covered / trials < 0.975


def test_a_method_does_not_differ_from_itself():
    for scores in (hard_and_easy_starts(3), hard_and_easy_starts(1), np.ones((2, 9))):
        estimate = paired_difference(scores, scores, rng())
        assert estimate.low <= 0 <= estimate.high
        assert estimate.value == 0


def test_pairing_narrows_the_interval():
    a = hard_and_easy_starts(3)
    b = np.clip(a - 0.1, 0, 1)
    unpaired = rng().permutation(b, axis=1)
    paired = paired_difference(a, b, rng())
    assert width(paired) < 0.3 * width(paired_difference(a, unpaired, rng()))
    assert paired.low > 0


def test_a_difference_turns_its_sign_with_its_sides():
    a, b = hard_and_easy_starts(3), hard_and_easy_starts(2, seed=9)
    there, back = paired_difference(a, b, rng()), paired_difference(b, a, rng())
    assert there.value == -back.value
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=0.01)
    assert (there.num_seeds, there.num_starts) == (2, 50)


def test_a_difference_without_exception_is_not_certainty():
    solved = np.ones((3, 50))
    u = 1 - 50 / (50 + 1.959964**2)
    for a, b, expected in (
        (solved, solved, (0, -u, u)),
        (solved, 0 * solved, (1, 1 - 2 * u, 1)),
        (0 * solved, solved, (-1, -1, 2 * u - 1)),
    ):
        assert paired_difference(a, b, rng())[:3] == pytest.approx(expected, abs=1e-6)


def test_one_number_has_no_interval():
    estimate = bootstrap(np.array([[0.4]]), rng())
    assert np.isnan([estimate.low, estimate.high]).all()


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.ones(3), r"shape \(3,\)"),
        (np.ones((0, 3)), r"shape \(0, 3\)"),
        (np.array([[1.0, np.nan]]), r"scores\[0, 1\] is nan"),
    ],
)
def test_what_is_no_table_of_scores_is_refused(scores, message):
    with pytest.raises(BadInput, match=message):
        bootstrap(scores, rng())


def test_impossible_arguments_are_refused():
    with pytest.raises(BadInput, match="level"):
        bootstrap(np.ones((1, 2)), rng(), level=95)
    with pytest.raises(BadInput, match="same starts, got 2 and 3"):
        paired_difference(np.ones((1, 2)), np.ones((1, 3)), rng())


def test_entropy_by_hand():
    halves = entropy(np.array([[0.0, 1.0, 0.0, 1.0]]), rng(), options=2)
    assert halves.value == 1.0
    assert halves.high == 1.0  # no two choices are spread more evenly
    quarters = entropy(np.array([[5.0, 5.0], [7.0, 2.0]]), rng())
    assert quarters.value == pytest.approx(0.5 * 1 + 2 * 0.25 * 2)
    uneven = entropy(np.array([[3.0, 3.0, 3.0, 4.0]]), rng()).value
    assert uneven == pytest.approx(2 - 0.75 * np.log2(3))


def test_entropy_forgets_the_names_of_choices_and_episodes_without_one():
    choices = np.random.default_rng(3).integers(0, 4, (3, 40)).astype(float)
    renamed = 10 - choices
    assert entropy(renamed, rng()).value == pytest.approx(entropy(choices, rng()).value)
    with_gaps = np.concatenate([choices, np.full((3, 5), np.nan)], axis=1)
    assert entropy(with_gaps, rng()).value == pytest.approx(
        entropy(choices, rng()).value
    )


def test_entropy_of_one_choice_is_zero_and_of_none_unknown():
    assert entropy(np.ones((2, 9)), rng())[:3] == (0.0, 0.0, 0.0)
    assert np.isnan(entropy(np.full((2, 9), np.nan), rng())[:3]).all()
    one = entropy(np.array([[np.nan, 1.0]]), rng())
    assert one.value == 0.0
    assert np.isnan(one.low)


@pytest.mark.parametrize(
    ("choices", "episodes"), [(2, 50), (4, 50), (24, 50), (24, 150)]
)
def test_entropy_intervals_hold_the_truth(choices, episodes):
    """Simulated; with 24 choices 50 episodes miss some, and resamples more."""
    shares = np.linspace(1, 2, choices)
    shares /= shares.sum()
    truth = -(shares * np.log2(shares)).sum()
    held = 0
    for seed in range(100):
        drawn = np.random.default_rng(seed).choice(choices, (1, episodes), p=shares)
        found = entropy(drawn.astype(float), rng(), options=choices, resamples=500)
        assert found.low <= found.value <= found.high <= np.log2(choices)
        held += found.low <= truth <= found.high
    assert held >= 85


def test_entropy_intervals_follow_what_is_drawn():
    """Fair choices among four: below 2 bits, and the interval reaches close to it."""
    choices = np.random.default_rng(1).integers(0, 4, (3, 50)).astype(float)
    found = entropy(choices, rng(), options=4)
    assert 1.9 < found.value < 2
    assert 1.8 < found.low < found.value
    assert found.value - 0.02 < found.high <= 2
