"""Comparing two sets of demonstrations of a task, feature by feature.

A task names its features (`Task.features`). A numeric feature has quantiles and the
Kolmogorov-Smirnov distance, the largest difference between the cumulative distributions
of both sets. A feature of choices has shares and half the sum of their differences.
Either distance is 0 for equal distributions and 1 for disjoint ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dp_bench import references
from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput
from dp_bench.task import Task

QUANTILES = (0.05, 0.5, 0.95)


class Feature(NamedTuple):
    """One measured property of demonstrations.

    Attributes:
        title: Its name, with the unit.
        values: Values `(V,)` of those steps or episodes that have one: numbers, or
            indices into `choices`.
        choices: Names of the choices; empty for a numeric feature.
    """

    title: str
    values: np.ndarray
    choices: tuple[str, ...] = ()

    def summary(self) -> str:
        """Writes three quantiles, or the share of each choice."""
        if not len(self.values):
            return "none"
        if self.choices:
            return ", ".join(f"{share:.2f}" for share in self.shares())
        return ", ".join(f"{q:.4g}" for q in np.quantile(self.values, QUANTILES))

    def counts(self) -> np.ndarray:
        """Counts how often each choice was made, `(C,)`."""
        counts: np.ndarray = np.bincount(
            self.values.astype(np.int64), minlength=len(self.choices)
        )
        return counts

    def shares(self) -> np.ndarray:
        """Returns the share of each choice, `(C,)`."""
        counts = self.counts()
        shares: np.ndarray = counts / max(1, counts.sum())
        return shares


class Pair(NamedTuple):
    """One feature of both sets, and the distance between them, in [0, 1]."""

    one: Feature
    other: Feature
    distance: float


@dataclass(frozen=True)
class DemosComparison:
    """Two sets of demonstrations side by side.

    Attributes:
        task: Name of the task.
        names: Names of the sets, which are their sources.
        pairs: One pair for each feature.
        episodes: Number of episodes of each set.
    """

    task: str
    names: tuple[str, str]
    pairs: tuple[Pair, ...]
    episodes: tuple[int, int]


def compare(task: Task, one: Demos, other: Demos) -> DemosComparison:
    """Compares two sets of demonstrations of a task.

    Raises:
        BadInput: When both sets are the same.
    """
    if one.digest == other.digest:
        raise BadInput(
            f"both are the same demonstrations, {one.source} of {task.name}: "
            f"name other demonstrations with --against"
        )
    names = one.source, other.source
    if names[0] == names[1]:
        names = names[0], f"{names[1]} ({other.digest[:8]})"
    pairs = tuple(
        Pair(a, b, distance(a, b))
        for a, b in zip(_features(task, one), _features(task, other), strict=True)
    )
    episodes = one.num_episodes, other.num_episodes
    return DemosComparison(task.name, names, pairs, episodes)


def _features(task: Task, demos: Demos) -> Sequence[Feature]:
    of_task = references.load(task.features)(demos) if task.features else []
    return [Feature("length of an episode [steps]", demos.lengths), *of_task]


def distance(one: Feature, other: Feature) -> float:
    """Returns the distance between two features, in [0, 1]; NaN if one is empty."""
    from scipy.stats import ks_2samp

    if not (len(one.values) and len(other.values)):
        return float("nan")
    if one.choices:
        return float(np.abs(one.shares() - other.shares()).sum() / 2)
    return float(ks_2samp(one.values, other.values, method="asymp").statistic)
