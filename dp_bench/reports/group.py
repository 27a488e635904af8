"""Tasks that are tabulated together: a row a method, a column a task, and the mean.

results/<group>/<task>/             of each task, see report.py
results/<group>/table.md .csv, success.png   remade from these
results/<group>/<source>/table.md ...   the same for other demonstrations than the first
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.reports.markdown import markdown_table
from dp_bench.reports.table import LEVEL, NOTHING, Table
from dp_bench.statistics.estimates import Estimate, mean_of
from dp_bench.util.files import atomic_write

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from dp_bench.task import Task

ROW = ["method", "title", "obs_kind", "control", "preset", "starts", "variant"]
HEADINGS = {"obs_kind": "observation", "variant": "variant"}


def named(name: str) -> list[Task]:
    """The tasks of a group, or the one task of this name.

    Raises:
        BadInput: When there is neither, with the names there are.
    """
    tasks = registry.tasks()
    members = [task for task in tasks.values() if task.group == name]
    if members and name not in tasks:
        return members
    try:
        return [registry.task(name)]
    except BadInput as error:
        groups = ", ".join(dict.fromkeys(t.group for t in tasks.values() if t.group))
        raise BadInput(f"{error}; and groups {groups}") from None


def combine(tables: Mapping[str, Table]) -> pd.DataFrame:
    """Puts tables side by side.

    Where a task has several rows that differ in their settings only, the first, which
    has the best score, stands for them.

    Args:
        tables: As of `tables.summary`, by name of the task.

    Returns:
        A row for each method under one set of circumstances; `<task>`, `<task>_low` and
        `<task>_high`, NaN where a task has no such row, and `mean` with its interval,
        NaN where any is missing. Best mean first.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for task, table in tables.items():
        for _, row in table.data.iterrows():
            key = tuple(row[name] for name in ROW)
            found = rows.setdefault(key, dict(zip(ROW, key, strict=True)))
            if task not in found:
                found[task] = _estimate(row)
    data = []
    for found in rows.values():
        cells = [found.get(task) for task in tables]
        known = [cell for cell in cells if cell is not None]
        whole_row = len(known) == len(tables)
        spread: dict[str, Any] = {name: found[name] for name in ROW}
        for task, cell in zip(tables, cells, strict=True):
            spread |= _spread(task, cell)
        spread |= _spread("mean", mean_of(known) if whole_row else None)
        spread["known"] = len(known)
        data.append((spread, sum(cell.value for cell in known) / len(known)))
    data.sort(key=lambda row: (-row[0]["known"], -row[1], row[0]["method"]))
    return pd.DataFrame([row for row, _ in data])


def make(folder: Path, tables: Mapping[str, Table]) -> RichTable:
    """Writes the table of a group and its figure, and returns it for the terminal.

    Args:
        folder: `results/<group>`.
        tables: As of `tables.summary`, by name of the task.
    """
    from dp_bench.reports import plots

    data = combine(tables)
    head, cells = _cells(data, list(tables))
    notes = _notes(data, tables)
    for name, text in (
        ("table.md", _markdown(folder.name, head, cells, notes)),
        ("table.csv", data.to_csv(index=False, float_format="%.10g")),
    ):
        with atomic_write(folder / name) as aside:
            aside.write_text(text)
    plots.save(plots.side_by_side(tables), folder / "success.png")
    short = [[name, *row[1:]] for name, row in zip(data["method"], cells, strict=True)]
    return _rich(folder.name, head, short, notes)


def _estimate(row: pd.Series) -> Estimate:
    return Estimate(
        row["score"],
        row["score_low"],
        row["score_high"],
        LEVEL,
        row["num_seeds"],
        row["num_starts"],
    )


def _spread(name: str, cell: Estimate | None) -> dict[str, float]:
    nan = float("nan")
    value, low, high = cell[:3] if cell else (nan, nan, nan)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _cells(data: pd.DataFrame, tasks: Sequence[str]) -> tuple[list[str], list[Any]]:
    """Headings, and the rows as texts."""
    differ = [name for name in ROW[2:] if data[name].nunique() > 1]
    head = ["method", *(HEADINGS.get(name, name) for name in differ), *tasks, "mean"]
    rows = []
    for _, row in data.iterrows():
        numbers = [_number(row, name) for name in (*tasks, "mean")]
        rows.append([row["title"], *(str(row[name]) for name in differ), *numbers])
    return head, rows


def _number(row: pd.Series, name: str) -> str:
    if pd.isna(row[name]):
        return NOTHING
    value, low, high = (row[name + end] for end in ("", "_low", "_high"))
    return f"{value:.2f}" + ("" if pd.isna(low) else f" [{low:.2f}, {high:.2f}]")


def _notes(data: pd.DataFrame, tables: Mapping[str, Table]) -> list[str]:
    grids = {
        task: " or ".join(
            sorted(
                {
                    f"{row['num_seeds']} x {row['num_starts']}"
                    for _, row in table.data.iterrows()
                }
            )
        )
        for task, table in tables.items()
    }
    each = "; ".join(f"{task} {grid}" for task, grid in grids.items())
    same = ", ".join(
        str(data[name].iloc[0]) for name in ROW[2:] if data[name].nunique() == 1
    )
    lines = [
        f"Share of solved episodes; the same in all rows: {same}.",
        f"Train seeds x starts: {each}.",
        f"[low, high]: {LEVEL:.0%} interval of each task, see its own table; of the "
        "mean from those of the tasks, which are independent of each other.",
    ]
    if data["mean"].isna().any():
        lines.append("A mean is given where all tasks are there.")
    return lines


def _markdown(name: str, head: Sequence[str], rows: Any, notes: Sequence[str]) -> str:
    lines = markdown_table(head, rows, "l" * len(head))
    body = [*lines, "", *(f"- {note}" for note in notes)]
    return "\n".join([f"**{name}**", "", *body, ""])


def _rich(name: str, head: Sequence[str], rows: Any, notes: Sequence[str]) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(
        title=name,
        caption=Text("\n".join(notes)),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
    )
    for heading in head:
        number = heading not in (*HEADINGS.values(), *ROW)
        shown.add_column(
            heading, justify="right" if number else "left", no_wrap=not number
        )
    for row in rows:
        shown.add_row(*(cell.replace(" [", "\n[") for cell in row))
    return shown
