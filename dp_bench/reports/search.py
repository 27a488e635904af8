"""The trials of a search -> its table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation import search
from dp_bench.evaluation.search import Trial
from dp_bench.reports.csv_file import csv_text, estimate_columns
from dp_bench.reports.escaping import for_markdown
from dp_bench.reports.markdown import markdown_table
from dp_bench.reports.table import LEVEL, Row
from dp_bench.reports.wording import (
    NOTHING,
    decimals,
    listed,
    milliseconds,
    short_label,
    with_interval,
)
from dp_bench.statistics.estimates import Estimate, estimate_mean
from dp_bench.util.files import atomic_write_text, whole_files
from dp_bench.util.progress import duration

CUSTOM = "custom"  # preset of a row whose settings are of no tier


def remake(folder: Path) -> list[str]:
    """Writes a table beside each file of trials: `search/<method>.md` and `.csv`.

    Args:
        folder: `results/<task>`.

    Returns:
        The tables, as Markdown.
    """
    files = whole_files((folder / search.FOLDER).glob("*.jsonl"))
    return [text for text in map(remake_file, files) if text]


def shown(folder: Path) -> list[str]:
    """Makes the tables of `remake`, and writes nothing."""
    files = whole_files((folder / search.FOLDER).glob("*.jsonl"))
    return [text for text in map(_text_of, files) if text]


def remake_file(file: Path) -> str:
    """Writes the tables of one file of trials beside it, and returns them as Markdown.

    There is one for each observation, control mode, preset and --set, and "" without
    trials.
    """
    text = _text_of(file)
    if not text:
        return ""
    csv = to_csv([t for trials in last_searches(search.read(file)) for t in trials])
    for ending, content in ((".md", text), (".csv", csv)):
        atomic_write_text(file.with_suffix(ending), content)
    return text


def _text_of(file: Path) -> str:
    return "\n".join(map(to_markdown, last_searches(search.read(file))))


def last_searches(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Returns the last search for each observation, control mode, preset and --set."""
    last = {_subject(trial): trial.search for trial in trials}
    return [
        [t for t in trials if _subject(t) == subject and t.search == name]
        for subject, name in last.items()
    ]


def _subject(trial: Trial) -> tuple[str, str, str, tuple[str, ...]]:
    began = trial.conditions
    return began.obs_kind, began.control, began.preset, tuple(sorted(began.changes))


def budgets(folder: Path, rows: Sequence[Row]) -> list[str]:
    """Says under a table how long the settings of its rows were searched.

    Args:
        folder: `results/<task>`.
        rows: Of its table.
    """
    rows = [row for row in rows if row.preset != CUSTOM]
    try:
        return _budgets(folder, rows)
    except BadInput as error:
        return [f"Searches with dp-bench tune cannot be read: {error}."]


def _budgets(folder: Path, rows: Sequence[Row]) -> list[str]:
    kinds = dict.fromkeys(row.obs_kind for row in rows)
    lines = []
    for kind in kinds:
        alike = [r for r in rows if (r.variant, r.obs_kind) == (rows[0].variant, kind)]
        known = {short_label(row, alike): _search_for(folder, row) for row in alike}
        searched = [
            f"{name} {len(trials)} trial{'s' * (len(trials) > 1)} in "
            f"{duration(sum(trial.seconds for trial in trials))}"
            for name, trials in known.items()
            if trials
        ]
        if not searched:
            continue
        others = [name for name, trials in known.items() if not trials]
        what = f" ({kind} observations)" if len(kinds) > 1 else ""
        rest = f"; none for {listed(others)}" if others else ""
        lines.append(
            f"Searches with dp-bench tune, on validation starts, that began with these "
            f"settings{what}: {listed(searched)}{rest}."
        )
    return lines


def _search_for(folder: Path, row: Row) -> list[Trial]:
    """Finds the last search that began with the settings of a row."""
    file = search.path_of(folder, row.method)
    subject = row.obs_kind, row.control, row.preset, ()
    for trials in last_searches(search.read(file)):
        same_demos = trials[0].conditions.demos == row.demos_digest
        if _subject(trials[0]) == subject and same_demos:
            return trials
    return []


