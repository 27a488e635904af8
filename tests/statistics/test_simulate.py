"""Intervals hold what they promise, in simulated tables."""

import numpy as np
import pytest
from simulate import (
    Cell,
    bootstrap_variance,
    coverage,
    false_differences,
    grid,
    intercept,
    one_training,
    tables,
    wild_cells,
)

SHARES_AND_SCORES = [*grid("share"), *grid("score")]


def named(cell):
    return f"{cell.kind}-{cell.seeds}x{cell.starts}-p{cell.mean}-sa{cell.spread}"


@pytest.mark.slow
@pytest.mark.parametrize("cell", grid("share"), ids=named)
def test_intervals_hold_the_truth_as_often_as_they_say(cell):
    assert coverage(cell).after >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize(
    "cell", [cell for cell in wild_cells() if cell[1:3] == (3, 50)], ids=named
)
def test_the_interval_of_one_wild_method_is_nearly_wide_enough(cell):
    assert coverage(cell, 5000).after >= 0.90


@pytest.mark.slow
@pytest.mark.parametrize("cell", SHARES_AND_SCORES, ids=named)
def test_equal_methods_are_seldom_told_apart(cell):
    assert false_differences(cell).any_pair_after <= 0.07


def test_the_interval_of_one_training_holds_the_mean_of_this_training():
    seen = one_training(Cell("share", 1, 50, 0.5, 1.0), 100)
    assert seen.of_training >= 0.93
    assert seen.of_method < 0.7


def test_the_simulation_is_seeded_and_has_the_mean_it_says():
    cell = Cell("share", 10, 100, 0.1, 0.5)
    first = [np.stack(rows) for rows in tables(cell, 40)]
    again = [np.stack(rows) for rows in tables(cell, 40)]
    np.testing.assert_array_equal(first, again)
    assert np.mean(first) == pytest.approx(0.1, abs=0.015)
    assert intercept(0.5, 2.0) == pytest.approx(0, abs=1e-9)


def test_the_old_variance_is_that_of_a_crossed_bootstrap():
    draw = np.random.default_rng(0)
    scores = draw.random((3, 12))
    means = []
    for _ in range(4000):
        rows, columns = draw.integers(0, 3, 3), draw.integers(0, 12, 12)
        means.append(scores[np.ix_(rows, columns)].mean())
    assert bootstrap_variance(scores) == pytest.approx(np.var(means), rel=0.08)


def test_a_few_tables_of_equal_methods_are_not_told_apart():
    cell = Cell("share", 3, 50, 0.5, 0.5)
    seen = false_differences(cell, 30)
    assert seen.any_pair_after <= 0.1
    assert coverage(cell, 30).after >= 0.9
