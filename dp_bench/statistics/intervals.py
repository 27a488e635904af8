"""Intervals from a variance, and the checks that all estimates share."""

from __future__ import annotations

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.statistics.variance import Variance


def score_matrix(name: str, scores: np.ndarray) -> np.ndarray:
    """Converts scores to a float64 matrix, `(S, E)`.

    Args:
        name: What the error message calls the scores.
        scores: `(S, E)`, one row per train seed, one column per start.

    Raises:
        BadInput: When `scores` is not a matrix, is empty, or is not finite.
    """
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or matrix.size == 0:
        raise BadInput(
            f"{name} must be a matrix (train seeds, starts) with at least one of each, "
            f"got shape {matrix.shape}"
        )
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise BadInput(
            f"{name}[{row}, {column}] is {matrix[row, column]}: scores must be finite"
        )
    return matrix


def check_level(level: float) -> None:
    """Refuses a confidence level that cannot be used.

    Raises:
        BadInput: With the value and its limits.
    """
    if not 0 < level < 1:
        raise BadInput(f"level must lie between 0 and 1, got {level}")


def is_binary(scores: np.ndarray) -> bool:
    """Tells whether every score is 0 or 1."""
    return bool(np.isin(scores, (0, 1)).all())


def is_share(scores: np.ndarray) -> bool:
    """Tells whether every score lies in [0, 1]."""
    return bool(scores.min() >= 0 and scores.max() <= 1)


def t_quantile(level: float, df: float) -> float:
    """Computes the two-sided quantile of Student's t; the normal one for df = inf."""
    from scipy.special import ndtri, stdtrit

    upper = (1 + level) / 2
    return float(ndtri(upper) if np.isinf(df) else stdtrit(df, upper))


def t_interval(mean: float, variance: Variance, level: float) -> tuple[float, float]:
    """Computes the interval of a mean, `mean +- t sqrt(V)`."""
    if variance.value == 0:
        return mean, mean
    half = t_quantile(level, variance.df) * np.sqrt(variance.value)
    return float(mean - half), float(mean + half)


def wilson_interval(
    p: float, n: float, level: float, df: float = np.inf
) -> tuple[float, float]:
    """Computes the score interval of a share `p` of `n` trials (Wilson, 1927).

    Args:
        p: The share, in [0, 1].
        n: Number of independent trials.
        level: Confidence level, in (0, 1).
        df: Degrees of freedom of the estimate that `n` comes from; Student's t then
            replaces the normal quantile (Korn & Graubard, 1998). Infinite where `n` is
            a plain count.
    """
    t = t_quantile(level, df)
    centre = (p + t**2 / (2 * n)) / (1 + t**2 / n)
    half = t / (1 + t**2 / n) * np.sqrt(p * (1 - p) / n + (t / (2 * n)) ** 2)
    low = 0.0 if p == 0 else float(centre - half)
    high = 1.0 if p == 1 else float(centre + half)
    return low, high
