import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.statistics.entropy import entropy
from made_up_scores import rng


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


def test_a_number_of_resamples_below_one_is_refused():
    with pytest.raises(BadInput, match="resamples must be at least 1, got 0"):
        entropy(np.ones((1, 2)), rng(), resamples=0)


def test_the_interval_depends_on_the_given_generator_only():
    choices = np.random.default_rng(1).integers(0, 4, (3, 50)).astype(float)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert entropy(choices, rng()) == entropy(choices, rng())
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
