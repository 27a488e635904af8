"""Rollouts from a fork -> the table and figure of which sides each policy took."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dp_bench import references, registry
from dp_bench.evaluation.multimodality import Choice, choices, fork_of, read
from dp_bench.reports.escaping import for_csv, for_markdown
from dp_bench.reports.markdown import markdown_table
from dp_bench.reports.plots.multimodality import rollouts_from_fork
from dp_bench.reports.plots.style import figure_of, save
from dp_bench.reports.wording import with_interval
from dp_bench.util.files import atomic_write

HEADINGS = (
    "method",
    "rollouts",
    "left",
    "right",
    "neither",
    "share left",
    "share that commits",
)
NOTES = """
All rollouts begin in the same state and differ only in the sampler's seed.
Share left counts only rollouts that went left or right. A rollout commits
if it goes round one side and never visits the other side on its way.
[low, high]: 95 % intervals (Wilson) for this one training.
"""


def remake(folder: Path) -> str:
    """Writes `modes.md`, `modes.csv` and `modes.png` from `modes.jsonl` in a folder.

    Args:
        folder: `results/<task>`.

    Returns:
        The table, as Markdown.
    """
    rollouts = read(folder / "modes.jsonl")
    by_run = choices(rollouts)
    text = to_markdown(by_run)
    for name, content in (("modes.md", text), ("modes.csv", to_csv(by_run))):
        with atomic_write(folder / name) as aside:
            aside.write_text(content, encoding="utf-8")
    fork = fork_of(registry.task(rollouts[0].task))
    scene = references.load(fork.scene)(rollouts[0].start)
    axes = rollouts_from_fork(by_run, fork, scene)
    save(figure_of(axes[0]), folder / "modes.png")
    return text


def to_markdown(by_run: Sequence[Choice]) -> str:
    """Writes the table for people; shares carry 95 % intervals (Wilson)."""
    rows = [
        [
            for_markdown(choice.title),
            *map(str, _counts(choice)),
            *map(with_interval, (choice.left, choice.commits)),
        ]
        for choice in by_run
    ]
    align = "l" + "r" * (len(HEADINGS) - 1)
    lines = markdown_table(HEADINGS, rows, align, padded=False)
    return "\n".join([*lines, NOTES])


def to_csv(by_run: Sequence[Choice]) -> str:
    """Writes the table in full precision, with an empty cell for a missing number."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    ends = ("", "_low", "_high")
    rows.writerow(
        [
            *HEADINGS[:5],
            *(f"share_left{end}" for end in ends),
            *(f"share_committed{end}" for end in ends),
        ]
    )
    for choice in by_run:
        left = choice.left[:3] if choice.left else ("",) * 3
        rows.writerow(
            [for_csv(choice.title), *_counts(choice), *left, *choice.commits[:3]]
        )
    return text.getvalue()


def _counts(choice: Choice) -> tuple[int, ...]:
    """Counts all rollouts, and those that went left, right and to neither side."""
    sides = [int(np.sum(choice.sides == side)) for side in (-1, 1, 0)]
    return (len(choice.sides), *sides)
