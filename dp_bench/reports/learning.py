"""Curves over a training: scores by updates with intervals, and losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from dp_bench.errors import BadInput
from dp_bench.reports.summary import ROW, scores_by_seed_and_start
from dp_bench.reports.table import CIRCUMSTANCES, LEVEL
from dp_bench.reports.trainings import place_of_curve
from dp_bench.statistics.estimates import Estimate, estimate_mean
from dp_bench.training.log import LogLine

LONG = 200  # points; longer lines are smoothed
CURVE = [name for name in ROW if name != "step"]  # a curve for each combination


class ScoreCurve(NamedTuple):
    """A number of one row of a table, by updates.

    Attributes:
        method: Name of the method.
        apart: What sets the curve apart from the other curves of its method.
        steps: Updates made, increasing.
        estimates: One for each of these.
    """

    method: str
    apart: tuple[str, ...]
    steps: list[int]
    estimates: list[Estimate]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The number of train seeds and of starts at each step."""
        return [(e.num_seeds, e.num_starts) for e in self.estimates]


def score_curves(records: pd.DataFrame, column: str = "score") -> list[ScoreCurve]:
    """Estimates a number at each step, for each row of a table.

    Args:
        records: As of `records.to_frame`, of one task.
        column: Which number of the records.

    Returns:
        In the order of the methods, without those whose trainings share no start.

    Raises:
        BadInput: When it gets no records, or records of several tasks.
    """
    if records.empty or records["task"].nunique() > 1:
        names = ", ".join(sorted(set(records["task"]))) or "none"
        raise BadInput(f"a learning curve is of one task, these records are of {names}")
    curves = [curve for _, curve in records.groupby(CURVE, sort=False)]
    keys = ["task", "method", "obs_kind"]
    curves.sort(key=lambda curve: place_of_curve(*curve[keys].iloc[0]))
    estimated = [
        ScoreCurve(
            str(curve["method"].iloc[0]),
            _apart(curve, records),
            *estimates_by_step(curve, column),
        )
        for curve in curves
    ]
    return [curve for curve in estimated if curve.steps]


def estimates_by_step(
    records: pd.DataFrame, column: str = "score"
) -> tuple[list[int], list[Estimate]]:
    """Estimates the mean of one row at each step that has starts in common.

    Args:
        records: As of `records.to_frame`, of one row of a table.
        column: Which number of the records.

    Returns:
        The steps, and as many estimates.
    """
    steps, estimates = [], []
    for step in sorted(records["step"].unique()):
        part = records[records["step"] == step]
        cells = scores_by_seed_and_start(part, column).to_numpy(dtype=np.float64)
        if cells.size:
            steps.append(int(step))
            estimates.append(estimate_mean(cells, level=LEVEL))
    return steps, estimates


def series_of(log: Sequence[LogLine], key: str) -> np.ndarray:
    """Lists updates and numbers, `(2, N)`, from lines that hold a finite number."""
    points = [(line.update, getattr(line, key)) for line in log]
    series = np.array(points, dtype=np.float64).reshape(-1, 2).T  # None becomes NaN
    return series[:, np.isfinite(series).all(axis=0)]


def smoothed(series: np.ndarray) -> np.ndarray:
    """Replaces each point of a long series by the mean of its neighbours, `(2, N)`.

    A sixtieth of the series counts on either side, less at the ends.
    """
    number = series.shape[1]
    if number <= LONG:
        return series
    kernel = np.ones(2 * (number // 60) + 1)
    there = np.convolve(np.ones(number), kernel, mode="same")
    means = np.convolve(series[1], kernel, mode="same") / there
    return np.stack([series[0], means])


def _apart(curve: pd.DataFrame, records: pd.DataFrame) -> tuple[str, ...]:
    """Lists what sets a curve apart from the other curves of its method."""
    first = curve.iloc[0]
    rivals = records[records["method"] == first["method"]]
    # A hash says no more than the kind of observation, where that tells curves apart.
    kinds = rivals[rivals["obs_kind"] == first["obs_kind"]]
    hashes = ("settings", "demos_digest", "frames_digest")
    return tuple(
        str(first[name])[: 12 if name in hashes else None]
        for name in dict.fromkeys((*CIRCUMSTANCES, *hashes))
        if name in CURVE and (kinds if name in hashes else rivals)[name].nunique() > 1
    )
