"""Remakes every table and figure from raw records.

results/<task>/table.md .tex .csv, success.png, loss.png   always
results/<task>/control.png         where a method has rows with both controls
results/<task>/profile.png         where scores lie between 0 and 1
results/<task>/probability.png     where two comparable rows have several trainings
results/<task>/learning*.png, stability.png   where runs were evaluated at several steps
results/<task>/modes.md .csv .png  from modes.jsonl, which `dp-bench modes` writes
results/<task>/encoders.md .csv .png  from encoders.jsonl, of `dp-bench study encoders`
results/<task>/samplers.md .csv .png  from samplers.jsonl, of `dp-bench study samplers`
results/<task>/search/*.md .csv       from *.jsonl there, which `dp-bench tune` writes
results/<group>/table.md .csv, success.png   of several tasks, see group.py
results/overview.md                of all tables, see overview.py
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dp_bench import registry
from dp_bench.evaluation import encoders as encoder_study
from dp_bench.evaluation import records
from dp_bench.evaluation import samplers as sampler_study
from dp_bench.evaluation import search as search_trials
from dp_bench.evaluation.records import Record
from dp_bench.reports import learning, trained, trainings
from dp_bench.reports.csv_file import to_csv
from dp_bench.reports.latex import to_latex
from dp_bench.reports.markdown import to_markdown
from dp_bench.reports.published import published_demos_of, published_values
from dp_bench.reports.summary import summary
from dp_bench.reports.table import Table
from dp_bench.runs.folder import read_run
from dp_bench.runs.info import RunInfo
from dp_bench.runs.trained import Trained
from dp_bench.task import Column
from dp_bench.util.files import ReadOnly, atomic_write_text, whole_files

if TYPE_CHECKING:
    from rich.table import Table as RichTable


def remake_groups(results: Path) -> list[RichTable]:
    """Remakes the tables of groups of tasks, where any of their tasks has records.

    Args:
        results: Folder with a folder for each group, or one of these. One that cannot
            be written keeps its files.

    Returns:
        Tables for the terminal.
    """
    from dp_bench.reports import group

    tables: dict[Path, dict[str, Table]] = {}
    for task in registry.tasks().values():
        if not task.group:
            continue
        root = results if results.name == task.group else results / task.group
        own = root / task.name
        for place in sorted(own.rglob("records")) if own.is_dir() else []:
            read = trained.with_trainings(records.read(place), place.parent)
            test = [r for r in read if r.starts == "test"]
            if test:
                folder = root / place.parent.relative_to(own)
                tables.setdefault(folder, {})[task.name] = summary(test, task)
    made = []
    for folder, members in tables.items():
        try:
            made.append(group.make(folder, members))
        except ReadOnly:
            made.append(group.shown(folder, members))
    return made


def remake_task(folder: Path) -> Table:
    """Remakes the tables and figures of one task and its demonstrations.

    Args:
        folder: `results/<task>` or `results/<task>/<source>`.

    Returns:
        The table of test starts.

    Raises:
        ReadOnly: When the folder can be read and not written.
    """
    everything = _records(folder)
    table = _table(folder, everything)
    texts = {
        "table.md": to_markdown(table),
        "table.tex": to_latex(table),
        "table.csv": to_csv(table),
    }
    for name, text in texts.items():
        atomic_write_text(folder / name, text)
    _draw_scores(folder, table)
    _draw_training(folder, everything, table.title)
    if (folder / "modes.jsonl").is_file():
        from dp_bench.reports import multimodality

        multimodality.remake(folder)
    remake_studies(folder)
    return table


def remake_studies(folder: Path) -> None:
    """Remakes the tables and figures of the studies and searches of a folder."""
    if (folder / encoder_study.FILE).is_file():
        from dp_bench.reports import encoders

        encoders.remake(folder)
    if (folder / sampler_study.FILE).is_file():
        from dp_bench.reports import samplers

        samplers.remake(folder)
    if (folder / search_trials.FOLDER).is_dir():
        from dp_bench.reports import search

        search.remake(folder)


def shown_studies(folder: Path) -> list[str]:
    """Makes the tables of `remake_studies`, and writes nothing."""
    from dp_bench.reports import encoders, samplers, search

    texts = []
    if (folder / encoder_study.FILE).is_file():
        texts.append(encoders.shown(folder))
    if (folder / sampler_study.FILE).is_file():
        texts.append(samplers.shown(folder))
    return [*texts, *search.shown(folder)]


def table_of(folder: Path) -> Table:
    """Makes the table of `remake_task`, and writes nothing."""
    return _table(folder, _records(folder))


def _records(folder: Path) -> list[Record]:
    """Reads the records of a folder, and how their weights were trained."""
    return trained.with_trainings(records.read(folder / "records"), folder)


def _table(folder: Path, everything: Sequence[Record]) -> Table:
    from dp_bench.reports import search

    test = [r for r in everything if r.starts == "test"]
    table = summary(
        test or everything,
        published=published_values(folder),
        published_demos=published_demos_of(folder.name),
        source=folder.name,
    )
    sources = {info.demos_source for info, _ in _runs(folder)}
    if len(sources) == 1:
        [source] = sources
        title = f"{table.title} ({source} demonstrations)"
        table = dataclasses.replace(table, title=title)
    notes = search.budgets(folder, table.rows)
    return dataclasses.replace(table, footer=(*table.footer, *notes))


def _runs(folder: Path) -> list[tuple[RunInfo, Trained]]:
    """Reads the settings of all trainings of a folder."""
    return [read_run(file) for file in whole_files((folder / "runs").glob("*.json"))]


def _draw_scores(folder: Path, table: Table) -> None:
    from dp_bench.reports.plots import controls, profiles, scores
    from dp_bench.reports.plots.style import figure_of, save

    save(figure_of(scores.success_bars(table)), folder / "success.png")
    if controls.both_controls(table):
        save(figure_of(controls.controls(table)[0]), folder / "control.png")
    if profiles.profile_blocks(table):
        save(figure_of(profiles.profiles(table)[0]), folder / "profile.png")
    if profiles.compared_blocks(table):
        save(figure_of(profiles.probabilities(table)[0]), folder / "probability.png")


def _draw_training(folder: Path, everything: Sequence[Record], heading: str) -> None:
    from dp_bench.reports.plots import curves
    from dp_bench.reports.plots.style import figure_of, save

    several = trainings.with_several_steps(everything)
    frame = records.to_frame(several)
    if several and learning.score_curves(frame):
        ax = curves.learning_curves(frame, heading=heading)
        save(figure_of(ax), folder / "learning.png")
        for column in columns_with_curves(frame):
            ax = curves.learning_curves(
                frame, column=column.key, title=column.title, heading=heading
            )
            save(figure_of(ax), folder / f"learning_{column.key}.png")
    runs = trainings.read(folder)
    if runs:
        axes = curves.loss_curves(trainings.logs_by_method(runs), title=heading)
        save(figure_of(axes[0]), folder / "loss.png")
    rows = trainings.beside_their_logs(several, runs)
    if rows:
        axes = curves.stability(
            {curve: row.logs for curve, row in rows.items()},
            {curve: records.to_frame(row.records) for curve, row in rows.items()},
            heading=heading,
        )
        save(figure_of(axes[0]), folder / "stability.png")


def columns_with_curves(frame: pd.DataFrame) -> list[Column]:
    """Lists the task's columns that have a learning curve and occur in the records."""
    task = registry.tasks().get(frame["task"].iloc[0])
    columns = task.columns if task else ()
    return [c for c in columns if c.curve and c.key in frame]
