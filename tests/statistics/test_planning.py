"""Predicted power, by another library and by simulation."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dp_bench.evaluation import records
from dp_bench.reports.summary import scores_by_seed_and_start
from dp_bench.statistics.comparisons import all_pairs
from dp_bench.statistics.planning import Spread, Study, power, study
from dp_bench.statistics.variance import Variance, variance_of_difference

RESULTS = Path(__file__).parents[2] / "results"
PAIRS = [  # of the records of PushT
    ("dp_c", "lstm_gmm"),
    ("lstm_gmm", "ibc"),
    ("bet", "lstm_gmm"),
]
SIZES = [(3, 50), (5, 50), (10, 50), (3, 100)]
TRUST = Study(0.1, (Spread(0.006, 0.12), Spread(0.006, 0.12)), 0.02)


def scores_of(method, variant="default"):
    """The scores of a method in the committed records of PushT, `(S, E)`."""
    frame = records.to_frame(records.read(RESULTS / "pusht" / "records"))
    mine = frame[
        (frame["method"] == method)
        & (frame["variant"] == variant)
        & (frame["starts"] == "test")
    ]
    return scores_by_seed_and_start(mine, "score").to_numpy()


def simulated(plan, num_seeds, num_starts, *, runs, seed=0):
    """The share of simulated comparisons that the test of the tables decides."""
    rng = np.random.default_rng(seed)
    S, E = num_seeds, num_starts
    decided = 0
    for _ in range(runs):
        starts = rng.normal(0, np.sqrt(plan.starts), (1, E))
        a, b = (
            rng.normal(0, np.sqrt(spread.trainings), (S, 1))
            + rng.normal(0, np.sqrt(spread.rest), (S, E))
            for spread in plan.methods[:2]
        )
        (pair,) = all_pairs([a + starts + plan.difference, b])
        decided += pair.decided
    return decided / runs


def test_power_agrees_with_the_distribution_of_scipy():
    variance = Variance(0.04, 7.3)
    critical = stats.t.ppf(0.975, 7.3)
    t = stats.nct(7.3, 0.5 / 0.2)
    expected = t.sf(critical) + t.cdf(-critical)
    assert power(0.5, variance) == pytest.approx(expected)
    assert power(-0.5, variance) == power(0.5, variance)
    assert power(0.0, variance) == pytest.approx(0.05)


def test_the_present_size_has_the_present_variance():
    """Parts of variance that are estimated from a table give its variance back."""
    rng = np.random.default_rng(3)
    a, b = (
        rng.normal(0, 0.3, (3, 1))
        + rng.normal(0, 0.2, 20)
        + rng.normal(0, 0.1, (3, 20))
        for _ in range(2)
    )
    predicted = study(a, b).variance(3, 20)
    own = variance_of_difference(a, b)
    assert predicted.value == pytest.approx(own.value)
    assert all_pairs([a, b])[0].detectable == pytest.approx(
        study(a, b).detectable(3, 20)
    )


def test_variance_by_hand():
    plan = Study(0.1, (Spread(0.01, 0.2), Spread(0.03, 0.1)), 0.06)
    # vs / S + vd / E + ve / (S E)
    by_hand = 0.04 / 4 + 0.06 / 50 + 0.3 / (4 * 50)
    assert plan.variance(4, 50).value == pytest.approx(by_hand)


def test_numbers_needed_are_the_smallest_that_suffice():
    seeds = TRUST.seeds_needed(50)
    assert TRUST.power(seeds, 50) >= 0.8 > TRUST.power(seeds - 1, 50)
    starts = TRUST.starts_needed(12, 1000)
    assert TRUST.power(12, starts) >= 0.8 > TRUST.power(12, starts - 1)


def test_no_number_of_starts_replaces_trainings():
    assert TRUST.starts_needed(3, 1000) is None
    assert Study(0.0, TRUST.methods, 0.02).seeds_needed(50) is None


def test_equal_scores_need_no_more_than_two_of_each():
    a = np.full((3, 5), 0.5)
    assert study(a, a - 0.1).power(2, 2) == 1.0
    assert study(a, a).power(2, 2) == 0.0


@pytest.mark.parametrize("df", [2, 5.5, 18, 300])
def test_power_rises_with_the_difference_up_to_1(df):
    powers = [power(d, Variance(1.0, df)) for d in np.geomspace(0.01, 1e6, 200)]
    assert np.isfinite(powers).all()
    assert np.diff(powers).min() > -1e-9
    assert powers[-1] == 1.0


@pytest.mark.parametrize(("num_seeds", "num_starts"), [(3, 50), (10, 50)])
def test_simulated_comparisons_are_decided_as_often_as_predicted(num_seeds, num_starts):
    share = simulated(TRUST, num_seeds, num_starts, runs=600)
    assert TRUST.power(num_seeds, num_starts) == pytest.approx(share, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("a", "b"), PAIRS)
@pytest.mark.parametrize(("num_seeds", "num_starts"), SIZES)
def test_power_of_the_present_records(a, b, num_seeds, num_starts):
    plan = study(scores_of(a), scores_of(b))
    share = simulated(plan, num_seeds, num_starts, runs=4000)
    predicted = plan.power(num_seeds, num_starts)
    print(f"{a} {b} {num_seeds} x {num_starts}: {predicted:.3f}, simulated {share:.3f}")
    assert predicted == pytest.approx(share, abs=0.05)
