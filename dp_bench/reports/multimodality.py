"""Rollouts from a fork -> the table and figure of which sides each policy took."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dp_bench import references, registry
from dp_bench.evaluation.multimodality import Choice, choices, fork_of, read
from dp_bench.reports import plots
from dp_bench.reports.markdown import markdown_table
from dp_bench.statistics.estimates import Estimate
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
All rollouts begin in one state and differ in the sampler's seed only.
Share left is of those that went left or right. A rollout commits when it
goes to one side and not, on the way round, to the other as well.
[low, high]: 95 % intervals (Wilson), about this one training.
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
            aside.write_text(content)
    fork = fork_of(registry.task(rollouts[0].task))
    scene = references.load(fork.scene)(rollouts[0].start)
    figure: Any = plots.modes(by_run, fork, scene)[0].get_figure()
    plots.save(figure, folder / "modes.png")
    return text


def to_markdown(by_run: Sequence[Choice]) -> str:
    """Writes the table for people; shares carry 95 % intervals (Wilson)."""
    rows = [
        [
            choice.title,
            *map(str, _counts(choice)),
            *map(_with_interval, (choice.left, choice.commits)),
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
        rows.writerow([choice.title, *_counts(choice), *left, *choice.commits[:3]])
    return text.getvalue()


def _counts(choice: Choice) -> tuple[int, ...]:
    """Counts all rollouts, and those that went left, right and to neither side."""
    sides = [int(np.sum(choice.sides == side)) for side in (-1, 1, 0)]
    return (len(choice.sides), *sides)


def _with_interval(share: Estimate | None) -> str:
    """Writes `0.55 [0.34, 0.74]`, or a dash where no rollout chose a side."""
    if share is None:
        return "–"  # noqa: RUF001
    return f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]"
