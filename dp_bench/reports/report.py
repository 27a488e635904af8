"""Remakes every table and figure from raw records.

results/<task>/records/*.jsonl    what was measured
results/<task>/logs/*.jsonl       loss while training
results/<task>/modes.jsonl        paths from one start, by `dp-bench modes`
results/<task>/table.md .tex .csv, success.png, loss.png   remade
results/<task>/control.png         where a method has rows with both controls
results/<task>/learning*.png, stability.png   remade from runs evaluated on the way
results/<task>/modes.md .csv .png            remade from modes.jsonl

Demonstrations of another source than the task's first have a folder of their own,
results/<task>/<source>/: rows of one table were trained on the same. Tasks of a group
lie in a folder of it, results/<group>/<task>/, beside a table of all, see group.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.evaluation.records import Record
from dp_bench.reports.table import Table
from dp_bench.runs.folder import RunFolder
from dp_bench.task import Column
from dp_bench.util.files import atomic_write, is_plain

OWN = ("records", "logs", "runs")  # folders that a folder of results has itself


def folder_of(task: str, source: str) -> Path:
    """Where results of a task and its demonstrations lie, below the results.

    Raises:
        BadInput: When the source cannot name a folder there.
    """
    if not is_plain(source) or source in OWN:
        raise BadInput(
            f"demonstrations {source!r} cannot name a folder of results: use letters, "
            f"digits, '_', '-' and '.', and none of {', '.join(OWN)}"
        )
    known = registry.tasks().get(task)
    first = (known and known.default_source) or source
    own = Path(known.group, task) if known else Path(task)
    return own if source == first else own / source


def collect(runs: Sequence[Path], results: Path) -> None:
    """Copies records, log and settings of run folders to where reports are made.

    Args:
        runs: Run folders.
        results: Folder with a folder for each task; or one such folder.

    Raises:
        BadInput: When a run does not belong in the folder.
    """
    for run in map(RunFolder, runs):
        info = run.info()
        own = folder_of(info.task, info.demos_source)
        task = results / own
        if (results / "records").is_dir() and not task.is_dir():
            if results.resolve().parts[-len(own.parts) :] != own.parts:
                raise BadInput(
                    f"{run.path} is a run of {info.task} on demonstrations "
                    f"{info.demos_source!r}, and {results} holds results of others; "
                    "name the folder above it"
                )
            task = results
        name = run.path.name
        copies = {
            run.records: task / "records" / f"{name}.jsonl",
            run.log: task / "logs" / f"{name}.jsonl",
            run.path / "run.json": task / "runs" / f"{name}.json",
        }
        for source, target in copies.items():
            if source.is_file():
                with atomic_write(target) as aside:
                    shutil.copyfile(source, aside)


def tasks_in(results: Path) -> list[Path]:
    """Folders that have records, of tasks and of their demonstrations.

    Raises:
        BadInput: When there are none.
    """
    found = sorted(p.parent for p in results.rglob("records") if p.is_dir())
    if not found:
        raise BadInput(
            f"{results} has no <task>/records/*.jsonl, nor has a folder in it; "
            "`dp-bench compare` writes them"
        )
    return found


def make_groups(results: Path) -> list[Any]:
    """Remakes the tables of groups of tasks, where any of their tasks has records.

    Args:
        results: Folder with a folder for each group, or one of these.

    Returns:
        Tables for the terminal.
    """
    from dp_bench.reports import group
    from dp_bench.reports import table as tables

    found: dict[Path, dict[str, Table]] = {}
    for task in registry.tasks().values():
        if not task.group:
            continue
        root = results if results.name == task.group else results / task.group
        own = root / task.name
        for place in sorted(own.rglob("records")) if own.is_dir() else []:
            test = [r for r in records.read(place) if r.starts == "test"]
            if test:
                source = place.parent.relative_to(own)
                found.setdefault(root / source, {})[task.name] = tables.summary(
                    test, task
                )
    return [group.make(folder, of) for folder, of in found.items()]


def make(folder: Path) -> Table:
    """Remakes the tables and figures of one task and its demonstrations.

    Args:
        folder: `results/<task>` or `results/<task>/<source>`.

    Returns:
        The table of test starts.
    """
    found = records.read(folder / "records")
    test = [r for r in found if r.starts == "test"]
    from dp_bench.reports import plots
    from dp_bench.reports import table as tables

    table = tables.summary(
        test or found,
        published=published(folder),
        published_demos=published_of(folder.name),
    )
    texts = {
        "table.md": tables.to_markdown(table),
        "table.tex": tables.to_latex(table),
        "table.csv": tables.to_csv(table),
    }
    for name, text in texts.items():
        with atomic_write(folder / name) as aside:
            aside.write_text(text)
    plots.save(_figure(plots.success_bars(table)), folder / "success.png")
    if plots.both_controls(table):
        plots.save(_figure(plots.controls(table)[0]), folder / "control.png")
    curves = _with_several_steps(found)
    if curves:
        frame = records.to_frame(curves)
        plots.save(_figure(plots.learning_curves(frame)), folder / "learning.png")
        for column in _curves_of(frame):
            ax = plots.learning_curves(frame, column=column.key, title=column.title)
            plots.save(_figure(ax), folder / f"learning_{column.key}.png")
    logs = _logs(folder)
    if logs:
        plots.save(_figure(plots.loss_curves(_by_method(logs))), folder / "loss.png")
    rows = _rows(curves, logs)
    if rows:
        axes = plots.stability(
            {label: row.logs for label, row in rows.items()},
            {label: records.to_frame(row.records) for label, row in rows.items()},
        )
        plots.save(_figure(axes[0]), folder / "stability.png")
    if (folder / "modes.jsonl").is_file():
        from dp_bench.reports import multimodality

        multimodality.remake(folder)
    return table


def _curves_of(frame: Any) -> list[Column]:
    """Columns of the task that have learning curves, and that its records hold."""
    task = registry.tasks().get(frame["task"].iloc[0])
    columns = task.columns if task else ()
    return [c for c in columns if c.curve and c.key in frame]


def published(folder: Path) -> Any:
    """The published values, from `published.csv` in the folder or not far above it."""
    import pandas as pd

    checkout = Path(__file__).resolve().parents[2] / "results"
    for place in (folder, *folder.parents[:3], checkout):
        if (place / "published.csv").is_file():
            return pd.read_csv(place / "published.csv")
    return None


def published_of(source: str) -> str:
    """Which published demonstrations results from a source belong beside.

    Of Robomimic there are two tables: of those of mixed quality, and of the rest.
    """
    return "mh" if source == "mh" else "ph"


def _with_several_steps(found: list[Record]) -> list[Record]:
    """Records of runs that were evaluated at several updates, on the same starts."""
    steps: dict[Any, set[int]] = {}
    for r in found:
        steps.setdefault((r.settings, r.train_seed, r.starts), set()).add(r.step)
    return [r for r in found if len(steps[r.settings, r.train_seed, r.starts]) > 1]


class _Row(NamedTuple):
    """Trainings that differ in nothing but their seed.

    Attributes:
        logs: One for each training.
        records: Of one variant and kind of starts.
    """

    logs: list[list[dict[str, Any]]]
    records: list[Record]


def _rows(
    curves: list[Record], logs: Mapping[str, tuple[dict[str, Any], list[Any]]]
) -> dict[str, _Row]:
    """Records of several steps beside the logs of the same trainings, by label.

    Test starts where there are such records, validation starts otherwise; in the
    variant that the task leads with.
    """
    chosen = [r for r in curves if r.starts == "test"] or curves
    if not chosen:
        return {}
    task = registry.tasks().get(chosen[0].task)
    variants = [*(task.variants if task else ()), *(r.variant for r in chosen)]
    there = {r.variant for r in chosen}
    variant = next(v for v in variants if v in there)
    chosen = [r for r in chosen if r.variant == variant]
    members: dict[tuple[str, str, str], list[Record]] = {}
    for r in chosen:
        members.setdefault((r.method, r.settings, r.demos_digest), []).append(r)
    rows = {}
    for method, settings, demos in sorted(
        members, key=lambda key: (registry.position_of(key[0]), key)
    ):
        rivals = [key for key in members if key[0] == method]
        label = registry.title_of(method)
        if len({key[1] for key in rivals}) > 1:
            label += f", settings {settings}"
        if len({key[2] for key in rivals}) > 1:
            label += f", demonstrations {demos[:8]}"
        rows[label] = _Row(
            [
                lines
                for name, (info, lines) in logs.items()
                if name.startswith(f"{method}-{settings}-")
                and info.get("demos_digest") == demos
            ],
            members[method, settings, demos],
        )
    return rows


def _logs(folder: Path) -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Settings and log of each run by the name of its folder."""
    logs = {}
    for file in sorted((folder / "logs").glob("*.jsonl")):
        run = folder / "runs" / f"{file.stem}.json"
        try:
            info = json.loads(run.read_text())
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            _label(info)
            logs[file.stem] = info, lines
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{file} and {run} are no log and its run ({error}); "
                "`dp-bench compare` copies them again from its run folders"
            ) from None
    return logs


def _by_method(
    logs: Mapping[str, tuple[dict[str, Any], list[Any]]],
) -> dict[str, list[list[Any]]]:
    """Logs by label, methods in the order of the table."""
    found: dict[str, list[list[Any]]] = {}
    for info, lines in sorted(
        logs.values(), key=lambda run: registry.position_of(run[0]["method"])
    ):
        found.setdefault(_label(info), []).append(lines)
    return found


def _label(info: Mapping[str, Any]) -> str:
    """Method and tier of one training."""
    tier = "" if info["preset"] == "laptop" else f", {info['preset']}"
    return registry.title_of(info["method"]) + tier


def _figure(ax: Any) -> Any:
    return ax.get_figure()
