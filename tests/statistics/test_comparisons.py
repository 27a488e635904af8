import itertools

import numpy as np
import pytest
from scipy import stats

from dp_bench.errors import BadInput
from dp_bench.statistics.comparisons import (
    all_pairs,
    detectable,
    holm,
    letters,
    paired_difference,
)
from dp_bench.statistics.variance import Variance
from made_up_scores import hard_and_easy_starts, rng, width


def five_rows(shift=0.0, seed=0):
    """Scores of five methods, `(3, 40)`; the first is better by `shift`."""
    draw = np.random.default_rng(seed)
    starts = draw.normal(size=40)
    rows = [
        0.5 + 0.1 * (starts + draw.normal(size=(3, 1)) + draw.normal(size=(3, 40)))
        for _ in range(5)
    ]
    rows[0] = rows[0] + shift
    return [np.clip(row, 0, 1) for row in rows]


def test_the_difference_of_a_method_from_itself_is_zero():
    for scores in (hard_and_easy_starts(3), hard_and_easy_starts(1), np.ones((2, 9))):
        estimate = paired_difference(scores, scores)
        assert estimate.low <= 0 <= estimate.high
        assert estimate.value == 0


def test_pairing_narrows_the_interval():
    a = hard_and_easy_starts(3)
    b = np.clip(a - 0.1, 0, 1)
    unpaired = rng().permutation(b, axis=1)
    paired = paired_difference(a, b)
    assert width(paired) < 0.3 * width(paired_difference(a, unpaired))
    assert paired.low > 0


def test_swapping_the_methods_changes_only_the_sign():
    a, b = hard_and_easy_starts(3), hard_and_easy_starts(2, seed=9)
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there[:3] == pytest.approx(back.negated()[:3])
    assert (there.num_seeds, there.num_starts) == (2, 50)


def test_trainings_are_not_paired():
    """The order of one method's trainings has no meaning."""
    a, b = hard_and_easy_starts(3), hard_and_easy_starts(3, seed=9)
    assert paired_difference(a, b[::-1])[:3] == pytest.approx(
        paired_difference(a, b)[:3]
    )


def test_single_trainings_have_the_interval_of_a_paired_t_test():
    a, b = hard_and_easy_starts(1), hard_and_easy_starts(1, seed=9)
    expected = stats.ttest_rel(a[0], b[0]).confidence_interval(0.95)
    assert paired_difference(a, b)[1:3] == pytest.approx(tuple(expected))


def test_without_an_effect_of_starts_it_is_welchs_t_test():
    a, b = ([[0.1], [0.2], [0.6]], [[0.5], [0.55], [0.57], [0.6]])
    expected = stats.ttest_ind(np.ravel(a), np.ravel(b), equal_var=False)
    interval = tuple(expected.confidence_interval(0.95))
    for starts in (1, 30):
        rows = [np.repeat(scores, starts, axis=1) for scores in (a, b)]
        assert paired_difference(*rows)[1:3] == pytest.approx(interval)


def test_the_same_difference_on_every_start_still_has_an_interval():
    solved = np.ones((3, 50))
    u = 1 - 50 / (50 + 1.959964**2)
    for a, b, expected in (
        (solved, solved, (0, -u, u)),
        (solved, 0 * solved, (1, 1 - 2 * u, 1)),
        (0 * solved, solved, (-1, -1, 2 * u - 1)),
    ):
        assert paired_difference(a, b)[:3] == pytest.approx(expected, abs=1e-6)


def test_methods_with_different_numbers_of_starts_are_refused():
    with pytest.raises(BadInput, match="same starts for both methods, got 2 and 3"):
        paired_difference(np.ones((1, 2)), np.ones((1, 3)))


def test_bad_scores_and_levels_are_refused():
    with pytest.raises(BadInput, match=r"b\[0, 1\] is nan"):
        paired_difference(np.ones((1, 2)), np.array([[1.0, np.nan]]))
    with pytest.raises(BadInput, match="level"):
        paired_difference(np.ones((1, 2)), np.ones((1, 2)), level=95)


def test_holm_matches_a_textbook_example():
    """p of .01, .04, .03 and .005: .005 x 4, .01 x 3, .03 x 2, and .04 after .06."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_decides_as_its_procedure_does():
    """A second route: tests the k-th smallest p at alpha / (m - k + 1)."""
    draw = np.random.default_rng(0)
    for _ in range(200):
        ps = draw.beta(0.3, 3, size=8)
        rejected = set()
        for rank, place in enumerate(np.argsort(ps)):
            if ps[place] > 0.05 / (8 - rank):
                break
            rejected.add(place)
        assert {k for k, p in enumerate(holm(ps)) if p <= 0.05} == rejected


def test_holm_agrees_with_statsmodels():
    """A second implementation."""
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    draw = np.random.default_rng(1)
    for size in (1, 3, 10):
        ps = draw.beta(0.3, 3, size=size)
        expected = multitest.multipletests(ps, method="holm")[1]
        np.testing.assert_allclose(holm(ps), expected)


def test_letters_match_an_example_worked_out_by_hand():
    """Piepho's insert and absorb: 0 differs from 2 and 3, and 1 from 3."""
    assert letters(4, [(0, 2), (0, 3), (1, 3)]) == ["a", "ab", "bc", "c"]
    assert letters(3, []) == ["a", "a", "a"]
    assert letters(3, [(0, 1), (0, 2), (1, 2)]) == ["a", "b", "c"]
    assert letters(3, [(0, 1)]) == ["a", "b", "ab"]
    assert letters(0, []) == []


def test_rows_share_a_letter_exactly_if_they_were_not_told_apart():
    draw = np.random.default_rng(0)
    for _ in range(100):
        pairs = list(itertools.combinations(range(7), 2))
        apart = [pair for pair in pairs if draw.random() < 0.4]
        named = letters(7, apart)
        for first, second in pairs:
            assert bool({*named[first]} & {*named[second]}) != (
                (first, second) in apart
            )
        assert all(named)


@pytest.mark.parametrize("shift", [0.0, 0.15, 0.4])
def test_an_interval_excludes_zero_exactly_where_the_pair_is_decided(shift):
    decided = 0
    for seed in range(40):
        for pair in all_pairs(five_rows(shift, seed)):
            low, high = pair.difference.low, pair.difference.high
            assert pair.decided == (not low <= 0 <= high)
            assert pair.holm >= pair.p
            decided += pair.decided
    assert (decided > 10) == (shift > 0)


def test_solving_all_starts_is_told_apart_from_solving_none():
    solved = np.ones((3, 50))
    [pair] = all_pairs([solved, 0 * solved])
    assert pair.decided
    assert pair.difference.low > 0
    [pair] = all_pairs([solved, solved])
    assert not pair.decided
    assert pair.p == 1


def test_a_row_with_one_training_is_refused():
    with pytest.raises(BadInput, match=r"rows\[1\] has one train seed"):
        all_pairs([np.ones((3, 5)), np.ones((1, 5))])


def test_a_detectable_difference_is_decided_as_often_as_it_says():
    """Simulates a t test with four degrees of freedom."""
    difference = detectable(Variance(0.01, 4), alpha=0.05, power=0.8)
    draw = np.random.default_rng(0)
    estimates = difference + 0.1 * draw.normal(size=100_000)
    errors = 0.1 * np.sqrt(draw.chisquare(4, size=100_000) / 4)
    share = np.mean(np.abs(estimates / errors) > stats.t.ppf(0.975, 4))
    assert share == pytest.approx(0.8, abs=0.01)
    assert np.isnan(detectable(Variance(0.0, 4), alpha=0.05))
