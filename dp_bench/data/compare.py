"""Two sets of demonstrations of a task side by side: do they look alike?

A task names what is compared (`Task.features`). Numbers have quantiles and the
Kolmogorov-Smirnov distance, the largest difference of their cumulative distributions;
choices have shares and half the sum of the differences of these. Both distances are 0
where the sets are alike and 1 where they have nothing in common.
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
    """One thing that can be measured of demonstrations.

    Attributes:
        title: What it is, with its unit.
        values: One for each step or each episode that has one, `(V,)`: numbers, or the
            number of a choice.
        choices: Names of the choices; none for numbers.
    """

    title: str
    values: np.ndarray
    choices: tuple[str, ...] = ()

    def summary(self) -> str:
        """Quantiles, or the share of each choice."""
        if not len(self.values):
            return "none"
        if self.choices:
            return ", ".join(f"{share:.2f}" for share in self.shares())
        return ", ".join(f"{q:.4g}" for q in np.quantile(self.values, QUANTILES))

    def shares(self) -> np.ndarray:
        """Share of each choice, `(C,)`."""
        counts = np.bincount(self.values.astype(np.int64), minlength=len(self.choices))
        shares: np.ndarray = counts / max(1, counts.sum())
        return shares


class Pair(NamedTuple):
    """One trait of both sets, and how far apart they are, in [0, 1]."""

    one: Feature
    other: Feature
    distance: float


@dataclass(frozen=True)
class Likeness:
    """How alike two sets are.

    Attributes:
        task: Name of the task.
        names: Of the sets: their sources.
        pairs: Feature by trait.
    """

    task: str
    names: tuple[str, str]
    pairs: tuple[Pair, ...]


def compare(task: Task, one: Demos, other: Demos) -> Likeness:
    """Compares two sets of demonstrations of a task.

    Raises:
        BadInput: When the task names nothing to compare, or there is but one set.
    """
    if one.digest == other.digest:
        raise BadInput(
            f"both are the same demonstrations, {one.source} of {task.name}: "
            "name others with --against"
        )
    names = one.source, other.source
    if names[0] == names[1]:
        names = names[0], f"{names[1]} ({other.digest[:8]})"
    pairs = tuple(
        Pair(a, b, distance(a, b))
        for a, b in zip(_features(task, one), _features(task, other), strict=True)
    )
    return Likeness(task.name, names, pairs)


def _features(task: Task, demos: Demos) -> Sequence[Feature]:
    of_task = references.load(task.features)(demos) if task.features else []
    return [Feature("length of an episode [steps]", demos.lengths), *of_task]


def distance(one: Feature, other: Feature) -> float:
    """How far apart two features are, in [0, 1]; NaN where one has no values."""
    from scipy.stats import ks_2samp

    if not (len(one.values) and len(other.values)):
        return float("nan")
    if one.choices:
        return float(np.abs(one.shares() - other.shares()).sum() / 2)
    return float(ks_2samp(one.values, other.values, method="asymp").statistic)
