"""Estimates with confidence intervals, from scores by train seed and start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.statistics.intervals import (
    check_settings,
    draw_resamples,
    is_binary,
    percentile_interval,
    resampled_shares,
    score_matrix,
    wilson_interval,
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
        num_starts: E, number of starts.
    """

    value: float
    low: float
    high: float
    level: float
    num_seeds: int
    num_starts: int


def bootstrap(
    scores: np.ndarray,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Estimate:
    """Estimates the mean score over all possible trainings and starts.

    Train seeds and starts are two samples, so the bootstrap resamples them
    independently: a resample draws S rows and E columns with replacement and averages
    the cells where they cross. With one train seed it resamples the starts only; the
    interval then describes this one training and says nothing about the next.

    Few train seeds make the interval too narrow. In simulations where trainings
    differed half as much as starts, the 95 % interval from three seeds contained the
    truth in four of five cases.

    When all scores are 0 or 1, the interval is Wilson's (1927), because resampling
    zero failures yields zero failures and would claim certainty. Its number of trials
    is the number of independent trials whose mean has the variance of the bootstrap
    (Korn & Graubard, 1998); this is E for one train seed. When all scores are equal, it
    is the larger of S and E, as if one training had played each start: playing a start
    again need not add information.

    Args:
        scores: `(S, E)`, one row per train seed, one column per start.
        rng: Draws the resamples.
        level: Confidence level, in (0, 1).
        resamples: Number of resamples.

    Raises:
        BadInput: When `scores` is not a finite matrix, or when the level or the number
            of resamples is out of range.
    """
    scores = score_matrix("scores", scores)
    check_settings(level, resamples)
    S, E = scores.shape
    value = float(scores.mean())
    if is_binary(scores):
        low, high = wilson_interval(value, _independent_trials(scores), level)
    elif S == E == 1:
        low = high = float("nan")
    else:

        def means(count: int) -> np.ndarray:
            seeds = resampled_shares(rng, S, count)
            starts = resampled_shares(rng, E, count)
            return ((seeds @ scores) * starts).sum(axis=1)

        low, high = percentile_interval(draw_resamples(means, resamples), level)
    return Estimate(value, low, high, level, S, E)


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


def entropy(
    choices: np.ndarray,
    rng: np.random.Generator,
    *,
    options: int | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Estimate:
    """Estimates the entropy of the choices that a policy makes [bits].

    The entropy is `-sum p log2 p`, where `p` is the share of a choice among all
    episodes with a choice: 0 when every episode makes the same choice, 2 when four
    choices are equally frequent. A few episodes miss rare choices, so the estimate is
    biased downwards.

    Train seeds and starts are resampled as in `bootstrap`. Resamples lie about as far
    below the estimate as the estimate lies below the truth, so the interval moves up by
    twice that distance. In simulations of 50 episodes the 95 % interval contained the
    truth in nine of ten cases with 24 choices, and in nineteen of twenty with four.

    Args:
        choices: `(S, E)`, numbers that name a choice; NaN for an episode without one.
        rng: Draws the resamples.
        options: Number of possible choices; limits the interval. None when unknown.
        level: Confidence level, in (0, 1).
        resamples: Number of resamples.

    Returns:
        The estimate. All numbers are NaN when no episode has a choice; the ends are NaN
        when only one has.

    Raises:
        BadInput: When the level or the number of resamples is out of range.
    """
    choices = np.asarray(choices, dtype=np.float64)
    check_settings(level, resamples)
    S, E = choices.shape
    names = np.unique(choices[np.isfinite(choices)])
    if not len(names):
        nan = float("nan")
        return Estimate(nan, nan, nan, level, S, E)
    chosen = np.stack([choices == name for name in names]).astype(float)  # (K, S, E)

    def entropies(count: int) -> np.ndarray:
        seeds = resampled_shares(rng, S, count)
        starts = resampled_shares(rng, E, count)
        counts = np.stack([((seeds @ cells) * starts).sum(axis=1) for cells in chosen])
        bits = _bits(counts)
        return bits[np.isfinite(bits)]  # a resample may lack any choice

    value = float(_bits(chosen.sum(axis=(1, 2))))
    low, high = float("nan"), float("nan")
    if chosen.sum() > 1:
        resampled = draw_resamples(entropies, resamples)
        shift = 2 * (value - resampled.mean())
        ends = np.array(percentile_interval(resampled, level)) + shift
        largest = np.inf if options is None else max(float(np.log2(options)), value)
        low, high = map(float, np.clip(ends, 0.0, largest))
        low = min(low, value)
    return Estimate(value, low, high, level, S, E)


def _bits(counts: np.ndarray) -> np.ndarray:
    """Computes the entropy of counts `(K, ...)` along K; NaN where all are 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = counts / counts.sum(axis=0)
        terms = np.where(shares > 0, shares * np.log2(shares), shares)
    return np.asarray(-terms.sum(axis=0) + 0.0)


def _independent_trials(scores: np.ndarray) -> float:
    """Counts the independent trials whose mean has the variance of the bootstrap.

    The variance of the bootstrap has a closed form: with row and column effects `r`,
    `c` and remainder `e` about the mean, it is
    sum r^2 / S^2 + sum c^2 / E^2 + sum e^2 / (S E)^2.
    """
    S, E = scores.shape
    if np.ptp(scores) == 0:
        return max(S, E)
    mean = scores.mean()
    rows = scores.mean(axis=1, keepdims=True) - mean  # (S, 1)
    columns = scores.mean(axis=0, keepdims=True) - mean  # (1, E)
    remainder = scores - mean - rows - columns  # (S, E)
    variance = (
        np.sum(rows**2) / S**2
        + np.sum(columns**2) / E**2
        + np.sum(remainder**2) / (S * E) ** 2
    )
    return float(min(mean * (1 - mean) / variance, S * E))
