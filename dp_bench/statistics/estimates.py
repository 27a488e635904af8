"""Estimates with confidence intervals, from scores by train seed and start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.statistics.intervals import (
    check_level,
    is_binary,
    is_share,
    score_matrix,
    t_interval,
    wilson_interval,
)
from dp_bench.statistics.variance import (
    Pool,
    Variance,
    mean_squares,
    pool,
    variance_in_table,
)


class Estimate(NamedTuple):
    """A mean and its confidence interval.

    Attributes:
        value: Mean over train seeds and starts.
        low: Lower end of the interval; NaN when there is a single number only.
        high: Upper end of the interval.
        level: Confidence level: the share of such intervals that should contain the
            true mean.
        num_seeds: S, number of train seeds; for a difference, of the method with fewer.
            With one, the interval speaks of this training and not of the method.
        num_starts: E, number of starts.
    """

    value: float
    low: float
    high: float
    level: float
    num_seeds: int
    num_starts: int

    def negated(self) -> Estimate:
        """Turns the estimate of a - b into that of b - a."""
        return self._replace(value=-self.value, low=-self.high, high=-self.low)


def estimate_mean(
    scores: np.ndarray, pooled: Pool | None = None, *, level: float = 0.95
) -> Estimate:
    """Estimates the mean score over all possible trainings and starts.

    The variance comes from the two-way table of train seeds and starts, and its
    degrees of freedom from Satterthwaite; see `dp_bench.statistics.variance`. Among
    the rows of a table, `pooled` lets each learn from the others how much trainings
    differ. The larger of both variances counts.

    Scores in [0, 1] get Wilson's (1927) form of interval, for the number of
    independent trials whose mean has this variance, n = p (1 - p) / V, with the
    quantile of t (Korn & Graubard, 1998). It stays in [0, 1], and ten successes in ten
    episodes do not give certainty. Other numbers get `mean +- t sqrt(V)`.

    With one train seed the interval describes this one training, over starts only; it
    says nothing about the next. For successes it is Wilson's with n = E.

    It assumes that effects of trainings and of starts add up, that trainings are
    independent, and that starts are a random sample. `tests/statistics/simulate.py`
    measures how often it holds the truth; see the manual.

    Args:
        scores: `(S, E)`, one row per train seed, one column per start.
        pooled: As of `pool_of` for the rows of a table; None for one row alone.
        level: Confidence level, in (0, 1).

    Raises:
        BadInput: When `scores` is not a finite matrix, or when the level is out of
            range.
    """
    scores = score_matrix("scores", scores)
    check_level(level)
    S, E = scores.shape
    value = float(scores.mean())
    if S == E == 1 and not is_binary(scores):
        low = high = float("nan")
    elif not is_share(scores):
        low, high = t_interval(value, _variance(scores, pooled), level)
    elif is_binary(scores) and (min(S, E) == 1 or np.ptp(scores) == 0):
        low, high = wilson_interval(value, max(S, E), level)
    elif np.ptp(scores) == 0:
        low = high = value
    else:
        variance = _variance(scores, pooled)
        trials = value * (1 - value) / variance.value
        if is_binary(scores):
            trials = min(trials, S * E)
        low, high = wilson_interval(value, trials, level, variance.df)
    return Estimate(value, low, high, level, S, E)


def pool_of(tables: Iterable[np.ndarray]) -> Pool | None:
    """Pools the rows of a table for `estimate_mean`.

    Args:
        tables: The scores of each row, `(S, E)`; those with one train seed or one start
            are left out.

    Returns:
        None when fewer than two rows are left: they have nothing to learn from.
    """
    squares = [mean_squares(scores) for scores in tables if min(scores.shape) > 1]
    return pool(squares) if len(squares) > 1 else None


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """Estimates the mean of independent means, of several tasks say.

    The distance of each end from the mean is the root of the summed squares of the
    parts' distances, divided by T (Zou & Donner, 2008), so an interval may be
    asymmetric.

    Args:
        estimates: T estimates of one confidence level.

    Raises:
        BadInput: When there are no estimates, or when their levels differ.
    """
    levels = {estimate.level for estimate in estimates}
    if len(levels) != 1:
        raise BadInput(
            f"a mean needs estimates of one level, got {len(estimates)} of levels "
            f"{sorted(levels)}"
        )
    values, lows, highs = np.array([estimate[:3] for estimate in estimates]).T
    T = len(values)
    mean = float(values.mean())
    return Estimate(
        mean,
        float(mean - np.sqrt(((values - lows) ** 2).sum()) / T),
        float(mean + np.sqrt(((highs - values) ** 2).sum()) / T),
        levels.pop(),
        min(estimate.num_seeds for estimate in estimates),
        sum(estimate.num_starts for estimate in estimates),
    )


def _variance(scores: np.ndarray, pooled: Pool | None) -> Variance:
    """Estimates the variance of the mean of scores `(S, E)`."""
    if min(scores.shape) > 1:
        return variance_in_table(mean_squares(scores), pooled)
    n = scores.size
    return Variance(float(scores.var(ddof=1)) / n, n - 1)
