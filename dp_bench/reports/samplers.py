"""The evaluations of a run under several samplers -> their table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dp_bench import registry
from dp_bench.evaluation.samplers import FILE, SamplerEvaluation, last_run, read
from dp_bench.reports.csv_file import csv_text, estimate_columns
from dp_bench.reports.escaping import for_markdown
from dp_bench.reports.markdown import markdown_table
from dp_bench.reports.plots.style import save
from dp_bench.reports.table import LEVEL
from dp_bench.reports.wording import milliseconds, ranges, with_interval
from dp_bench.statistics.comparisons import paired_difference
from dp_bench.statistics.estimates import Estimate, estimate_mean
from dp_bench.util.files import atomic_write

HEADINGS = {
    "sampler": "l",
    "network calls": "r",
    "score": "r",
    "success": "r",
    "difference": "r",
    "ms a decision": "r",
}


@dataclass(frozen=True)
class SamplerRow:
    """One sampler with one number of calls.

    Attributes:
        evaluation: Its episodes.
        score: The mean score.
        success: The share of solved episodes.
        difference: Score minus that of the run's own sampler on the same starts; None
            for that sampler itself, and where it was not played.
    """

    evaluation: SamplerEvaluation
    score: Estimate
    success: Estimate
    difference: Estimate | None

    @property
    def name(self) -> str:
        """Names the sampler, and its spacing if that is not the published one."""
        quadratic = self.evaluation.spacing == "quadratic"
        return f"{self.evaluation.sampler}{', quadratic' if quadratic else ''}"

    @property
    def decision_seconds(self) -> float:
        """Median time of one decision [s]."""
        return float(np.median([r.decision_latency for r in self.evaluation.records]))


def remake(folder: Path) -> str:
    """Writes `samplers.md`, `samplers.csv` and `samplers.png` of a folder.

    They come from its `samplers.jsonl`, and show the run that was studied last.

    Args:
        folder: `results/<task>`.

    Returns:
        The table, as Markdown.
    """
    from dp_bench.reports.plots.samplers import sampler_curves

    rows = rows_of(last_run(read(folder / FILE)))
    text = to_markdown(rows)
    for name, content in (("samplers.md", text), ("samplers.csv", to_csv(rows))):
        with atomic_write(folder / name) as aside:
            aside.write_text(content, encoding="utf-8")
    save(sampler_curves(rows), folder / "samplers.png")
    return text


def shown(folder: Path) -> str:
    """Makes the table of `remake`, and writes nothing."""
    return to_markdown(rows_of(last_run(read(folder / FILE))))


def rows_of(evaluations: Sequence[SamplerEvaluation]) -> list[SamplerRow]:
    """Reduces the evaluations of one run to rows, by sampler and number of calls."""
    scores = [_matrix(evaluation, "score") for evaluation in evaluations]
    both = list(zip(evaluations, scores, strict=True))
    usual = next((own for each, own in both if each.is_runs_own), None)
    return [
        SamplerRow(
            each,
            estimate_mean(own, level=LEVEL),
            estimate_mean(_matrix(each, "success"), level=LEVEL),
            None
            if usual is None or each.is_runs_own
            else paired_difference(own, usual, level=LEVEL),
        )
        for each, own in both
    ]


def title_of(rows: Sequence[SamplerRow]) -> str:
    """Names the study."""
    record = rows[0].evaluation.records[0]
    return f"{record.task}: samplers of {registry.title_of(record.method)}"


def constant_of(rows: Sequence[SamplerRow]) -> str:
    """Says what all rows share."""
    record = rows[0].evaluation.records[0]
    return (
        f"variant {record.variant}, observation {record.obs_kind}, control "
        f"{record.control}, train seed {record.train_seed}, update {record.step:,}, "
        f"{len(rows[0].evaluation.records)} {record.starts} starts"
    )


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


def _matrix(evaluation: SamplerEvaluation, name: str) -> np.ndarray:
    """Lays one number of each episode out as `(1, E)`."""
    return np.array([[float(getattr(record, name)) for record in evaluation.records]])


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
