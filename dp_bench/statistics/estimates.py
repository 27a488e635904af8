"""Estimates with intervals, from scores by train seed and start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from dp_bench.errors import BadInput

BLOCK = 1_000  # resamples drawn at a time, which bounds the memory


class Estimate(NamedTuple):
    """A mean, and how far off it may be.

    Attributes:
        value: Mean over train seeds and starts.
        low: Lower end of the interval; NaN where one number is all there is.
        high: Upper end.
        level: Share of such intervals that are meant to contain the truth.
        num_seeds: S, train seeds; of the method with fewer for a difference.
        num_starts: E, starts.
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
    """Estimates the mean score over all trainings and all starts there could be.

    Train seeds and starts are two samples, so both are resampled, independently of
    each other: a resample draws S rows and E columns with replacement and averages
    where they cross. With one train seed only starts are resampled: the interval is
    then about this one training, and says nothing of the next. Few seeds make it too
    narrow in their direction: where trainings differ half as much as starts, intervals
    at 0.95 from three seeds held the truth in four of five simulations.

    Scores that are all 0 or 1 get the interval of Wilson (1927) instead, as resampling
    0 failures gives 0 failures and would claim certainty. Its number of trials is the
    number of independent ones whose mean varies as much as the bootstrap's, as in
    Korn & Graubard (1998); that is E for one train seed. Where nothing varies it is
    the larger of S and E, as if each start were met by one training: repeating a start
    need not be news.

    Args:
        scores: `(S, E)`, one row per train seed, one column per start.
        rng: Where resamples come from.
        level: In (0, 1).
        resamples: How many.

    Raises:
        BadInput: When `scores` is not a finite matrix, or the level or the number of
            resamples is not possible.
    """
    scores = _matrix("scores", scores)
    _check(level, resamples)
    S, E = scores.shape
    value = float(scores.mean())
    if _binary(scores):
        low, high = _wilson(value, _independent_trials(scores), level)
    elif S == E == 1:
        low = high = float("nan")
    else:

        def means(count: int) -> np.ndarray:
            rows, columns = _weights(rng, S, count), _weights(rng, E, count)
            return ((rows @ scores) * columns).sum(axis=1)

        low, high = _percentiles(means, level, resamples)
    return Estimate(value, low, high, level, S, E)


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """Estimates the mean of several means that are independent of each other.

    Each end is as far from the mean as the ends of the parts allow, added in squares
    (Zou & Donner, 2008), so that intervals need not be symmetric.

    Args:
        estimates: T of them, of one level.

    Raises:
        BadInput: When there are none, or of several levels.
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


def paired_difference(
    a: np.ndarray,
    b: np.ndarray,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Estimate:
    """Estimates by how much the mean of `a` lies above that of `b`.

    Both methods met the same starts, so that each resample of starts is used for both
    and what makes a start hard cancels. Trainings have nothing in common, even where
    seeds are equal, and are resampled for each method by itself.

    Scores of 0 and 1 that differ by the same amount everywhere have a bootstrap of no
    width. Its place is taken by Wilson's bound `u` on the share of starts on which it
    could have been otherwise: 0 +- u, or from 1 - 2 u to 1, or from -1 to 2 u - 1.

    Args:
        a: `(S1, E)`, one row per train seed, one column per start.
        b: `(S2, E)`, the same starts in the same order.
        rng: Where resamples come from.
        level: In (0, 1).
        resamples: How many.

    Raises:
        BadInput: As `bootstrap`, or when the starts differ in number.
    """
    a, b = _matrix("a", a), _matrix("b", b)
    _check(level, resamples)
    (S1, E), S2 = a.shape, len(b)
    if b.shape[1] != E:
        raise BadInput(
            f"a pair must meet the same starts, got {E} and {b.shape[1]} of them"
        )
    value = float(a.mean() - b.mean())
    apart = a[:, None] - b[None]  # (S1, S2, E)
    if _binary(a) and _binary(b) and np.ptp(apart) == 0:
        otherwise = _wilson(0.0, E, level)[1] * (1 + abs(value))
        low, high = max(value - otherwise, -1.0), min(value + otherwise, 1.0)
    elif S1 == S2 == E == 1:
        low = high = float("nan")
    else:

        def means(count: int) -> np.ndarray:
            columns = _weights(rng, E, count)
            difference = _weights(rng, S1, count) @ a - _weights(rng, S2, count) @ b
            return (difference * columns).sum(axis=1)

        low, high = _percentiles(means, level, resamples)
    return Estimate(value, low, high, level, min(S1, S2), E)


def entropy(
    choices: np.ndarray,
    rng: np.random.Generator,
    *,
    options: int | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Estimate:
    """Estimates how evenly choices are spread: the entropy of their shares [bits].

    `-sum p log2 p` over the choices that occur, each with its share of all episodes in
    which something was chosen; 0 for one choice only, 2 for four equally often. Few
    episodes miss rare choices, so that the estimate is on the low side. Train seeds and
    starts are resampled as in `bootstrap`. Resamples lie about as much lower than the
    estimate as it lies lower than the truth, so the interval is moved up by twice as
    much. From 50 episodes of 24 choices intervals at 0.95 held the truth in nine of
    ten simulations, and of four choices in nineteen of twenty.

    Args:
        choices: `(S, E)`, numbers that name a choice; NaN where nothing was chosen.
        rng: Where resamples come from.
        options: How many choices there are, if that is known; no interval reaches
            beyond what they allow.
        level: In (0, 1).
        resamples: How many.

    Returns:
        All NaN where nothing was ever chosen; ends are NaN where it was only once.

    Raises:
        BadInput: When the level or the number of resamples is not possible.
    """
    choices = np.asarray(choices, dtype=np.float64)
    _check(level, resamples)
    S, E = choices.shape
    kinds = np.unique(choices[np.isfinite(choices)])
    if not len(kinds):
        nan = float("nan")
        return Estimate(nan, nan, nan, level, S, E)
    made = np.stack([choices == kind for kind in kinds]).astype(np.float64)  # (K, S, E)

    def bits(counts: np.ndarray) -> np.ndarray:
        """Of weights `(K, ...)`; NaN where there are none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = counts / counts.sum(axis=0)
            terms = np.where(shares > 0, shares * np.log2(shares), shares)
        return -terms.sum(axis=0) + 0.0

    def resampled(count: int) -> np.ndarray:
        rows, columns = _weights(rng, S, count), _weights(rng, E, count)
        found = bits(np.stack([((rows @ kind) * columns).sum(axis=1) for kind in made]))
        return found[np.isfinite(found)]

    value = float(bits(made.sum(axis=(1, 2))))
    low, high = float("nan"), float("nan")
    if made.sum() > 1:
        drawn = _drawn(resampled, resamples)
        ends = np.array(_ends(drawn, level)) + 2 * (value - drawn.mean())
        most = np.inf if options is None else max(float(np.log2(options)), value)
        low, high = map(float, np.clip(ends, 0.0, most))
        low = min(low, value)
    return Estimate(value, low, high, level, S, E)


