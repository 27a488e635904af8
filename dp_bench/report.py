"""Remakes every table and figure from raw records.

results/<task>/records/*.jsonl    what was measured
results/<task>/logs/*.jsonl       loss while training
results/<task>/table.md .tex .csv, success.png, learning.png, loss.png   remade
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dp_bench import records
from dp_bench.checkpoint import RunFolder, whole
from dp_bench.errors import BadInput
from dp_bench.records import Record
from dp_bench.tables import Table


def collect(runs: Sequence[Path], results: Path) -> None:
    """Copies records, log and settings of run folders to where reports are made."""
    for run in map(RunFolder, runs):
        info = run.info()
        task = results / info.task
        name = run.path.name
        copies = {
            run.records: task / "records" / f"{name}.jsonl",
            run.log: task / "logs" / f"{name}.jsonl",
            run.path / "run.json": task / "runs" / f"{name}.json",
        }
        for source, target in copies.items():
            if source.is_file():
                with whole(target) as aside:
                    shutil.copyfile(source, aside)


def tasks_in(results: Path) -> list[Path]:
    """Folders of tasks that have records.

    Raises:
        BadInput: When there are none.
    """
    own = [results] if (results / "records").is_dir() else []
    found = own or sorted(p.parent for p in results.glob("*/records") if p.is_dir())
    if not found:
        raise BadInput(
            f"{results} has no <task>/records/*.jsonl; `dp-bench compare` writes them"
        )
    return found


def make(folder: Path) -> Table:
    """Remakes the tables and figures of one task.

    Args:
        folder: `results/<task>`.

    Returns:
        The table of test starts.
    """
    found = records.read(folder / "records")
    test = [r for r in found if r.starts == "test"]
    from dp_bench import plots, tables

    table = tables.summary(test or found, published=published(folder))
    texts = {
        "table.md": tables.to_markdown(table),
        "table.tex": tables.to_latex(table),
        "table.csv": tables.to_csv(table),
    }
    for name, text in texts.items():
        with whole(folder / name) as aside:
            aside.write_text(text)
    plots.save(_figure(plots.success_bars(table)), folder / "success.png")
    curves = _with_several_steps(found)
    if curves:
        ax = plots.learning_curves(records.to_frame(curves))
        plots.save(_figure(ax), folder / "learning.png")
    logs = _logs(folder)
    if logs:
        plots.save(_figure(plots.loss_curves(logs)), folder / "loss.png")
    return table


def published(folder: Path) -> Any:
    """The published values, from `published.csv` beside or above the task's folder."""
    import pandas as pd

    checkout = Path(__file__).resolve().parents[1] / "results"
    for place in (folder, folder.parent, checkout):
        if (place / "published.csv").is_file():
            return pd.read_csv(place / "published.csv")
    return None


def _with_several_steps(found: list[Record]) -> list[Record]:
    """Records of runs that were evaluated at several updates, on the same starts."""
    steps: dict[Any, set[int]] = {}
    for r in found:
        steps.setdefault((r.settings, r.train_seed, r.starts), set()).add(r.step)
    return [r for r in found if len(steps[r.settings, r.train_seed, r.starts]) > 1]


def _logs(folder: Path) -> dict[str, list[dict[str, Any]]]:
    logs = {}
    for file in sorted((folder / "logs").glob("*.jsonl")):
        run = folder / "runs" / f"{file.stem}.json"
        try:
            info = json.loads(run.read_text())
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            tier = "" if info["preset"] == "laptop" else f", {info['preset']}"
            logs[f"{info['method']} seed {info['train_seed']}{tier}"] = lines
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{file} and {run} are no log and its run ({error}); "
                "`dp-bench compare` copies them again from its run folders"
            ) from None
    return logs


def _figure(ax: Any) -> Any:
    return ax.get_figure()
