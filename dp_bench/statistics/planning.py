"""How many trainings and starts it takes to tell two methods apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dp_bench.statistics.comparisons import POWER, detectable
from dp_bench.statistics.intervals import score_matrix, t_quantile
from dp_bench.statistics.variance import (
    MeanSquare,
    MeanSquares,
    Variance,
    combined,
    larger_variance,
    mean_squares,
    pool,
)

ALPHA = 0.05  # chance of a false decision
MOST_SEEDS = 100  # train seeds that a plan considers


class Spread(NamedTuple):
    """How much the scores of one method vary.

    Attributes:
        trainings: Variance between trainings.
        rest: Variance of what neither training nor start explains.
    """

    trainings: float
    rest: float


class Study(NamedTuple):
    """What the records of two methods say about a further comparison.

    Attributes:
        difference: Mean of the first minus mean of the second.
        methods: Spreads of the first and the second method, then those of the other
            rows of their table.
        starts: Variance of the difference between starts.
        alpha: Chance of a false decision that the comparison allows itself.
    """

    difference: float
    methods: tuple[Spread, ...]
    starts: float
    alpha: float = ALPHA

    def variance(self, num_seeds: int, num_starts: int) -> Variance:
        """Predicts the variance that the comparison of two methods will find.

        V(S, E) = vs / S + vd / E + ve / (S E), where `vs` and `ve` are sums over both
        methods. The mean squares that are expected with S trainings and E starts go
        through the rule of the tables (`variance_of_difference`), so the prediction
        has its maximum, its moderation and its degrees of freedom.

        Args:
            num_seeds: S, train seeds of each method, at least 2.
            num_starts: E, at least 2.
        """
        S, E = num_seeds, num_starts
        rows = [
            MeanSquares(
                MeanSquare(spread.rest + E * spread.trainings, S - 1),
                MeanSquare(0.0, E - 1),  # of one method; a difference has its own
                MeanSquare(spread.rest, (S - 1) * (E - 1)),
                S,
                E,
            )
            for spread in self.methods
        ]
        rest = sum(row.rest.value for row in rows[:2])
        starts = MeanSquare(rest + S * self.starts, E - 1)
        pooled = pool(rows)
        shared = combined(rows[:2], starts, S, pooled) if pooled else None
        return larger_variance(combined(rows[:2], starts, S), shared)

    def power(self, num_seeds: int, num_starts: int) -> float:
        """Predicts the chance of deciding the pair, if the difference is the true one.

        The test statistic then has a noncentral t distribution.
        """
        return power(self.difference, self.variance(num_seeds, num_starts), self.alpha)

    def detectable(self, num_seeds: int, num_starts: int) -> float:
        """Predicts the smallest true difference that is decided with 80 % chance."""
        return detectable(self.variance(num_seeds, num_starts), self.alpha)

    def seeds_needed(self, num_starts: int, wanted: float = POWER) -> int | None:
        """Finds the smallest number of train seeds; None when 100 are too few."""
        return next(
            (
                S
                for S in range(2, MOST_SEEDS + 1)
                if self.power(S, num_starts) >= wanted
            ),
            None,
        )

    def starts_needed(
        self, num_seeds: int, most: int, wanted: float = POWER
    ) -> int | None:
        """Finds the smallest number of starts; None when `most` are too few."""
        return next(
            (E for E in range(2, most + 1) if self.power(num_seeds, E) >= wanted), None
        )


def study(
    a: np.ndarray,
    b: np.ndarray,
    others: Sequence[np.ndarray] = (),
    *,
    alpha: float = ALPHA,
) -> Study:
    """Estimates the parts of variance from scores.

    A part whose estimate is negative counts as 0.

    Args:
        a: `(S1, E)`, scores of one method, S1 and E at least 2.
        b: `(S2, E)`, of the other on the same starts.
        others: Scores of the other rows of their table.
        alpha: Chance of a false decision that the comparison allows itself.
    """
    a, b = score_matrix("a", a), score_matrix("b", b)
    spreads = [_spread(scores) for scores in (a, b, *others)]
    columns = a.mean(axis=0) - b.mean(axis=0)  # (E,)
    noise = spreads[0].rest / len(a) + spreads[1].rest / len(b)
    starts = max(0.0, float(columns.var(ddof=1)) - noise)
    return Study(float(a.mean() - b.mean()), tuple(spreads), starts, alpha)


def power(difference: float, variance: Variance, alpha: float = ALPHA) -> float:
    """Computes the chance that a two-sided test decides a true difference."""
    from scipy.stats import nct

    if not variance.value > 0:
        return 1.0 if difference else 0.0
    critical = t_quantile(1 - alpha, variance.df)
    centre = min(abs(difference) / np.sqrt(variance.value), 1e3)  # scipy's limit
    decided = nct.sf(critical, variance.df, centre)
    wrong_side = nct.cdf(-critical, variance.df, centre)
    return float(  # both are NaN where they are too close to 0 or 1
        np.nan_to_num(decided, nan=float(centre > critical)) + np.nan_to_num(wrong_side)
    )


def _spread(scores: np.ndarray) -> Spread:
    squares = mean_squares(scores)
    rest = squares.rest.value
    return Spread(max(0.0, (squares.seeds.value - rest) / scores.shape[1]), rest)
