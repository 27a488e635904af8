"""Which columns a table shows, and how their cells look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from dp_bench.reports.published import SELECTIONS
from dp_bench.reports.table import (
    CIRCUMSTANCES,
    Row,
    Table,
    differing,
    grouped,
)
from dp_bench.reports.trained import marks
from dp_bench.reports.wording import (
    NOTHING,
    TIMES,
    count,
    decimals,
    interval,
    seeds_by_starts,
    sizes_of,
)
from dp_bench.statistics.estimates import Estimate
from dp_bench.util.progress import duration

# Ranks of columns: a narrow terminal drops the highest first.
DIFFERENCE = 1
SIZES = 2
METRICS = 4  # and up, in the order of the task
PUBLISHED = 90
LATENCY = 100
TIME = 101
PARAMETERS = 102


class Cell(NamedTuple):
    """One cell as text.

    Attributes:
        value: The number or word.
        interval: The interval of the number; "" where it has none.
        number: By which a reader may sort rows; None for words and for no value.
    """

    value: str
    interval: str = ""
    number: float | None = None


class ShownColumn(NamedTuple):
    """One column as it is shown.

    Attributes:
        heading: Over the column; on two lines where the format has room for that.
        cells: One for each row.
        rank: A narrow terminal drops all columns of the highest rank first, and never
            those of rank 0.
        text: Whether it holds words rather than numbers.
    """

    heading: str
    cells: list[Cell]
    rank: int = 0
    text: bool = False


class Shown(NamedTuple):
    """A table as it is shown.

    Attributes:
        columns: In their order.
        constant: The line above the table, with what all rows share.
    """

    columns: list[ShownColumn]
    constant: str


def shown(table: Table) -> Shown:
    """Chooses the columns of a table and writes their cells.

    A column that would say the same in every row goes into the line above the table.
    """
    rows = table.rows
    differ, constant = circumstances(table)
    columns = [_methods(rows), *(_circumstance(rows, name) for name in differ)]
    metrics = [("score", "score"), ("success", "success")]
    metrics += [(column.key, column.title) for column in table.columns]
    for place, (key, title) in enumerate(metrics):
        rank = METRICS + place - 2 if place > 1 else 0
        columns.append(_metric(rows, key, title, rank))
        columns += _published(rows, key, "" if key == "score" else f"{title} ")
    if any(row.best for row in rows):
        columns += [_letters(rows), _difference(rows)]
    if len(set(sizes_of(rows))) > 1:
        columns.append(_sizes(rows))
    else:
        constant += f", {seeds_by_starts(sizes_of(rows))}"
        if rows[0].num_seeds == 1:
            constant += ", intervals of this training"
    return Shown([*columns, *_costs(rows)], constant)


def circumstances(table: Table) -> tuple[list[str], str]:
    """Tells circumstances that differ between rows from those that do not.

    Settings count as the same where no method has two for one kind of observation: a
    hash then says no more than the method's name and the observation.

    Returns:
        The names of those that differ, and a line with the others.
    """
    rows = table.rows
    differ = differing(rows)
    constant = [
        f"{heading} {_circumstance_text(rows[0], name)}"
        for name, heading in CIRCUMSTANCES.items()
        if name not in differ and name != "settings"
    ]
    kinds = grouped(rows, ["method", "obs_kind"])
    if not any(differing(members, ["settings"]) for members in kinds):
        differ = [name for name in differ if name != "settings"]
    return differ, ", ".join(constant)


def _methods(rows: Iterable[Row]) -> ShownColumn:
    cells = [Cell(row.title + marks(row)) for row in rows]
    return ShownColumn("method", cells, text=True)


def _circumstance(rows: Iterable[Row], name: str) -> ShownColumn:
    updates = name == "step"
    cells = [
        Cell(_circumstance_text(row, name), number=row.step if updates else None)
        for row in rows
    ]
    return ShownColumn(CIRCUMSTANCES[name], cells, text=not updates)


def _circumstance_text(row: Row, name: str) -> str:
    return count(row.step) if name == "step" else str(getattr(row, name))


def _metric(rows: Iterable[Row], key: str, title: str, rank: int) -> ShownColumn:
    cells = [
        Cell(
            decimals(row.estimates[key].value) + marks(row),
            interval(row.estimates[key]),
            _known(row.estimates[key].value),
        )
        for row in rows
    ]
    return ShownColumn(title, cells, rank)


def _known(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


def _published(rows: Sequence[Row], key: str, ours: str) -> list[ShownColumn]:
    kinds = [kind for kind in SELECTIONS if (key, kind) in rows[0].published]
    if not kinds:
        return []
    cells = []
    for row in rows:
        values = [row.published[key, kind] for kind in kinds]
        known = not np.isnan(values).all()
        text = " / ".join(map(decimals, values)) if known else NOTHING
        cells.append(Cell(text, number=_known(values[0])))
    return [ShownColumn(f"{ours}published\n{' / '.join(kinds)}", cells, PUBLISHED)]


def _difference(rows: Iterable[Row]) -> ShownColumn:
    def cell(difference: Estimate | None) -> Cell:
        if difference is None:
            return Cell(NOTHING)
        value = difference.value
        return Cell(decimals(value, "+"), interval(difference), _known(value))

    cells = [
        Cell("best", number=0) if row.best else cell(row.difference) for row in rows
    ]
    return ShownColumn("difference", cells, DIFFERENCE)


def _letters(rows: Iterable[Row]) -> ShownColumn:
    cells = [Cell(row.letters or NOTHING) for row in rows]
    return ShownColumn("letter", cells, DIFFERENCE)


def _sizes(rows: Iterable[Row]) -> ShownColumn:
    cells = [
        Cell(
            f"{row.num_seeds} {TIMES} {row.num_starts}",
            "of this training" if row.num_seeds == 1 else "",
            row.num_seeds * row.num_starts,
        )
        for row in rows
    ]
    return ShownColumn(f"seeds\n{TIMES} starts", cells, SIZES)


def _costs(rows: Sequence[Row]) -> list[ShownColumn]:
    parameters = [Cell(count(r.parameters), number=r.parameters) for r in rows]
    times = [Cell(duration(r.train_seconds), number=r.train_seconds) for r in rows]
    latencies = [
        Cell(f"{1000 * r.decision_latency:.3g} ms", number=r.decision_latency)
        for r in rows
    ]
    return [
        ShownColumn("parameters", parameters, PARAMETERS),
        ShownColumn("training", times, TIME),
        ShownColumn("decision", latencies, LATENCY),
    ]
