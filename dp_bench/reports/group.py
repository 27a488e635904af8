"""Tables of several tasks: a row for each method, a column for each task, the mean.

results/<group>/<task>/             of each task, see remake.py
results/<group>/table.md .csv, success.png   remade from these
results/<group>/<source>/table.md ...   the same for other demonstrations
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.reports.csv_file import csv_text, estimate_columns
from dp_bench.reports.escaping import for_markdown
from dp_bench.reports.markdown import markdown_table
from dp_bench.reports.table import CIRCUMSTANCES, LEVEL, Row, Table, differing
from dp_bench.reports.trained import marks
from dp_bench.reports.wording import DAGGER, DOUBLE_DAGGER, with_interval
from dp_bench.statistics.estimates import Estimate, mean_of
from dp_bench.util.files import atomic_write_text
from dp_bench.util.text import one_line

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from dp_bench.task import Task

# A row of a group has one value of each; settings differ between tasks.
SHARED = ("obs_kind", "control", "preset", "starts", "variant")

MARKS = {
    DAGGER: "Not comparable with the other rows of this task",
    DOUBLE_DAGGER: "Trainings differ in device, precision or version of torch",
}


@dataclass(frozen=True)
class GroupRow:
    """One method under one set of circumstances, over several tasks.

    Attributes:
        first: The method's row of the first task that has one; says the circumstances.
        scores: By task, in their order; None for a task without such a row.
        marks: By task, as in the table of that task; "" for none.
        mean: Of all tasks; None if a task is missing.
    """

    first: Row
    scores: Mapping[str, Estimate | None]
    marks: Mapping[str, str]
    mean: Estimate | None

    @property
    def known(self) -> list[Estimate]:
        """The scores that exist."""
        return [score for score in self.scores.values() if score is not None]


def named(name: str) -> list[Task]:
    """Lists the tasks of a group, or the one task of this name.

    Raises:
        BadInput: When no task or group has this name; lists the names.
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


def combine(tables: Mapping[str, Table]) -> list[GroupRow]:
    """Puts the tables of several tasks side by side.

    Where a task has several rows that differ only in their settings, the first, which
    has the best score, stands for them.

    Args:
        tables: By name of the task.

    Returns:
        Rows with the most tasks first, and among these the best mean first.
    """
    members: dict[tuple[str, ...], dict[str, Row]] = {}
    for task, table in tables.items():
        for row in table.rows:
            key = (row.method, *(getattr(row, name) for name in SHARED))
            members.setdefault(key, {}).setdefault(task, row)
    rows = []
    for by_task in members.values():
        scores = {t: by_task[t].score if t in by_task else None for t in tables}
        known = [row.score for task, row in by_task.items()]
        mean = mean_of(known) if len(known) == len(tables) else None
        marked = {t: marks(by_task[t]) if t in by_task else "" for t in tables}
        rows.append(GroupRow(next(iter(by_task.values())), scores, marked, mean))
    return sorted(rows, key=_place)


def make(folder: Path, tables: Mapping[str, Table]) -> RichTable:
    """Writes the table of a group and its figure.

    Args:
        folder: `results/<group>`.
        tables: By name of the task.

    Returns:
        The table for the terminal.
    """
    from dp_bench.reports.plots import scores, style

    rows = combine(tables)
    headings, cells = _cells(rows, list(tables))
    headings = [for_markdown(heading, names=True) for heading in headings]
    cells = [list(map(for_markdown, line)) for line in cells]
    lines = markdown_table(headings, cells, "l" * len(headings))
    foot = [f"- {for_markdown(note, names=True)}" for note in _notes(rows, tables)]
    text = "\n".join(
        [f"**{for_markdown(folder.name, names=True)}**", "", *lines, "", *foot, ""]
    )
    for name, content in (("table.md", text), ("table.csv", csv_text(to_frame(rows)))):
        atomic_write_text(folder / name, content)
    title = f"{folder.name}: share of solved episodes of {len(tables)} tasks"
    style.save(scores.side_by_side(tables, title), folder / "success.png")
    return shown(folder, tables)


def shown(folder: Path, tables: Mapping[str, Table]) -> RichTable:
    """Makes the table of a group for the terminal, and writes nothing."""
    rows = combine(tables)
    return _to_terminal(folder.name, rows, list(tables), _notes(rows, tables))


def to_frame(rows: Sequence[GroupRow]) -> pd.DataFrame:
    """Lays the rows out as a data frame, with three columns for each estimate."""
    frame = []
    for row in rows:
        names = ("method", "title", *SHARED)
        cells: dict[str, object] = {name: getattr(row.first, name) for name in names}
        for task, score in row.scores.items():
            cells |= estimate_columns(task, score)
            cells[f"{task}_marks"] = row.marks[task].strip()
        cells |= estimate_columns("mean", row.mean)
        frame.append({**cells, "known": len(row.known)})
    return pd.DataFrame(frame)


def _place(row: GroupRow) -> tuple[float, float, str]:
    mean = sum(score.value for score in row.known) / len(row.known)
    return -len(row.known), -mean, row.first.method


def _cells(
    rows: Sequence[GroupRow], tasks: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Writes the headings and the rows."""
    differ = differing([row.first for row in rows], SHARED)
    headings = ["method", *(CIRCUMSTANCES[name] for name in differ), *tasks, "mean"]
    cells = [
        [
            row.first.title,
            *(str(getattr(row.first, name)) for name in differ),
            *(with_interval(row.scores[t], row.marks[t]) for t in tasks),
            with_interval(row.mean),
        ]
        for row in rows
    ]
    return headings, cells


def _notes(rows: Sequence[GroupRow], tables: Mapping[str, Table]) -> list[str]:
    sizes = {
        task: " or ".join(
            sorted({f"{row.num_seeds} x {row.num_starts}" for row in table.rows})
        )
        for task, table in tables.items()
    }
    each = "; ".join(f"{task} {size}" for task, size in sizes.items())
    firsts = [row.first for row in rows]
    differ = differing(firsts, SHARED)
    same = [str(getattr(firsts[0], name)) for name in SHARED if name not in differ]
    lines = [
        f"Share of solved episodes. All rows share: {', '.join(same)}.",
        f"Train seeds x starts: {each}.",
        f"[low, high]: {LEVEL:.0%} interval. A task has the interval of its own table; "
        "the mean combines those of the tasks, which are independent of each other.",
    ]
    every_mark = "".join(mark for row in rows for mark in row.marks.values())
    for mark, words in MARKS.items():
        if mark in every_mark:
            lines.append(f"{mark} {words}; the table of the task says how.")
    if any(row.mean is None for row in rows):
        lines.append("A row has a mean if it has a score for every task.")
    return lines


def _to_terminal(
    name: str, rows: Sequence[GroupRow], tasks: Sequence[str], notes: Sequence[str]
) -> RichTable:
    """Makes the narrower table: short names, intervals under their values."""
    from rich.text import Text

    from dp_bench.reports.terminal import empty_table

    headings, cells = _cells(rows, tasks)
    table = empty_table(name, notes)
    for heading in headings:
        number = heading in (*tasks, "mean")
        table.add_column(
            Text(one_line(heading)),
            justify="right" if number else "left",
            no_wrap=not number,
        )
    for row, texts in zip(rows, cells, strict=True):
        short = [row.first.method, *texts[1:]]
        table.add_row(*(Text(one_line(text).replace(" [", "\n[")) for text in short))
    return table