def _weights(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    """Share of each of `size` members in each of `count` resamples, `(count, size)`."""
    return rng.multinomial(size, np.full(size, 1 / size), size=count) / size


def _percentiles(
    means: Callable[[int], np.ndarray], level: float, resamples: int
) -> tuple[float, float]:
    return _ends(_drawn(means, resamples), level)


def _drawn(draw: Callable[[int], np.ndarray], resamples: int) -> np.ndarray:
    sizes = (min(BLOCK, resamples - done) for done in range(0, resamples, BLOCK))
    return np.concatenate([draw(size) for size in sizes])


def _ends(drawn: np.ndarray, level: float) -> tuple[float, float]:
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def _independent_trials(scores: np.ndarray) -> float:
    """Independent trials whose mean varies as much as the bootstrap of `scores`.

    The variance of the bootstrap has a closed form: with row and column effects `r`,
    `c` and remainder `e` about the mean, it is
    sum r^2 / S^2 + sum c^2 / E^2 + sum e^2 / (S E)^2.
    """
    S, E = scores.shape
    mean = scores.mean()
    rows = scores.mean(axis=1, keepdims=True) - mean  # (S, 1)
    columns = scores.mean(axis=0, keepdims=True) - mean  # (1, E)
    rest = scores - mean - rows - columns  # (S, E)
    variance = (
        np.sum(rows**2) / S**2
        + np.sum(columns**2) / E**2
        + np.sum(rest**2) / (S * E) ** 2
    )
    if np.ptp(scores) == 0:
        return max(S, E)
    return float(min(mean * (1 - mean) / variance, S * E))


def _wilson(p: float, n: float, level: float) -> tuple[float, float]:
    """Score interval of a share `p` of `n` trials (Wilson, 1927)."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    low = 0.0 if p == 0 else float(centre - half)
    high = 1.0 if p == 1 else float(centre + half)
    return low, high


def _binary(scores: np.ndarray) -> bool:
    return bool(np.isin(scores, (0, 1)).all())


def _matrix(name: str, scores: np.ndarray) -> np.ndarray:
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


def _check(level: float, resamples: int) -> None:
    if not 0 < level < 1:
        raise BadInput(f"level must lie between 0 and 1, got {level}")
    if resamples < 1:
        raise BadInput(f"resamples must be at least 1, got {resamples}")
