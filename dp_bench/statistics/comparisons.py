"""Comparisons of two methods that were evaluated from the same starts."""

from __future__ import annotations

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.statistics.estimates import Estimate
from dp_bench.statistics.intervals import (
    check_settings,
    draw_resamples,
    is_binary,
    percentile_interval,
    resampled_shares,
    score_matrix,
    wilson_interval,
)


def paired_difference(
    a: np.ndarray,
    b: np.ndarray,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Estimate:
    """Estimates by how much the mean of `a` exceeds the mean of `b`.

    Both methods played the same starts. Each resample of the starts therefore serves
    both methods, and the difficulty of a start cancels. Trainings of two methods share
    nothing, even under the same seed, so each method has its own resample of them.

    When all scores are 0 or 1 and differ by the same amount everywhere, the bootstrap
    interval has no width. Wilson's interval for 0 of E starts replaces it: its upper
    end `u` bounds the share of starts on which the difference could have been another.
    The interval is 0 +- u, or from 1 - 2 u to 1, or from -1 to 2 u - 1.

    Args:
        a: `(S1, E)`, one row per train seed, one column per start.
        b: `(S2, E)`, the same starts in the same order.
        rng: Draws the resamples.
        level: Confidence level, in (0, 1).
        resamples: Number of resamples.

    Raises:
        BadInput: For the same reasons as `bootstrap`, or when the numbers of starts
            differ.
    """
    a, b = score_matrix("a", a), score_matrix("b", b)
    check_settings(level, resamples)
    (S1, E), S2 = a.shape, len(b)
    if b.shape[1] != E:
        raise BadInput(
            "a paired difference needs the same starts for both methods, "
            f"got {E} and {b.shape[1]} starts"
        )
    value = float(a.mean() - b.mean())
    differences = a[:, None] - b[None]  # (S1, S2, E)
    if is_binary(a) and is_binary(b) and np.ptp(differences) == 0:
        other = wilson_interval(0.0, E, level)[1] * (1 + abs(value))
        low, high = max(value - other, -1.0), min(value + other, 1.0)
    elif S1 == S2 == E == 1:
        low = high = float("nan")
    else:

        def mean_differences(count: int) -> np.ndarray:
            starts = resampled_shares(rng, E, count)
            seeds_of_a = resampled_shares(rng, S1, count)
            seeds_of_b = resampled_shares(rng, S2, count)
            return ((seeds_of_a @ a - seeds_of_b @ b) * starts).sum(axis=1)

        resampled = draw_resamples(mean_differences, resamples)
        low, high = percentile_interval(resampled, level)
    return Estimate(value, low, high, level, min(S1, S2), E)
