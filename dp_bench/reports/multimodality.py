"""Rollouts from a fork -> the table and figure of which sides each policy took."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dp_bench import references, registry
from dp_bench.evaluation import passages
from dp_bench.evaluation.choices import Choice, choices
from dp_bench.evaluation.multimodality import Rollout, fork_of, read
from dp_bench.evaluation.passages import Passage
from dp_bench.reports.escaping import for_csv, for_markdown
from dp_bench.reports.markdown import markdown_table
from dp_bench.reports.plots.multimodality import rollouts_from_fork
from dp_bench.reports.plots.style import figure_of, figure_title, save
from dp_bench.reports.wording import with_interval
from dp_bench.task import Task
from dp_bench.util.files import atomic_write_text

FIGURE = "rollouts from a start with two equally good ways"
HEADINGS = (
    "method",
    "rollouts",
    "left",
    "right",
    "neither",
    "not round",
    "share left",
    "share that commits",
)
NOTES = """
All rollouts begin in the same state and differ only in the sampler's seed.
Share left counts only rollouts that went left or right. A rollout commits
if it goes round one side and never visits the other side on its way. A rollout
that never gets round has neither a side nor a commitment.
[low, high]: 95 % intervals (Wilson) for this one training, or these demonstrations.
"""
WITH_DEMOS = """
Demonstrations: their passages that begin before the same choice, moved to this start.
"""
WITHOUT_DEMOS = """
The share of the demonstrations is missing: none of their passages begins before the
same choice, or they were not at hand. `dp-bench modes --task {task} --demos FILE` adds
them.
"""


def remake(folder: Path) -> str:
    """Writes `modes.md`, `modes.csv` and `modes.png` of a folder.

    They come from its `modes.jsonl` and, if it is there, `modes_demos.jsonl`.

    Args:
        folder: `results/<task>`.

    Returns:
        The table, as Markdown.
    """
    rollouts = read(folder / "modes.jsonl")
    found = passages.read(folder / "modes_demos.jsonl")
    task = registry.task(rollouts[0].task)
    fork = fork_of(task)
    by_run = choices(rollouts, found)
    text = to_markdown(by_run) + _note_on_demos(task, rollouts, found)
    for name, content in (("modes.md", text), ("modes.csv", to_csv(by_run))):
        atomic_write_text(folder / name, content)
    scene = references.load(fork.scene)(rollouts[0].start)
    axes = rollouts_from_fork(by_run, fork, scene)
    figure = figure_of(axes[0])
    figure_title(figure, f"{task.name}: {FIGURE}")
    save(figure, folder / "modes.png")
    return text


def _note_on_demos(
    task: Task, rollouts: Sequence[Rollout], found: Sequence[Passage]
) -> str:
    if fork_of(task).passages is None:
        return ""
    missing = {r.demos_digest for r in rollouts} - {p.demos_digest for p in found}
    return WITHOUT_DEMOS.format(task=task.name) if missing else WITH_DEMOS


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
            *HEADINGS[:6],
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
    """Counts all rollouts, those by side, and those that never got round."""
    sides = [np.sum(choice.is_round & (choice.sides == side)) for side in (-1, 1, 0)]
    counts = (len(choice.sides), *sides, np.sum(~choice.is_round))
    return tuple(map(int, counts))
