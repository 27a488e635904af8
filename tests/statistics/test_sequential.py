"""Evidence by hand, and how often the stopping rule is wrong."""

import itertools

import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.statistics.sequential import FEWEST, NEEDED, look


def test_evidence_of_two_trainings_by_hand():
    # |d_1| is its own root mean square; |d_2| = .1 is .1 / sqrt((.2^2 + .1^2) / 2)
    # = .632456 of that of both.
    first, second = np.tanh(2), np.tanh(2 * 0.632456)
    on_a, on_b = (1 + first) * (1 - second), (1 - first) * (1 + second)
    expected = [1.0, (on_a + on_b) / 2]
    assert look([0.2, -0.1], 10).evidence == pytest.approx(expected, abs=1e-6)


def test_no_bet_gains_on_average():
    """The mean over all signs is 1 after every training, whatever the sizes."""
    sizes = np.random.default_rng(0).uniform(0, 0.3, 5)  # too few for a decision
    every = [look(sizes * signs, 20) for signs in itertools.product((-1, 1), repeat=5)]
    means = np.mean([one.evidence for one in every], axis=0)
    np.testing.assert_allclose(means, np.ones(5))


def test_swapping_the_methods_swaps_the_verdict():
    d = np.array([0.2, 0.15, 0.3, 0.1, 0.25, 0.22, 0.19])
    ours, theirs = look(d, 10), look(-d, 10)
    assert (ours.verdict, theirs.verdict) == ("A", "B")
    assert ours.evidence == theirs.evidence
    assert ours.difference == -theirs.difference > 0


def test_the_unit_of_the_score_changes_nothing():
    d = np.array([0.2, -0.05, 0.3, 0.1])
    assert look(d / 7, 10).evidence == pytest.approx(look(d, 10).evidence)


def test_a_decision_is_not_taken_back():
    d = [0.3] * 7 + [-0.3] * 3
    assert look(d, 10) == look(d[:6], 10)
    assert look(d, 10).trainings == 6


@pytest.mark.parametrize("n", range(FEWEST))
def test_fewer_trainings_than_six_never_decide(n):
    assert look([1.0] * n, 10).verdict == "open"
    assert look([1.0] * n, 10).more == FEWEST - n


def test_equal_scores_are_no_evidence():
    assert look([0.0] * 4, 10).evidence == (1.0,) * 4
    assert look([0.0] * 4, 10).verdict == "open"
    assert look([0.0] * 5, 10).verdict == "undecidable"  # 2^5 / 2 < 20
    assert look([0.0] * 9, 10).trainings == 5


def test_undecidable_means_that_no_differences_could_decide():
    """Tries every sign with sizes that grow, so that each bet is as bold as can be."""
    rng = np.random.default_rng(1)
    given_up = 0
    for _ in range(200):
        start = rng.normal(0.02, 0.05, rng.integers(1, 7))
        if look(start, 8).verdict != "undecidable":
            continue
        given_up += 1
        left = 8 - len(start)
        for signs in itertools.product((-1, 1), repeat=left):
            sizes = np.minimum(np.abs(start).max() * 4.0 ** np.arange(1, left + 1), 1)
            whole = look([*start, *(sizes * signs)], 8)
            assert max(whole.evidence) < NEEDED
    assert given_up > 50


@pytest.mark.parametrize("wrong", [[1.5], [float("nan")], [[0.1]]])
def test_wrong_differences_are_refused(wrong):
    with pytest.raises(BadInput, match=r"differences must be .* in \[-1, 1\], got"):
        look(wrong, 10)


def test_too_few_trainings_to_decide_are_refused():
    with pytest.raises(BadInput, match=r"5 trainings cannot decide.* choose 6 or more"):
        look([], 5)
