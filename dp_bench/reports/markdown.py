"""Markdown: the writer of every table, and the document of a table of results."""

from __future__ import annotations

from collections.abc import Sequence

from dp_bench.reports.columns import Cell, shown
from dp_bench.reports.escaping import for_markdown
from dp_bench.reports.table import Table


def markdown_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    align: str,
    *,
    padded: bool = True,
) -> list[str]:
    """Writes a Markdown table, one string a line.

    Args:
        headings: One for each column.
        rows: Cells, one for each column; the caller escapes them.
        align: For each column "l" (left) or "r" (right).
        padded: Whether columns have one width throughout, which makes the source easy
            to read, too.
    """
    columns = list(zip(headings, *rows, strict=True))
    widths = [max(map(len, column)) if padded else 0 for column in columns]
    rule = [
        ("-" * (width or 3) if side == "l" else "-" * (width - 1 if width else 3) + ":")
        for width, side in zip(widths, align, strict=True)
    ]
    lines = [
        "".join(f"| {cell} " if cell else "| " for cell in _filled(row, widths, align))
        for row in (headings, *rows)
    ]
    between = " " if padded else ""
    lines.insert(1, "".join(f"|{between}{dashes}{between}" for dashes in rule))
    return [f"{line}|" for line in lines]


def _filled(row: Sequence[str], widths: Sequence[int], align: str) -> list[str]:
    return [
        cell.ljust(width) if side == "l" else cell.rjust(width)
        for cell, width, side in zip(row, widths, align, strict=True)
    ]


def to_markdown(table: Table) -> str:
    """Writes a Markdown document: title, table, footer."""
    columns, constant = shown(table)
    headings = [for_markdown(column.heading.replace("\n", " ")) for column in columns]
    cells = [[_cell(cell) for cell in column.cells] for column in columns]
    align = "".join("l" if column.text else "r" for column in columns)
    head = [f"**{for_markdown(table.title)}**  ", for_markdown(constant)]
    lines = markdown_table(headings, list(zip(*cells, strict=True)), align)
    foot = [f"- {for_markdown(line)}" for line in table.footer]
    return "\n".join([*head, "", *lines, "", *foot, ""])


def _cell(cell: Cell) -> str:
    return for_markdown(f"{cell.value} {cell.interval}".rstrip())
