"""Published values, and the rows that they belong beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from dp_bench.errors import BadInput
from dp_bench.reports.table import Row
from dp_bench.task import IMAGE, Column

SELECTIONS = ("last10", "max")  # which checkpoints a published value is of
FILE = "published.csv"


def published_values(folder: Path) -> pd.DataFrame | None:
    """Reads the published values.

    A `published.csv` of one's own goes before the one that the package brings along.

    Args:
        folder: A folder of results; the file may also lie up to three levels above it.

    Returns:
        Columns task, demos, obs, method, metric, selection, value, source; None
        without a file.
    """
    for place in (folder, *folder.parents[:3]):
        if (place / FILE).is_file():
            return pd.read_csv(place / FILE)
    ours = resources.files("dp_bench.reports") / FILE
    if not ours.is_file():
        return None
    with ours.open(encoding="utf-8") as file:
        return pd.read_csv(file)


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
