"""The terminal: a table of results that fits its width."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from dp_bench.reports.columns import Cell, ShownColumn, shown
from dp_bench.reports.escaping import for_terminal
from dp_bench.reports.table import Table
from dp_bench.util.text import one_line

WIDTH = 100  # [characters]
TEXT_WIDTH = 17  # where words wrap [characters]
GAP = 3  # between columns [characters]


def to_terminal(table: Table, width: int = WIDTH) -> RichTable:
    """Makes a `rich` table no wider than `width`, as far as dropping columns helps.

    Intervals stand under their values; the task's own columns have no room for them.
    Timing is dropped first, the score never.
    """
    columns, constant = shown(table)
    without_intervals = {column.title for column in table.columns}
    columns = [
        column._replace(cells=[Cell(cell.value) for cell in column.cells])
        if column.heading in without_intervals
        else column
        for column in columns
    ]
    columns, dropped = _fitted(columns, width)
    notes = [f"Not shown: {', '.join(dropped)}."] if dropped else []
    result = empty_table(f"{table.title}\n{constant}", [*table.footer, *notes])
    for column in columns:
        result.add_column(
            Text(for_terminal(column.heading)),
            justify="left" if column.text else "right",
            vertical="top",
            min_width=_width(column) - GAP,
            max_width=_width(column) - GAP,
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        result.add_row(
            *(
                Text.assemble(
                    one_line(cell.value),
                    (f"\n{cell.interval}" if cell.interval else "", "dim"),
                )
                for cell in row
            )
        )
    return result


def empty_table(title: str, notes: Sequence[str]) -> RichTable:
    """Makes a `rich` table in the style of all our tables, without columns."""
    return RichTable(
        title=Text(for_terminal(title)),
        caption=Text("\n".join(map(one_line, notes))),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        title_style="bold",
        caption_style="dim",
    )


def _fitted(
    columns: list[ShownColumn], width: int
) -> tuple[list[ShownColumn], list[str]]:
    """Drops columns until the others fit; also gives the headings of the dropped."""
    dropped: list[str] = []
    while sum(map(_width, columns)) - GAP > width:
        last = max(column.rank for column in columns)
        if not last:
            break
        headings = [column.heading for column in columns if column.rank == last]
        dropped += [heading.replace("\n", " ") for heading in headings]
        columns = [column for column in columns if column.rank < last]
    return columns, dropped


def _width(column: ShownColumn) -> int:
    """Counts the characters that a column takes, with the gap beside it."""
    heading = max(map(len, column.heading.split("\n")))
    widest = max(len(part) for cell in column.cells for part in cell[:2])
    return max(heading, min(widest, TEXT_WIDTH) if column.text else widest) + GAP
