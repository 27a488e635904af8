"""Mean squares and variances, against a table worked out by hand."""

import numpy as np
import pytest

from dp_bench.statistics.variance import (
    Pool,
    mean_squares,
    moderated,
    pool,
    squares_of_difference,
    variance_in_table,
    variance_of_difference,
    variance_of_mean,
)

# Mean 3; row means 2, 3, 4; column means 1, 3, 3, 5; the remainder of each cell is
# below it.
TABLE = np.array([[1.0, 1.0, 2.0, 4.0], [0.0, 4.0, 3.0, 5.0], [2.0, 4.0, 4.0, 6.0]])
REST = np.array([[1.0, -1.0, 0.0, 0.0], [-1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])


def test_every_mean_square_of_a_table_of_three_by_four():
    """MSr = 4 (1 + 0 + 1) / 2, MSc = 3 (4 + 0 + 0 + 4) / 3, MSe = 4 / 6."""
    squares = mean_squares(TABLE)
    assert squares.seeds == (4.0, 2)
    assert squares.starts == (8.0, 3)
    assert squares.rest == (pytest.approx(2 / 3), 6)
    rows, columns = TABLE.mean(axis=1), TABLE.mean(axis=0)
    np.testing.assert_allclose(TABLE - rows[:, None] - columns + 3, REST)


def test_the_variance_of_the_mean_worked_out_by_hand():
    """V = (4 + 8 - 2/3) / 12; df = (34/3)^2 / (16/2 + 64/3 + (4/9)/6)."""
    variance = variance_of_mean(mean_squares(TABLE))
    assert variance.value == pytest.approx(34 / 36)
    assert variance.df == pytest.approx((34 / 3) ** 2 / (8 + 64 / 3 + 4 / 54))


def test_a_remainder_above_one_effect_leaves_the_other():
    """MSr + MSc - MSe would be below MSc, which counts then, with its own df."""
    draw = np.random.default_rng(0).normal(size=(3, 30))
    level = draw - draw.mean(axis=1, keepdims=True) + np.linspace(-9, 9, 30)
    squares = mean_squares(level)
    assert squares.seeds.value < squares.rest.value
    variance = variance_of_mean(squares)
    assert variance == (pytest.approx(squares.starts.value / 90), 29)


def test_equal_means_of_rows_and_columns_do_not_give_certainty():
    checkers = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert variance_of_mean(mean_squares(checkers)) == (0.25, 1)


def test_the_variance_is_right_on_average():
    """Draws from the model with known variances of trainings, starts and rest."""
    draw, values = np.random.default_rng(0), []
    for _ in range(4000):
        rows = draw.normal(0, 2.0, size=(4, 1))
        columns = draw.normal(0, 1.0, size=(1, 6))
        rest = draw.normal(0, 0.5, size=(4, 6))
        values.append(variance_of_mean(mean_squares(rows + columns + rest)).value)
    truth = 4 / 4 + 1 / 6 + 0.25 / 24
    assert np.mean(values) == pytest.approx(truth, rel=0.04)


def test_a_moderated_mean_square_worked_out_by_hand():
    """F = 6 and MSe = 2/3 expect 4 as well; F = 3 expects 2: (2 x 2 + 2 x 4) / 4."""
    squares = mean_squares(TABLE)
    assert moderated(squares, Pool(6.0, 10.0)).seeds == (pytest.approx(4.0), 4)
    assert moderated(squares, Pool(3.0, 10.0)).seeds == (pytest.approx(3.0), 4)
    assert moderated(squares, Pool(3.0, 3.0)).seeds.df == 3  # not more than all rows


def test_rows_pool_their_mean_squares():
    """MSr of 4 and 16 over MSe of 2/3 and 8/3."""
    rows = [mean_squares(TABLE), mean_squares(2 * TABLE)]
    assert pool(rows) == (pytest.approx(6.0), 4)
    assert pool([mean_squares(np.ones((3, 4)))]) is None


def test_the_larger_variance_counts_with_the_moderated_degrees_of_freedom():
    squares = mean_squares(TABLE)
    own = variance_of_mean(squares)
    calm, wild = (
        variance_in_table(squares, Pool(ratio, 10.0)) for ratio in (4.0, 60.0)
    )
    assert calm.value == own.value
    assert calm.df > own.df
    assert wild.value > own.value
    assert variance_in_table(squares, None) == own


def test_the_squares_of_a_difference_worked_out_by_hand():
    """The other table has the same starts, so the columns differ by 0, 0, 0 and 4."""
    other = TABLE - np.array([0.0, 0.0, 0.0, 4.0])
    squares = squares_of_difference(TABLE, other)
    assert squares.seeds == (pytest.approx(8.0), 4)
    assert squares.starts == (pytest.approx(3 * 4), 3)  # variance of 0, 0, 0, 4
    assert squares.rest == (pytest.approx(4 / 3), 12)


def test_unequal_numbers_of_trainings_give_the_variance_of_the_difference():
    """Trainings alone: V = var_a / S_a + var_b / S_b."""
    a = np.repeat([[1.0], [2.0], [6.0]], 5, axis=1)
    b = np.repeat([[3.0], [4.0]], 5, axis=1)
    assert variance_of_difference(a, b).value == pytest.approx(7 / 3 + 0.5 / 2)


def test_one_training_adds_nothing_to_the_spread_of_trainings():
    a, b = np.repeat([[1.0], [2.0], [6.0]], 5, axis=1), np.ones((1, 5))
    assert variance_of_difference(a, b).value == pytest.approx(7 / 3)
