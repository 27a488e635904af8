"""The trainings of a study of encoders -> its table and figure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dp_bench.evaluation.encoders import FILE, last_study, read
from dp_bench.reports.csv_file import csv_text, estimate_columns
from dp_bench.reports.encoder_table import EncoderRow, EncoderTable, table_of
from dp_bench.reports.escaping import for_markdown
from dp_bench.reports.markdown import markdown_table
from dp_bench.reports.plots.encoders import encoder_scores
from dp_bench.reports.plots.style import figure_of, save
from dp_bench.reports.trained import marks, mixture
from dp_bench.reports.wording import (
    NOTHING,
    count,
    milliseconds,
    ranges,
    with_interval,
)
from dp_bench.util.files import atomic_write_text
from dp_bench.util.progress import duration

HEADINGS = {
    "encoder": "l",
    "weights": "l",
    "pooling": "l",
    "norm": "l",
    "encoder parameters, trained / all": "r",
    "updates": "r",
    "ms per update": "r",
    "training": "r",
    "score": "r",
    "success": "r",
    "decision": "r",
}
COMPARED = {"letter": "l", "difference": "r"}  # where there are several trainings


def remake(folder: Path) -> str:
    """Writes `encoders.md`, `encoders.csv` and `encoders.png` of a folder.

    They come from its `encoders.jsonl`, and show the study that ran last.

    Args:
        folder: `results/<task>`.

    Returns:
        The table, as Markdown.
    """
    table = table_of(last_study(read(folder / FILE)))
    text = to_markdown(table)
    for name, content in (("encoders.md", text), ("encoders.csv", to_csv(table))):
        atomic_write_text(folder / name, content)
    save(figure_of(encoder_scores(table)), folder / "encoders.png")
    return text


def shown(folder: Path) -> str:
    """Makes the table of `remake`, and writes nothing."""
    return to_markdown(table_of(last_study(read(folder / FILE))))


def to_markdown(table: EncoderTable) -> str:
    """Writes a Markdown document: title, table, footer."""
    headings = HEADINGS | (COMPARED if _is_compared(table) else {})
    rows = [list(map(for_markdown, _cells(each, table))) for each in table.rows]
    head = [
        f"**{for_markdown(table.title)}**  ",
        for_markdown(f"{table.constant}, {table.sizes}"),
    ]
    lines = markdown_table(list(headings), rows, "".join(headings.values()))
    foot = [f"- {for_markdown(line, names=True)}" for line in table.footer]
    return "\n".join([*head, "", *lines, "", *foot, ""])


def to_csv(table: EncoderTable) -> str:
    """Writes the table in full precision, without a footer."""
    return csv_text(pd.DataFrame([_flat(each) for each in table.rows]))


def _cells(each: EncoderRow, table: EncoderTable) -> list[str]:
    facts, row = each.facts, each.row
    cells = [
        facts.name + marks(row),
        *each.words,
        f"{count(facts.encoder_trained)} / {count(facts.encoder_parameters)}",
        f"{row.step:,}",
        milliseconds(facts.update_seconds),
        duration(row.train_seconds),
        with_interval(row.score),
        with_interval(row.estimates["success"]),
        f"{1000 * row.decision_latency:.3g} ms",
    ]
    if _is_compared(table):
        best = "best" if row.best else with_interval(row.difference)
        cells += [row.letters or NOTHING, best]
    return cells


def _is_compared(table: EncoderTable) -> bool:
    return any(each.row.best for each in table.rows)


def _flat(each: EncoderRow) -> dict[str, object]:
    facts, row = each.facts, each.row
    weights, pooling, norm = each.words
    return {
        "encoder": facts.name,
        "network": facts.vision.encoder,
        "weights": weights,
        "pooling": pooling,
        "norm": "" if norm == NOTHING else norm,
        "encoder_trained": facts.encoder_trained,
        "encoder_parameters": facts.encoder_parameters,
        "parameters": row.parameters,
        "updates": row.step,
        "update_seconds": facts.update_seconds,
        "train_seconds": row.train_seconds,
        **estimate_columns("score", row.score),
        **estimate_columns("success", row.estimates["success"]),
        "decision_latency": row.decision_latency,
        "num_seeds": row.num_seeds,
        "num_starts": row.num_starts,
        "train_seeds": ranges(row.train_seeds),
        "env_seeds": ranges(row.env_seeds),
        "settings": row.settings,
        "differs": "; ".join(row.differs),
        "mixed": mixture(row),
        **estimate_columns("difference", row.difference),
        "best": row.best,
        "letters": row.letters,
    }
