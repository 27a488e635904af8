"""The entropy of choices, with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.statistics.estimates import Estimate
from dp_bench.statistics.intervals import check_level

BLOCK = 1_000  # resamples drawn at a time, which bounds the memory


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

    Train seeds and starts are two samples, so the bootstrap resamples them
    independently: a resample draws S rows and E columns with replacement. Resamples lie
    about as far below the estimate as the estimate lies below the truth, so the
    interval moves up by twice that distance. In simulations of 50 episodes the 95 %
    interval contained the truth in nine of ten cases with 24 choices, and in nineteen
    of twenty with four.

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
    check_level(level)
    if resamples < 1:
        raise BadInput(f"resamples must be at least 1, got {resamples}")
    S, E = choices.shape
    names = np.unique(choices[np.isfinite(choices)])
    if not len(names):
        nan = float("nan")
        return Estimate(nan, nan, nan, level, S, E)
    chosen = np.stack([choices == name for name in names]).astype(float)  # (K, S, E)

    def entropies(count: int) -> np.ndarray:
        seeds = _resampled_shares(rng, S, count)
        starts = _resampled_shares(rng, E, count)
        counts = np.stack([((seeds @ cells) * starts).sum(axis=1) for cells in chosen])
        bits = _bits(counts)
        return bits[np.isfinite(bits)]  # a resample may lack any choice

    value = float(_bits(chosen.sum(axis=(1, 2))))
    low, high = float("nan"), float("nan")
    if chosen.sum() > 1:
        resampled = _draw_resamples(entropies, resamples)
        shift = 2 * (value - resampled.mean())
        ends = np.array(_percentile_interval(resampled, level)) + shift
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


def _resampled_shares(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    """Draws the share of each of `size` members in `count` resamples, `(count, size)`.

    A resample draws `size` members with replacement, so each row adds up to 1.
    """
    return rng.multinomial(size, np.full(size, 1 / size), size=count) / size


def _draw_resamples(draw: Callable[[int], np.ndarray], resamples: int) -> np.ndarray:
    """Calls `draw(count)` for blocks of resamples and joins the results."""
    sizes = (min(BLOCK, resamples - done) for done in range(0, resamples, BLOCK))
    return np.concatenate([draw(size) for size in sizes])


def _percentile_interval(resampled: np.ndarray, level: float) -> tuple[float, float]:
    """Cuts equal tails off the resampled values, and returns both ends."""
    tail = (1 - level) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)
