"""The lines under a table: what was measured, and how to read the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from dp_bench.reports.column_statistics import STATISTICS
from dp_bench.reports.table import LEVEL, Row, distinct
from dp_bench.reports.trained import described, is_mixed, mixture
from dp_bench.reports.wording import DAGGER, DOUBLE_DAGGER, label, ranges
from dp_bench.task import Column


def footnotes(
    rows: Sequence[Row],
    columns: Sequence[Column],
    records: pd.DataFrame,
    sources: Sequence[str],
) -> list[str]:
    """Writes all lines under a table.

    Args:
        rows: Of the table.
        columns: Of the task.
        records: Of these rows, as of `records.to_frame`.
        sources: Of published values.
    """
    return [
        *_conditions(rows, records),
        *_unfinished(rows),
        *_not_comparable(rows),
        *_mixed(rows),
        *_explanations(rows, columns, sources),
    ]


def _conditions(rows: Sequence[Row], records: pd.DataFrame) -> list[str]:
    """Says which data, seeds, settings and versions the numbers come from."""
    digests = [f"{digest[:12]}" for digest in distinct(rows, "demos_digest")]
    splits = _by_seed([row.splits for row in rows])
    orders = _by_seed([row.orders for row in rows])
    train_seeds = dict.fromkeys(ranges(row.train_seeds) for row in rows)
    env_seeds = dict.fromkeys(ranges(row.env_seeds) for row in rows)
    kinds = " and ".join(distinct(rows, "starts"))
    return [
        f"Demonstrations: {', '.join(digests)}; split {splits}; order of training "
        f"rows {orders}.",
        f"Train seeds: {' or '.join(train_seeds)}; {kinds} starts: "
        f"{' or '.join(env_seeds)}.",
        f"Settings: {', '.join(distinct(rows, 'preset'))}.",
        described(rows),
        f"Evaluated: commit {_listed(records['commit'].str.slice(0, 12), ', ')}; "
        f"versions {_listed(records['versions'], '; or ')}.",
    ]


def _unfinished(rows: Sequence[Row]) -> list[str]:
    return [
        f"Unfinished: {label(row, rows)} lacks the starts {ranges(row.missing)} "
        f"under at least one train seed, so the row leaves them out."
        for row in rows
        if row.missing
    ]


def _not_comparable(rows: Sequence[Row]) -> list[str]:
    return [
        f"{DAGGER} {label(row, rows)} is not comparable: {'; '.join(row.differs)}."
        for row in rows
        if row.differs
    ]


def _mixed(rows: Sequence[Row]) -> list[str]:
    labels: dict[str, list[str]] = {}
    for row in filter(is_mixed, rows):
        labels.setdefault(mixture(row), []).append(label(row, rows))
    return [
        f"{DOUBLE_DAGGER} Trainings differ in device, precision or version of torch: "
        f"{words}. Rows: {'; '.join(members)}."
        for words, members in labels.items()
    ]


def _explanations(
    rows: Sequence[Row], columns: Sequence[Column], sources: Sequence[str]
) -> list[str]:
    """Says what intervals, statistics, differences and published values mean."""
    lines = [_intervals(rows)]
    for column in columns:
        note = STATISTICS[column.statistic].note
        if note:
            title = f"{column.title[:1].upper()}{column.title[1:]}"
            lines.append(note.format(title=title))
    if any(row.best for row in rows):
        lines.append(
            "Letter: rows that share a letter cannot be told apart. Difference: score "
            "minus the score of the best comparable row on the same starts; its "
            f"interval excludes 0 if the pair is decided. Rows with {DAGGER} or with "
            "one training take no part."
        )
        if len(distinct(rows, "obs_kind")) > 1:
            lines.append(
                "Rows with different observations are not compared with each other; "
                "each kind of observation has a best row and letters of its own."
            )
    if sources:
        lines.append(
            f"Published: {'; '.join(sources)}; measured in the authors' environment, "
            f"with their demonstrations. last10: mean of ten checkpoints; max: best "
            f"checkpoint, chosen on the episodes that it is reported on."
        )
    return lines


def _intervals(rows: Sequence[Row]) -> str:
    """Says what the intervals describe."""
    several = f"[low, high]: {LEVEL:.0%} interval for trainings and starts like these"
    one = f"[low, high]: {LEVEL:.0%} interval of this training, over starts like these"
    if all(row.num_seeds == 1 for row in rows):
        return f"{one}; another training may score outside it."
    if any(row.num_seeds == 1 for row in rows):
        return f"{several}; of this training only, if a row has one train seed."
    return f"{several} (two-way variance, Satterthwaite's t)."


def _by_seed(digests: Iterable[Mapping[int, str]]) -> str:
    """Writes digests with their train seeds, or one digest where all are equal."""
    seeds: dict[str, set[int]] = {}
    for digest_of in digests:
        for seed, digest in digest_of.items():
            seeds.setdefault(digest[:12] or "unknown", set()).add(seed)
    if len(seeds) == 1:
        return next(iter(seeds))
    return ", ".join(
        f"{digest} (train seed {ranges(sorted(members))})"
        for digest, members in sorted(seeds.items(), key=lambda item: min(item[1]))
    )


def _listed(values: pd.Series, between: str) -> str:
    return between.join(value or "unknown" for value in sorted(values.unique()))
