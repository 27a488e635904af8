"""The evaluations of a run under several samplers -> their table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dp_bench.evaluation.samplers import FILE, last_run, read
from dp_bench.reports.csv_file import csv_text, estimate_columns
from dp_bench.reports.escaping import for_markdown
from dp_bench.reports.markdown import markdown_table
from dp_bench.reports.plots.samplers import sampler_curves
from dp_bench.reports.plots.style import save
from dp_bench.reports.sampler_table import SamplerRow, constant_of, rows_of, title_of
from dp_bench.reports.table import LEVEL
from dp_bench.reports.wording import milliseconds, ranges, with_interval
from dp_bench.util.files import atomic_write_text

HEADINGS = {
    "sampler": "l",
    "network calls": "r",
    "score": "r",
    "success": "r",
    "difference": "r",
    "ms a decision": "r",
}


def remake(folder: Path) -> str:
    """Writes `samplers.md`, `samplers.csv` and `samplers.png` of a folder.

    They come from its `samplers.jsonl`, and show the run that was studied last.

    Args:
        folder: `results/<task>`.

    Returns:
        The table, as Markdown.
    """
    rows = rows_of(last_run(read(folder / FILE)))
    text = to_markdown(rows)
    for name, content in (("samplers.md", text), ("samplers.csv", to_csv(rows))):
        atomic_write_text(folder / name, content)
    save(sampler_curves(rows), folder / "samplers.png")
    return text


def shown(folder: Path) -> str:
    """Makes the table of `remake`, and writes nothing."""
    return to_markdown(rows_of(last_run(read(folder / FILE))))


def to_markdown(rows: Sequence[SamplerRow]) -> str:
    """Writes a Markdown document: title, table, footer."""
    cells = [list(map(for_markdown, _cells(row))) for row in rows]
    head = [f"**{for_markdown(title_of(rows))}**  ", for_markdown(constant_of(rows))]
    table = markdown_table(list(HEADINGS), cells, "".join(HEADINGS.values()))
    foot = [f"- {for_markdown(line, names=True)}" for line in _footer(rows)]
    return "\n".join([*head, "", *table, "", *foot, ""])


def to_csv(rows: Sequence[SamplerRow]) -> str:
    """Writes the table in full precision, without a footer."""
    return csv_text(
        pd.DataFrame(
            [
                {
                    "sampler": row.evaluation.sampler,
                    "spacing": row.evaluation.spacing,
                    "calls": row.evaluation.calls,
                    "is_runs_own": row.evaluation.is_runs_own,
                    **estimate_columns("score", row.score),
                    **estimate_columns("success", row.success),
                    **estimate_columns("difference", row.difference),
                    "decision_seconds": row.decision_seconds,
                    "encoding_seconds": row.evaluation.encoding_seconds,
                }
                for row in rows
            ]
        )
    )


def _cells(row: SamplerRow) -> list[str]:
    return [
        row.name,
        str(row.evaluation.calls),
        with_interval(row.score),
        with_interval(row.success),
        "run's own" if row.evaluation.is_runs_own else with_interval(row.difference),
        milliseconds(row.decision_seconds),
    ]


def _footer(rows: Sequence[SamplerRow]) -> list[str]:
    first = rows[0].evaluation
    record = first.records[0]
    lines = [
        "Difference: score minus that of the run's own sampler, on the same starts.",
        f"[low, high]: {LEVEL:.0%} interval of this training, over starts like these. "
        f"With {len(rows)} rows, a few intervals of differences exclude 0 by chance.",
        f"Starts: env seeds {ranges(r.env_seed for r in first.records)}.",
        f"Evaluated: commit {record.commit}, torch {record.versions.get('torch')}.",
    ]
    if first.encoding_seconds:
        lines.insert(
            2,
            f"Encoding the observation takes {milliseconds(first.encoding_seconds)} ms "
            f"for one lane on the CPU, however many calls follow.",
        )
    return lines
