"""Bootstrap and Wilson intervals, and the checks that all estimates share."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from dp_bench.errors import BadInput

BLOCK = 1_000  # resamples drawn at a time, which bounds the memory


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


def check_settings(level: float, resamples: int) -> None:
    """Refuses a confidence level or a number of resamples that cannot be used.

    Raises:
        BadInput: With the value and its limits.
    """
    if not 0 < level < 1:
        raise BadInput(f"level must lie between 0 and 1, got {level}")
    if resamples < 1:
        raise BadInput(f"resamples must be at least 1, got {resamples}")


def is_binary(scores: np.ndarray) -> bool:
    """Tells whether every score is 0 or 1."""
    return bool(np.isin(scores, (0, 1)).all())


def resampled_shares(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    """Draws the share of each of `size` members in `count` resamples, `(count, size)`.

    A resample draws `size` members with replacement, so each row adds up to 1.
    """
    return rng.multinomial(size, np.full(size, 1 / size), size=count) / size


def draw_resamples(draw: Callable[[int], np.ndarray], resamples: int) -> np.ndarray:
    """Calls `draw(count)` for blocks of resamples and joins the results."""
    sizes = (min(BLOCK, resamples - done) for done in range(0, resamples, BLOCK))
    return np.concatenate([draw(size) for size in sizes])


def percentile_interval(resampled: np.ndarray, level: float) -> tuple[float, float]:
    """Cuts equal tails off the resampled values, and returns both ends."""
    tail = (1 - level) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)


def wilson_interval(p: float, n: float, level: float) -> tuple[float, float]:
    """Computes the score interval of a share `p` of `n` trials (Wilson, 1927)."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    low = 0.0 if p == 0 else float(centre - half)
    high = 1.0 if p == 1 else float(centre + half)
    return low, high
