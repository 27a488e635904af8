"""A table of results in numbers, before anybody decides how it looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dp_bench.runs.trained import Trained
from dp_bench.statistics.estimates import Estimate
from dp_bench.task import Column

LEVEL = 0.95  # of every interval

# What sets rows of one method apart, with the headings of these columns.
CIRCUMSTANCES = {
    "variant": "variant",
    "obs_kind": "observation",
    "control": "control",
    "preset": "preset",
    "starts": "starts",
    "settings": "settings",
    "step": "updates",
}

# Rows that are equal in these are one family: they are compared with each other and
# with no others, so rows from images never change what is said of rows from states.
FAMILY = ("variant", "obs_kind")


@dataclass(frozen=True, eq=False)
class Row:
    """One method under one set of circumstances, over its train seeds and starts.

    Attributes:
        task: Name of the task.
        method: Name of the method.
        title: The method's label in tables.
        variant: Variant of the environment.
        obs_kind: Which observation the policies saw.
        control: What their actions meant.
        preset: Tier of their settings.
        starts: "test" or "validation".
        settings: Short hash of all settings.
        step: Updates made when the weights were taken.
        demos_digest: Content digest of the demonstrations.
        estimates: By key: "score", "success" and those of the task's columns; and
            "success_once" and "success_at_end" where all records know them.
        scores: `(S, E)`, one row per train seed, one column per start.
        train_seeds: S seeds.
        env_seeds: E seeds of the starts.
        missing: Seeds of starts that some train seed lacks; `scores` omits them.
        splits: Digest of the split into training and validation, by train seed.
        orders: Digest of the order of the training rows, by train seed.
        trained: How the weights were trained, by train seed, where it is known.
        frames_digest: Digest of images that lie apart from the demonstrations; "" for
            none.
        parameters: Number of trained parameters.
        train_seconds: Mean wall-clock time of a training [s].
        decision_latency: Median time of a decision [s].
        differs: What makes the row not comparable with the others.
        difference: Score minus the best row's score; None for the best row itself and
            for rows that take no part in comparisons.
        best: Whether the row has the best score of several comparable rows.
        letters: Two rows of a family share a letter if they cannot be told apart; ""
            for rows that take no part in comparisons.
        published: Published values by metric and selection; NaN if the row has
            none.
    """

    task: str
    method: str
    title: str
    variant: str
    obs_kind: str
    control: str
    preset: str
    starts: str
    settings: str
    step: int
    demos_digest: str
    estimates: Mapping[str, Estimate]
    scores: np.ndarray
    train_seeds: tuple[int, ...]
    env_seeds: tuple[int, ...]
    missing: tuple[int, ...]
    splits: Mapping[int, str]
    orders: Mapping[int, str]
    parameters: int
    train_seconds: float
    decision_latency: float
    trained: Mapping[int, Trained] = field(default_factory=dict)
    frames_digest: str = ""
    differs: tuple[str, ...] = ()
    difference: Estimate | None = None
    best: bool = False
    letters: str = ""
    published: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @property
    def score(self) -> Estimate:
        """The estimate that ranks rows."""
        return self.estimates["score"]

    @property
    def comparable(self) -> bool:
        """Whether it can be compared: it has no mark, and two trainings or more."""
        return not self.differs and self.num_seeds > 1

    @property
    def num_seeds(self) -> int:
        """Number of train seeds."""
        return len(self.train_seeds)

    @property
    def num_starts(self) -> int:
        """Number of starts that every train seed has met."""
        return len(self.env_seeds)


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of one task, with everything a reader must know along with them.

    Attributes:
        title: The task.
        rows: At least one, in the order of the table.
        columns: Further numbers of the task, keys of the rows' estimates.
        footer: Lines that belong under the table.
    """

    title: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    footer: tuple[str, ...]


def distinct(rows: Iterable[Row], name: str) -> list[str]:
    """Lists the values of an attribute as text, each once, in the order of the rows."""
    return list(dict.fromkeys(str(getattr(row, name)) for row in rows))


def differing(
    rows: Sequence[Row], names: Iterable[str] = tuple(CIRCUMSTANCES)
) -> list[str]:
    """Lists the circumstances in which rows differ."""
    return [name for name in names if len(distinct(rows, name)) > 1]


def telling_apart(
    row: Row, rows: Sequence[Row], names: Iterable[str] = tuple(CIRCUMSTANCES)
) -> list[str]:
    """Lists the circumstances that tell a row from the others of its method.

    It takes the first few that tell all of them apart: a hash of settings says little.

    Args:
        row: One of `rows`.
        rows: Of any methods.
        names: Circumstances to choose from.
    """
    siblings = of_method(rows, row.method)
    differ = differing(siblings, names)
    for number in range(len(differ)):
        keys = {tuple(getattr(r, n) for n in differ[:number]) for r in siblings}
        if len(keys) == len(siblings):
            return differ[:number]
    return differ


def grouped(rows: Iterable[Row], names: Sequence[str]) -> list[list[Row]]:
    """Groups rows with equal values of some attributes, in the order of the rows."""
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(getattr(row, n) for n in names), []).append(row)
    return list(groups.values())


def of_method(rows: Iterable[Row], method: str) -> list[Row]:
    """Lists the rows of one method."""
    return [row for row in rows if row.method == method]
