"""All tables of a folder of results on one page: results/overview.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dp_bench import registry
from dp_bench.reports.escaping import for_markdown
from dp_bench.reports.markdown import markdown_table
from dp_bench.reports.table import (
    LEVEL,
    Row,
    Table,
    grouped,
    of_method,
    telling_apart,
)
from dp_bench.reports.trained import marks
from dp_bench.reports.wording import (
    DAGGER,
    DOUBLE_DAGGER,
    NOTHING,
    decimals,
    seeds_by_starts,
    sizes_of,
    with_interval,
)
from dp_bench.util.files import atomic_write_text

FILE = "overview.md"
SETTING = ("obs_kind", "preset", "starts")  # a row of the overview for each
INTRODUCTION = (
    "Each row is one observation and one preset of a table, in the table's first "
    f"variant. Scores are in [0, 1], with {LEVEL:.0%} intervals. Methods of a row that "
    "share a letter cannot be told apart. Methods without a letter were not compared; "
    f"the table gives the reason. It also explains {DAGGER} and {DOUBLE_DAGGER}. "
    "Published values are means of ten checkpoints, measured in the authors' "
    "environments with their demonstrations. The orders include rows that were not "
    "compared; of several rows of a method, they have the first one of the table."
)


def remake(results: Path, tables: Mapping[Path, Table]) -> None:
    """Writes the overview of a folder of results.

    Args:
        results: Receives the page.
        tables: By their folder, which lies in `results`.
    """
    atomic_write_text(results / FILE, to_markdown(results, tables))


def to_markdown(results: Path, tables: Mapping[Path, Table]) -> str:
    """Writes the page: a row for each table and observation, and the verdicts."""
    methods = sorted(
        {row.method for table in tables.values() for row in table.rows},
        key=registry.position_of,
    )
    titles = [for_markdown(_short_title(name), names=True) for name in methods]
    headings = ["results", "observation", "settings", "trainings", *titles]
    lines = []
    for folder, table in tables.items():
        name = folder.relative_to(results).as_posix()
        link = f"[{for_markdown(name, names=True)}]({name}/table.md)"
        first = [row for row in table.rows if row.variant == table.rows[0].variant]
        for rows in grouped(first, SETTING):
            about = [rows[0].obs_kind, rows[0].preset, _sizes(rows)]
            cells = [*about, *(_cell(rows, method) for method in methods)]
            lines.append([link, *map(for_markdown, cells)])
    text = [
        "# All results",
        "",
        INTRODUCTION,
        "",
        *markdown_table(headings, lines, "l" * len(headings), padded=False),
        "",
        "## Verdicts",
        "",
        *_verdicts(results, tables),
        "",
        "## Published order",
        "",
        *_orders(results, tables),
        "",
    ]
    return "\n".join(text)


def _sizes(rows: Sequence[Row]) -> str:
    """Says how many trainings and starts there are, and whether they are a test."""
    sizes, starts = seeds_by_starts(sizes_of(rows)), rows[0].starts
    return sizes if starts == "test" else f"{sizes}, {starts} starts"


def _short_title(method: str) -> str:
    known = registry.methods_and_variants().get(method)
    return known.short_title if known else method


def _cell(rows: Sequence[Row], method: str) -> str:
    """Writes the scores of a method; several if it has rows with several controls."""
    scores = []
    for row in of_method(rows, method):
        score = with_interval(row.score, marks(row))
        apart = [str(getattr(row, name)) for name in telling_apart(row, rows)]
        about = f"{', '.join(apart)}: " if apart else ""
        scores.append(f"{about}{score} {row.letters}".rstrip())
    return "; ".join(scores) or NOTHING


def _verdicts(results: Path, tables: Mapping[Path, Table]) -> list[str]:
    """Repeats the verdict of each table."""
    lines = []
    for folder, table in tables.items():
        name = folder.relative_to(results).as_posix()
        for line in table.footer:
            kind, _, words = line.partition(": ")
            if kind.startswith("Verdict") and not words.startswith("none"):
                where = kind.removeprefix("Verdict")
                text = for_markdown(f"{name}{where}: {words}", names=True)
                lines.append(f"- {text}")
    return lines or ["None: no table has two methods with several trainings each."]


def _orders(results: Path, tables: Mapping[Path, Table]) -> list[str]:
    """Ranks the methods of each table by their published values, and by ours."""
    lines = []
    for folder, table in tables.items():
        name = folder.relative_to(results).as_posix()
        first = [row for row in table.rows if row.variant == table.rows[0].variant]
        for rows in grouped(first, SETTING):
            metric = _published_metric(rows, table)
            if metric is None:
                continue
            known = [row for row in rows if _value(row, metric) is not None]
            known = [group[0] for group in grouped(known, ["method"])]
            where = f"{name}, {rows[0].obs_kind}, {rows[0].preset} settings, {metric}"
            if rows[0].starts != "test":
                where += f" on {rows[0].starts} starts"
            order = _ranked({_label(r, rows): _value(r, metric) or 0 for r in known})
            here = _ranked({_label(r, rows): r.estimates[metric].value for r in known})
            text = for_markdown(f"{where}: published {order}; here {here}.", names=True)
            lines.append(f"- {text}")
    return lines or ["No table has published values."]


def _label(row: Row, rows: Sequence[Row]) -> str:
    """Names the method of a row, and what sets it apart from the method's others."""
    apart = [str(getattr(row, name)) for name in telling_apart(row, rows)]
    title = _short_title(row.method)
    return f"{title} ({', '.join(apart)})" if apart else title


def _ranked(values: Mapping[str, float]) -> str:
    """Writes names and values, the largest first."""
    ranked = sorted(values.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {decimals(value)}" for name, value in ranked)


def _published_metric(rows: Sequence[Row], table: Table) -> str | None:
    """Picks a metric with published values; of several sub-scores, the hardest."""
    for metric in ("score", *(column.key for column in reversed(table.columns))):
        known = [row for row in rows if _value(row, metric) is not None]
        if len({row.method for row in known}) > 1:
            return metric
    return None


def _value(row: Row, metric: str) -> float | None:
    """Returns the published mean of ten checkpoints; None if it or ours is unknown."""
    value = row.published.get((metric, "last10"), np.nan)
    ours = row.estimates[metric].value if metric in row.estimates else np.nan
    return None if np.isnan(value) or np.isnan(ours) else value
