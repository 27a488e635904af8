"""Comparisons of methods that were evaluated from the same starts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.statistics.estimates import Estimate, pool_of
from dp_bench.statistics.intervals import (
    check_level,
    is_binary,
    score_matrix,
    t_interval,
    t_quantile,
    wilson_interval,
)
from dp_bench.statistics.variance import (
    Pool,
    Variance,
    variance_of_difference,
)

POWER = 0.8  # chance of deciding a pair that counts as able to show its difference


class Pair(NamedTuple):
    """The comparison of two rows of a table.

    Attributes:
        first: Place of one row.
        second: Place of the other.
        difference: Mean of the first minus mean of the second. Its interval excludes 0
            exactly where the pair is decided.
        p: Of the test against equal means, on its own.
        holm: The same after Holm's correction for all pairs.
        detectable: Smallest true difference that this comparison would decide with a
            chance of 80 %, in a table of so many pairs; NaN where unknown.
    """

    first: int
    second: int
    difference: Estimate
    p: float
    holm: float
    detectable: float

    @property
    def decided(self) -> bool:
        """Whether the methods can be told apart."""
        return self.holm <= 1 - self.difference.level


def paired_difference(
    a: np.ndarray, b: np.ndarray, pooled: Pool | None = None, *, level: float = 0.95
) -> Estimate:
    """Estimates by how much the mean of `a` exceeds the mean of `b`.

    Both methods played the same starts, so the difficulty of a start cancels. Trainings
    of two methods share nothing, even under one seed, so they are not paired. The
    variance is that of `variance_of_difference`; the interval is
    `difference +- t sqrt(V)`, within the limits of scores in [0, 1].

    When all scores are 0 or 1 and differ by the same amount everywhere, V is 0.
    Wilson's interval for 0 of E starts replaces it: its upper end `u` bounds the share
    of starts on which the difference could have been another. The interval is 0 +- u,
    or from 1 - 2 u to 1, or from -1 to 2 u - 1.

    With one training of a method, the interval is about this training, not about the
    method.

    Args:
        a: `(S1, E)`, one row per train seed, one column per start.
        b: `(S2, E)`, the same starts in the same order.
        pooled: As of `pool_of` for the rows of a table; None for two methods alone.
        level: Confidence level, in (0, 1).

    Raises:
        BadInput: For the same reasons as `estimate_mean`, or when the numbers of
            starts differ.
    """
    a, b = _paired(a, b)
    check_level(level)
    value = float(a.mean() - b.mean())
    low, high = _interval(a, b, _variance(a, b, pooled), level)
    return Estimate(value, low, high, level, min(len(a), len(b)), a.shape[1])


def all_pairs(rows: Sequence[np.ndarray], *, level: float = 0.95) -> list[Pair]:
    """Compares each row of a table with each other.

    A table of five methods has ten pairs, so one of them differs by chance more often
    than one time in twenty. Holm's (1979) correction holds the chance of any false
    decision in the table at 1 - level. The interval of a decided pair has the level at
    which Holm's procedure tested it; that of the others, the level at which it stopped.

    Args:
        rows: Scores of each row, `(S, E)`, two train seeds or more, on the same starts.
        level: Confidence level of the whole table, in (0, 1).

    Returns:
        All pairs in order: rows 0 and 1, 0 and 2, and so on.

    Raises:
        BadInput: For the same reasons as `paired_difference`, or when a row has one
            train seed.
    """
    check_level(level)
    rows = [score_matrix(f"rows[{k}]", row) for k, row in enumerate(rows)]
    for k, row in enumerate(rows):
        if len(row) < 2:
            raise BadInput(
                f"rows[{k}] has one train seed, and one training says nothing about "
                "its method; a comparison needs two or more"
            )
    pooled = pool_of(rows)
    places = list(itertools.combinations(range(len(rows)), 2))
    variances = [_variance(rows[i], rows[j], pooled) for i, j in places]
    ps = [
        _p_value(rows[i], rows[j], variance)
        for (i, j), variance in zip(places, variances, strict=True)
    ]
    adjusted = holm(ps)
    alphas = _alphas_of_holm(ps, 1 - level)
    pairs = []
    for (i, j), variance, p, corrected, alpha in zip(
        places, variances, ps, adjusted, alphas, strict=True
    ):
        a, b = rows[i], rows[j]
        low, high = _interval(a, b, variance, 1 - alpha)
        value = float(a.mean() - b.mean())
        estimate = Estimate(value, low, high, level, min(len(a), len(b)), a.shape[1])
        smallest = detectable(variance, (1 - level) / len(places))
        pairs.append(Pair(i, j, estimate, p, corrected, smallest))
    return pairs


def holm(ps: Sequence[float]) -> list[float]:
    """Corrects p-values for their number (Holm, 1979).

    The k-th smallest of m is multiplied by m - k + 1, and is at least as large as the
    one before it, and at most 1.
    """
    corrected, largest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(np.argsort(ps, kind="stable")):
        largest = max(largest, (len(ps) - rank) * ps[place])
        corrected[place] = min(largest, 1.0)
    return corrected


def letters(count: int, apart: Sequence[tuple[int, int]]) -> list[str]:
    """Gives rows letters: two rows share one exactly if they cannot be told apart.

    It inserts each decided pair into the columns of letters and absorbs columns that
    others contain (Piepho, 2004).

    Args:
        count: Number of rows, best first.
        apart: Pairs of rows that were told apart.

    Returns:
        The letters of each row, "ab" say.
    """
    columns = [frozenset(range(count))] if count else []
    for first, second in apart:
        split = []
        for column in columns:
            if first in column and second in column:
                split += [column - {first}, column - {second}]
            else:
                split.append(column)
        unique = list(dict.fromkeys(split))
        columns = [c for c in unique if not any(c < other for other in unique)]
    columns.sort(key=sorted)
    return [
        "".join(_letter(k) for k, column in enumerate(columns) if row in column)
        for row in range(count)
    ]


def detectable(variance: Variance, alpha: float, power: float = POWER) -> float:
    """Computes the smallest true difference that a test decides often enough.

    Args:
        variance: Of the difference.
        alpha: Chance of a false decision of this test.
        power: Chance of deciding this difference.

    Returns:
        The difference; NaN where the variance is unknown.
    """
    from scipy.special import nctdtrinc

    if not variance.value > 0:
        return float("nan")
    critical = t_quantile(1 - alpha, variance.df)
    return float(nctdtrinc(variance.df, 1 - power, critical) * np.sqrt(variance.value))


def _letter(place: int) -> str:
    """Names a column of letters: a to z, then a1, b1 and so on."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    again, letter = divmod(place, len(alphabet))
    return alphabet[letter] + (str(again) if again else "")


