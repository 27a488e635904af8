"""The statistics that a column of a task can name, and how notes explain them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from dp_bench.reports.table import LEVEL
from dp_bench.statistics.entropy import entropy
from dp_bench.statistics.estimates import Estimate, estimate_mean
from dp_bench.statistics.variance import Pool
from dp_bench.task import Column

SEED = 0  # of the bootstrap


class Statistic(NamedTuple):
    """How a column reduces the numbers of episodes to one estimate.

    Attributes:
        estimate: `(numbers (S, E), pooled, column) -> Estimate`; NaN for episodes
            without a number. `pooled` is what the rows of the table share.
        note: Explains the statistic under the table, in which `{title}` is the
            column's title; "" where it needs no explanation.
    """

    estimate: Callable[[np.ndarray, Pool | None, Column], Estimate]
    note: str = ""


def _mean(numbers: np.ndarray, pooled: Pool | None, column: Column) -> Estimate:
    if np.isnan(numbers).any():  # a mean of the other episodes would flatter or blame
        nan = float("nan")
        return Estimate(nan, nan, nan, LEVEL, *numbers.shape)
    return estimate_mean(numbers, pooled, level=LEVEL)


def _entropy(numbers: np.ndarray, pooled: Pool | None, column: Column) -> Estimate:
    rng = np.random.default_rng(SEED)
    return entropy(numbers, rng, options=column.options, level=LEVEL)


STATISTICS: Mapping[str, Statistic] = {
    "mean": Statistic(_mean),
    "entropy": Statistic(
        _entropy,
        "{title} [bits]: 0 if all episodes make the same choice, log2 n if they make n "
        "choices equally often. The interval corrects for rare choices that the "
        "episodes miss.",
    ),
}
