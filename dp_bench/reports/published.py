"""Published values, and the rows that they belong beside."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from dp_bench.errors import BadInput
from dp_bench.reports.table import Row
from dp_bench.task import IMAGE, Column
from dp_bench.util.files import read_without_links
from dp_bench.util.text import shown

SELECTIONS = ("last10", "max")  # which checkpoints a published value is of
FILE = "published.csv"
COLUMNS = (
    "task", "demos", "obs", "method", "metric", "selection", "value", "source",
)  # fmt: skip


def published_values(folder: Path) -> pd.DataFrame | None:
    """Reads the published values.

    A `published.csv` of one's own goes before the one that the package brings along.

    Args:
        folder: A folder of results; the file may also lie up to three levels above it.

    Returns:
        Columns task, demos, obs, method, metric, selection, value, source; None
        without a file.

    Raises:
        BadInput: When a column is missing, or a line holds something else.
    """
    for place in (folder, *folder.parents[:3]):
        file = place / FILE
        if file.is_file():
            try:
                return _parsed(read_without_links(file), str(file))
            except OSError as error:
                raise BadInput(f"cannot read {file}: {error.strerror}") from None
    ours = resources.files("dp_bench.reports") / FILE
    if not ours.is_file():
        return None
    return _parsed(ours.read_bytes(), FILE)


def _parsed(content: bytes, where: str) -> pd.DataFrame:
    """Reads published values, and checks every line.

    Raises:
        BadInput: With the file, the line and the column.
    """
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        reader = csv.DictReader(text, restval="", strict=True)
        lines = [(reader.line_num, line) for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{where} is not a table of values in UTF-8: {error}") from None
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise BadInput(
            f"{where} has no column {missing[0]!r}; its first line must name the "
            f"columns {', '.join(COLUMNS)}, separated by commas"
        )
    rows = [_row(line, f"{where}, line {number}") for number, line in lines]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(line: Mapping[str, str], where: str) -> dict[str, str | float]:
    """Checks one line of published values."""
    if line["selection"] not in SELECTIONS:
        raise BadInput(
            f"{where}: selection must be {' or '.join(SELECTIONS)}, got "
            f"{shown(line['selection'])}"
        )
    try:
        value = float(line["value"])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"{where}: value must be a number, got {shown(line['value'])}")
    return {name: line[name] for name in COLUMNS} | {"value": value}


def published_demos_of(source: str) -> str:
    """Names the published demonstrations that results from a source stand beside.

    Two tables are published for Robomimic: one for demonstrations of mixed quality
    (mh), one for those of proficient humans (ph).
    """
    return "mh" if source == "mh" else "ph"


def with_published(
    rows: Sequence[Row],
    columns: Sequence[Column],
    published: pd.DataFrame | None,
    demos: str,
) -> tuple[list[Row], list[str]]:
    """Adds published values to rows of one task.

    Args:
        rows: At least one.
        columns: Further metrics of the task.
        published: As of `published_values`; None for no values.
        demos: Which published demonstrations to show, if there are several.

    Returns:
        The rows, and the sources of the values.

    Raises:
        BadInput: When the values are of several demonstrations, and none are `demos`.
    """
    if published is None:
        return list(rows), []
    cells = _of_task(published, rows[0].task, demos)
    values: list[dict[tuple[str, str], float]] = [{} for _ in rows]
    sources: list[str] = []
    for metric in ("score", *(column.key for column in columns)):
        for selection in SELECTIONS:
            same = (cells["metric"] == metric) & (cells["selection"] == selection)
            for row, values_of_row in zip(rows, values, strict=True):
                if not same.any():
                    continue
                cell = cells[same & _of_row(cells, row)]
                values_of_row[metric, selection] = (
                    float(cell["value"].iloc[0]) if len(cell) else np.nan
                )
                sources += cell["source"].tolist()[:1]
    rows = [replace(row, published=v) for row, v in zip(rows, values, strict=True)]
    return list(rows), list(dict.fromkeys(sources))


def _of_task(published: pd.DataFrame, task: str, demos: str) -> pd.DataFrame:
    cells = published[published["task"] == task]
    names = sorted(cells["demos"].unique())
    if demos in names:
        return cells[cells["demos"] == demos]
    if len(names) > 1:
        raise BadInput(
            f"published values of {task!r} have no demonstrations {demos!r}; "
            f"they have {', '.join(names)}"
        )
    return cells


def _of_row(cells: pd.DataFrame, row: Row) -> pd.Series:
    obs = IMAGE if row.obs_kind == IMAGE else "state"
    return (cells["obs"] == obs) & (cells["method"] == row.method)
