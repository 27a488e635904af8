import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.statistics.comparisons import paired_difference
from made_up_scores import hard_and_easy_starts, rng, width


def test_the_difference_of_a_method_from_itself_is_zero():
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


def test_swapping_the_methods_changes_only_the_sign():
    a, b = hard_and_easy_starts(3), hard_and_easy_starts(2, seed=9)
    there, back = paired_difference(a, b, rng()), paired_difference(b, a, rng())
    assert there.value == -back.value
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=0.01)
    assert (there.num_seeds, there.num_starts) == (2, 50)


def test_the_same_difference_on_every_start_still_has_an_interval():
    solved = np.ones((3, 50))
    u = 1 - 50 / (50 + 1.959964**2)
    for a, b, expected in (
        (solved, solved, (0, -u, u)),
        (solved, 0 * solved, (1, 1 - 2 * u, 1)),
        (0 * solved, solved, (-1, -1, 2 * u - 1)),
    ):
        assert paired_difference(a, b, rng())[:3] == pytest.approx(expected, abs=1e-6)


def test_the_interval_depends_on_the_given_generator_only():
    scores = hard_and_easy_starts(3)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    estimates = [paired_difference(scores, 1 - scores, rng()) for _ in range(2)]
    assert estimates[0] == estimates[1]
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_methods_with_different_numbers_of_starts_are_refused():
    with pytest.raises(BadInput, match="same starts for both methods, got 2 and 3"):
        paired_difference(np.ones((1, 2)), np.ones((1, 3)), rng())


def test_bad_scores_and_levels_are_refused():
    with pytest.raises(BadInput, match=r"b\[0, 1\] is nan"):
        paired_difference(np.ones((1, 2)), np.array([[1.0, np.nan]]), rng())
    with pytest.raises(BadInput, match="level"):
        paired_difference(np.ones((1, 2)), np.ones((1, 2)), rng(), level=95)
