"""Time of every training of the laptop tier, so that all methods get the same."""

import tempfile
from pathlib import Path

import numpy as np

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.grid.cell import Cell, resolve
from dp_bench.grid.forecast import forecast
from dp_bench.grid.prepare import prepare
from dp_bench.reports.markdown import markdown_table
from dp_bench.task import IMAGE
from dp_bench.util.files import atomic_write_text

TABLE = Path(__file__).resolve().parents[2] / "results" / "perf" / "tiers.md"
GOAL = {False: 15.0, True: 25.0}  # of a training with its evaluation, from images [min]
HEADINGS = [
    *("task", "observation", "method", "ms per update", "updates", "epochs"),
    *("training [min]", "evaluation [min]", "of the goal"),
]


def tiers():
    """Times of the laptop tier: training and evaluation beside the same goal."""
    rows = []
    for task in registry.tasks().values():
        for kind in dict.fromkeys([task.obs_kinds[0], *task.obs_kinds]):
            if kind == task.obs_kinds[0] or kind == IMAGE:
                rows += _rows(task.name, kind)
    atomic_write_text(TABLE, to_markdown(rows))
    return {"rows": rows, "goal": {"largest deviation": 0.1}}


def _rows(task, kind):
    """Measures all methods on one kind of observation."""
    with tempfile.TemporaryDirectory() as empty:
        cells = [
            Cell(task, method, 0, obs_kind=kind, runs=empty)
            for method in registry.methods()
        ]
        try:
            forecasts = forecast(cells).cells
            resolved = resolve(cells)
        except BadInput as error:
            print(f"left out: {task} from {kind}: {error}", flush=True)
            return []
    goal = GOAL[kind == IMAGE]
    rows = []
    for cell, ahead in zip(resolved, forecasts, strict=True):
        training = cell.settings.training
        # Episodes that are solved end sooner, so this is the longest evaluation.
        minutes = np.array([ahead.training, ahead.evaluation]) / 60
        rows.append(
            {
                "task": task,
                "observation": kind,
                "method": cell.method.name,
                "update_ms": 1e3 * ahead.training / ahead.updates,
                "updates": ahead.updates,
                "epochs": _epochs(cell, training),
                "training_minutes": minutes[0],
                "evaluation_minutes": minutes[1],
                "of_goal": minutes.sum() / goal,
            }
        )
    return rows


def _epochs(cell, training):
    """Counts how often a training sees each row; None without demonstrations."""
    if not cell.demos.is_on_disk:
        return None
    rows = len(prepare(cell).train[1])
    return training.updates * training.batch_size / rows


def to_markdown(rows):
    """Writes the rows as a Markdown table."""
    cells = [
        [
            row["task"],
            row["observation"],
            registry.title_of(row["method"]),
            f"{row['update_ms']:.0f}",
            f"{row['updates']:,}",
            "–" if row["epochs"] is None else f"{row['epochs']:.0f}",  # noqa: RUF001
            f"{row['training_minutes']:.1f}",
            f"{row['evaluation_minutes']:.1f}",
            f"{row['of_goal']:.0%}",
        ]
        for row in rows
    ]
    about = (
        "Trainings of the laptop tier on this machine, by `make perf`. The goal is\n"
        "15 minutes for a training with its evaluation, and 25 from images. The\n"
        "evaluation counts as if no episode were solved.\n"
    )
    return "\n".join([about, *markdown_table(HEADINGS, cells, "lllrrrrrr"), ""])
