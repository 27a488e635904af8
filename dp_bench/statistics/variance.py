"""How far a mean over train seeds and starts lies from its truth.

Each of S trainings plays the same E starts. A score is then a sum of four parts: the
mean, an effect of its training, an effect of its start, and a remainder. A two-way
table of mean squares tells the three variances apart (Searle, Casella & McCulloch,
1992, Variance Components, chapter 4)::

    MSr = E   sum_s (row mean - mean)^2     / (S - 1)            trainings
    MSc = S   sum_e (column mean - mean)^2  / (E - 1)            starts
    MSe = sum_se remainder^2                / ((S - 1) (E - 1))  remainder

    V = max(MSr + MSc - MSe, MSr, MSc) / (S E)                   of the mean

MSr + MSc - MSe has the right expectation. The maximum keeps a negative estimate of one
part from hiding another. Degrees of freedom of sums are Satterthwaite's (1946).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

PRIOR_DF = 2.0  # d0: the rows of a table together count as so many more trainings


class MeanSquare(NamedTuple):
    """A mean square, or a sum of some.

    Attributes:
        value: The mean square.
        df: Its degrees of freedom.
    """

    value: float
    df: float


class MeanSquares(NamedTuple):
    """The mean squares of one table of scores, `(S, E)`, S and E at least 2.

    Attributes:
        seeds: MSr, between trainings.
        starts: MSc, between starts.
        rest: MSe, the remainder.
        num_seeds: S, number of train seeds; for a difference, the harmonic mean of both
            methods' numbers.
        num_starts: E, number of starts.
    """

    seeds: MeanSquare
    starts: MeanSquare
    rest: MeanSquare
    num_seeds: float
    num_starts: int


class Variance(NamedTuple):
    """The variance of a mean.

    Attributes:
        value: The variance; NaN when it cannot be estimated.
        df: Degrees of freedom of the estimate.
    """

    value: float
    df: float


class Pool(NamedTuple):
    """What the rows of a table tell about each other.

    Attributes:
        ratio: F, the sum of MSr over the sum of MSe of all rows.
        df: Degrees of freedom of all MSr together.
    """

    ratio: float
    df: float


def mean_squares(scores: np.ndarray) -> MeanSquares:
    """Computes the mean squares of a matrix, `(S, E)`, with S and E at least 2."""
    S, E = scores.shape
    mean = scores.mean()
    rows = scores.mean(axis=1, keepdims=True) - mean  # (S, 1)
    columns = scores.mean(axis=0, keepdims=True) - mean  # (1, E)
    remainder = scores - mean - rows - columns  # (S, E)
    rest_df = (S - 1) * (E - 1)
    return MeanSquares(
        MeanSquare(float(np.sum(rows**2)) * E / (S - 1), S - 1),
        MeanSquare(float(np.sum(columns**2)) * S / (E - 1), E - 1),
        MeanSquare(float(np.sum(remainder**2)) / rest_df, rest_df),
        S,
        E,
    )


def pool(rows: Iterable[MeanSquares]) -> Pool | None:
    """Pools the rows of a table; None when they leave nothing to compare with.

    Args:
        rows: Of one table and one column.
    """
    rows = list(rows)
    rest = sum(row.rest.value for row in rows)
    if rest == 0:
        return None
    seeds = sum(row.seeds.value for row in rows)
    return Pool(seeds / rest, sum(row.seeds.df for row in rows))


def moderated(squares: MeanSquares, pooled: Pool) -> MeanSquares:
    """Draws MSr towards what the other rows of the table suggest.

    Three trainings estimate their own variance poorly. As in limma (Smyth, 2004), a
    prior with d0 = 2 degrees of freedom joins them, which expects the ratio MSr / MSe
    that all rows of the table share::

        MSr~ = (d0 F MSe + (S - 1) MSr) / (d0 + S - 1)

    It never has more degrees of freedom than all rows of the table together.
    """
    own, prior = squares.seeds, pooled.ratio * squares.rest.value
    df = PRIOR_DF + own.df
    value = (PRIOR_DF * prior + own.df * own.value) / df
    return squares._replace(seeds=MeanSquare(value, min(df, pooled.df)))


def variance_of_mean(squares: MeanSquares) -> Variance:
    """Estimates the variance of the mean, with Satterthwaite's degrees of freedom."""
    both = _sum_of([squares.seeds, squares.starts, squares.rest], [1.0, 1.0, -1.0])
    largest = max(both, squares.seeds, squares.starts, key=lambda part: part.value)
    if largest.value == 0:  # equal means of rows and columns; the rest still varies
        largest = squares.rest
    cells = squares.num_seeds * squares.num_starts
    return Variance(largest.value / cells, largest.df)


