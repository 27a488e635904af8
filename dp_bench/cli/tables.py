"""Printing results on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dp_bench.evaluation.records import Record
    from dp_bench.reports.table import Table

WIDTH = 120  # columns of a table in a pipe or a file


def print_runs(folders: Sequence[Path]) -> Table:
    """Prints a table of the evaluated test starts of runs, and returns it."""
    from dp_bench.evaluation import records
    from dp_bench.runs.folder import RunFolder

    runs = [RunFolder(folder) for folder in folders]
    every = [record for run in runs for record in records.read(run.records)]
    source = runs[0].info().demos_source if runs else ""
    return print_records([r for r in every if r.starts == "test"], source)


def print_records(records: Sequence[Record], source: str) -> Table:
    """Prints a table of records, and returns it.

    Args:
        records: Evaluated episodes.
        source: Source of the demonstrations; published scores of it are shown, too, and
            the number of episodes of a small one.
    """
    from dp_bench.reports.published import published_demos_of, published_values
    from dp_bench.reports.summary import summary

    table = summary(
        records,
        published=published_values(Path("results")),
        published_demos=published_demos_of(source),
        steps="all",
        source=source,
    )
    print_table(table)
    return table


def print_table(table: Table) -> None:
    """Prints a table as wide as the terminal allows."""
    from rich.console import Console

    from dp_bench.reports.terminal import to_terminal

    console = Console()
    width = max(console.width, 80) if sys.stdout.isatty() else WIDTH
    Console(width=width).print(to_terminal(table, width=width))