def to_markdown(trials: Sequence[Trial]) -> str:
    """Writes a Markdown document: title, table, footer.

    Args:
        trials: Of one search.
    """
    ranked, names = _ranked(trials), _dimensions(trials)
    headings = ["trial", *map(_short, names), "updates", "ms per update", "time"]
    headings += ["score", "success", "copying", "state"]
    cells = [list(map(for_markdown, _cells(trial, names))) for trial in ranked]
    align = "r" + "l" * len(names) + "rrrrrrl"
    first = trials[0].conditions
    title = (
        f"{first.task}: search for settings of {registry.title_of(first.method)}, "
        f"{first.minutes:g} min a training"
    )
    share = (
        f"observation {first.obs_kind}, control {first.control}, {trials[0].starts} "
        f"validation starts, train seed {trials[0].train_seed}"
    )
    foot = [f"- {for_markdown(line, names=True)}" for line in _footer(trials)]
    table = markdown_table(
        [for_markdown(h, names=True) for h in headings], cells, align
    )
    head = [f"**{for_markdown(title)}**  ", for_markdown(share), ""]
    return "\n".join([*head, *table, "", *foot, ""])


def to_csv(trials: Sequence[Trial]) -> str:
    """Writes trials in full precision, without a footer."""
    rows = []
    for trial in trials:
        score, success = _estimates(trial)
        rows.append(
            {
                "obs_kind": trial.conditions.obs_kind,
                "control": trial.conditions.control,
                "preset": trial.conditions.preset,
                "set": " ".join(trial.conditions.changes),
                "trial": trial.number,
                "state": trial.state,
                "settings": " ".join(trial.changes),
                "updates": trial.pauses[-1].update if trial.pauses else 0,
                "planned_updates": trial.updates,
                "update_seconds": trial.update_seconds,
                "seconds": trial.seconds,
                **estimate_columns("score", score),
                **estimate_columns("success", success),
                "copying": trial.pauses[-1].copying if trial.pauses else None,
                "failure": trial.failure,
            }
        )
    return csv_text(pd.DataFrame(rows))


def _ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Sorts trials: those that came furthest first, the best of these first."""
    return sorted(
        trials,
        key=lambda t: (
            t.state == "failed",
            -len(t.pauses),
            -(t.pauses[-1].score if t.pauses else 0),
        ),
    )


def _dimensions(trials: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for name in trial.values))


def _short(name: str) -> str:
    return name.removeprefix("policy.").removeprefix("training.")


def _cells(trial: Trial, names: Sequence[str]) -> list[str]:
    changes = dict(text.split("=", 1) for text in trial.changes)
    values = [changes.get(n, trial.values.get(n, "preset")) for n in names]
    score, success = _estimates(trial)
    done = trial.pauses[-1].update if trial.pauses else 0
    copying = trial.pauses[-1].copying if trial.pauses else None
    return [
        str(trial.number),
        *values,
        f"{done:,} of {trial.updates:,}",
        milliseconds(trial.update_seconds),
        duration(trial.seconds),
        with_interval(score),
        with_interval(success),
        NOTHING if copying is None else decimals(copying),
        trial.state,
    ]


def _estimates(trial: Trial) -> tuple[Estimate | None, Estimate | None]:
    if not trial.pauses:
        return None, None
    last = trial.pauses[-1]
    scores, successes = np.array([last.scores]), np.array([last.successes], float)
    return (
        estimate_mean(scores, level=LEVEL),
        estimate_mean(successes, level=LEVEL),
    )


def _footer(trials: Sequence[Trial]) -> list[str]:
    """Says what the search did, and what its scores are good for."""
    first = trials[0].conditions
    ends = [trial.state for trial in trials]
    counts = ", ".join(f"{ends.count(state)} {state}" for state in dict.fromkeys(ends))
    threads = f"{first.threads} thread{'s' * (first.threads > 1)} a training"
    machine = first.gpu or f"{first.processor}, {threads}"
    commits = ", ".join(dict.fromkeys(trial.commit for trial in trials))
    total = sum(trial.seconds for trial in trials)
    return [
        f"Search: {len(trials)} trials ({counts}), {duration(total)} of training and "
        f"evaluation.",
        "A trial is pruned after a ninth or a third of its updates, unless its score "
        "is in the best third of the trials that came as far. It is pruned at once "
        "if it would make less than a quarter of the updates of trial 0, the preset, "
        "which is never pruned.",
        "The scores chose the settings, so the best one is biased upwards: report it "
        "on test starts.",
        f"[low, high]: {LEVEL:.0%} interval of the one training of a row, over starts "
        "like these.",
        f"Preset: {first.preset}{_changed(first.changes)}. Demonstrations: "
        f"{first.demos[:12]}. Trained on {machine}; commit {commits}.",
    ]


def _changed(changes: Sequence[str]) -> str:
    return f" with {' '.join(changes)}" if changes else ""