def variance_in_table(squares: MeanSquares, pooled: Pool | None) -> Variance:
    """Estimates the variance of the mean of one row among the rows of a table.

    Args:
        squares: Of the row.
        pooled: Of all rows; None for the row's own variance alone.
    """
    shared = None if pooled is None else moderated(squares, pooled)
    return larger_variance(squares, shared)


def larger_variance(own: MeanSquares, shared: MeanSquares | None) -> Variance:
    """Takes the larger of the own and the moderated variance of a mean.

    The degrees of freedom are those of the moderated one. A row whose trainings differ
    more than those of the other rows keeps its own variance.

    Args:
        own: Mean squares without moderation.
        shared: The same, moderated; None for the own variance alone.
    """
    variance = variance_of_mean(own)
    if shared is None:
        return variance
    other = variance_of_mean(shared)
    return Variance(max(variance.value, other.value), other.df)


def squares_of_difference(
    a: np.ndarray, b: np.ndarray, pooled: Pool | None = None
) -> MeanSquares:
    """Computes the mean squares of the difference of two methods.

    Starts are paired: MSc is that of the differences of the column means, so the
    difficulty of a start cancels. Trainings are not paired, because two methods share
    nothing under one train seed: MSr and MSe are sums of those of both methods. A
    method with one training adds nothing to MSr: the difference is then from this
    training, not from the method.

    Args:
        a: `(S1, E)`, scores of one method; E is at least 2.
        b: `(S2, E)`, scores of the other on the same starts.
        pooled: To moderate each method's MSr; None for the methods' own.
    """
    S = 2 / (1 / len(a) + 1 / len(b))  # with it, V has one form for unequal S1, S2
    columns = a.mean(axis=0) - b.mean(axis=0)  # (E,)
    starts = MeanSquare(float(columns.var(ddof=1)) * S, a.shape[1] - 1)
    methods = [mean_squares(scores) for scores in (a, b) if len(scores) > 1]
    return combined(methods, starts, S, pooled)


def combined(
    methods: Sequence[MeanSquares],
    starts: MeanSquare,
    num_seeds: float,
    pooled: Pool | None = None,
) -> MeanSquares:
    """Combines the mean squares of two methods into those of their difference.

    Args:
        methods: Of the methods with two trainings or more.
        starts: MSc of the differences.
        num_seeds: S, the harmonic mean of both methods' numbers of train seeds.
        pooled: To moderate each method's MSr; None for the methods' own.
    """
    if pooled is not None:
        methods = [moderated(squares, pooled) for squares in methods]
    weights = [num_seeds / squares.num_seeds for squares in methods]
    between = _sum_of([squares.seeds for squares in methods], weights)
    if pooled is not None:
        between = between._replace(df=min(between.df, pooled.df))
    rest = _sum_of([squares.rest for squares in methods], weights)
    return MeanSquares(between, starts, rest, num_seeds, int(starts.df) + 1)


def variance_of_difference(
    a: np.ndarray, b: np.ndarray, pooled: Pool | None = None
) -> Variance:
    """Estimates the variance of `a.mean() - b.mean()`; see `larger_variance`."""
    shared = None if pooled is None else squares_of_difference(a, b, pooled)
    return larger_variance(squares_of_difference(a, b), shared)


def _sum_of(parts: list[MeanSquare], weights: list[float]) -> MeanSquare:
    """Adds weighted mean squares; degrees of freedom after Satterthwaite (1946)."""
    terms = [part.value * weight for part, weight in zip(parts, weights, strict=True)]
    total = sum(terms)
    spread = sum(
        term**2 / part.df for term, part in zip(terms, parts, strict=True) if part.df
    )
    if spread == 0:
        return MeanSquare(total, sum(part.df for part in parts))
    return MeanSquare(total, total**2 / spread)