def _paired(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Checks the scores of two methods, `(S1, E)` and `(S2, E)`."""
    a, b = score_matrix("a", a), score_matrix("b", b)
    if a.shape[1] != b.shape[1]:
        raise BadInput(
            "a paired difference needs the same starts for both methods, "
            f"got {a.shape[1]} and {b.shape[1]} starts"
        )
    return a, b


def _variance(a: np.ndarray, b: np.ndarray, pooled: Pool | None) -> Variance:
    """Estimates the variance of the difference of the means."""
    if a.shape[1] > 1:
        return variance_of_difference(a, b, pooled)
    if min(len(a), len(b)) == 1:
        return Variance(float("nan"), 1.0)
    parts = [float(scores.var(ddof=1)) / len(scores) for scores in (a, b)]
    spread = sum(
        part**2 / (len(scores) - 1) for part, scores in zip(parts, (a, b), strict=True)
    )
    total = sum(parts)
    return Variance(total, total**2 / spread if spread else len(a) + len(b) - 2.0)


def _constant(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether successes differ by the same amount in all cells."""
    return is_binary(a) and is_binary(b) and np.ptp(a[:, None] - b[None]) == 0


def _interval(
    a: np.ndarray, b: np.ndarray, variance: Variance, level: float
) -> tuple[float, float]:
    """Computes the interval of the difference."""
    value, E = float(a.mean() - b.mean()), a.shape[1]
    if _constant(a, b):
        other = wilson_interval(0.0, E, level)[1] * (1 + abs(value))
        return max(value - other, -1.0), min(value + other, 1.0)
    low, high = t_interval(value, variance, level)
    if min(a.min(), b.min()) >= 0 and max(a.max(), b.max()) <= 1:
        low, high = max(low, -1.0), min(high, 1.0)
    return low, high


def _p_value(a: np.ndarray, b: np.ndarray, variance: Variance) -> float:
    """Computes the chance of so large a difference between equal methods.

    Returns:
        The smallest alpha at which the interval of level 1 - alpha excludes 0.
    """
    from scipy.special import ndtr, stdtr

    value = abs(float(a.mean() - b.mean()))
    if value == 0:
        return 1.0
    if _constant(a, b):  # 1 - 2 u = 0, where u = z^2 / (E + z^2)
        return float(2 * ndtr(-np.sqrt(a.shape[1])))
    if variance.value == 0:
        return 0.0
    return float(2 * stdtr(variance.df, -value / np.sqrt(variance.value)))


def _alphas_of_holm(ps: Sequence[float], alpha: float) -> list[float]:
    """Lists the level at which Holm's procedure tests each pair, or stops."""
    order = np.argsort(ps, kind="stable")
    alphas, stopped = [0.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        own = alpha / (len(ps) - rank)
        if not stopped and ps[place] > own:
            stopped = own
        alphas[place] = stopped or own
    return alphas
