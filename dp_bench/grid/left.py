"""Counts the updates and episodes that a cell still has to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dp_bench.grid.cell import ResolvedCell
from dp_bench.grid.prepare import prepare


class Left(NamedTuple):
    """The work that is left of a cell.

    Attributes:
        updates: Number of updates.
        episodes: Number of episodes of evaluation.
        done: The run folder if nothing at all is left, or "".
    """

    updates: int
    episodes: int
    done: str


def left_of(cell: ResolvedCell) -> Left:
    """Counts the updates and the episodes that a cell still has to do.

    Raises:
        BadInput: When the cell cannot be trained.
    """
    from dp_bench.evaluation import records
    from dp_bench.evaluation.starts import DECISION, env_seeds_of
    from dp_bench.runs.facts import load_facts

    settings = cell.settings
    kind, further = cell.names.starts, cell.names.decision_starts
    starts = env_seeds_of(kind, cell.names.episodes or settings.episodes)
    variants = len(cell.task.variants) if kind == "test" else 1
    episodes = variants * len(starts) + further
    updates = updates_in_all = settings.training.updates
    if not cell.demos.is_on_disk:
        return Left(updates, episodes, "")
    prepared = prepare(cell)
    folder, name = prepared.folder, prepared.info.settings
    if folder.weights.is_file():
        updates = 0
        if folder.records.is_file():
            evaluated = [
                record
                for record in records.read(folder.records)
                if record.settings == name and record.step == updates_in_all
            ]
            episodes -= sum(record.env_seed in starts for record in evaluated)
            decisions = sum(record.starts == DECISION for record in evaluated)
            episodes -= min(decisions, further)
    elif folder.resume.is_file():
        updates -= load_facts(folder.resume).update
    updates, episodes = max(0, updates), max(0, episodes)
    # Without a digest of the weights, a training was killed just before its end.
    is_done = not updates and not episodes and folder.trained().weights
    return Left(updates, episodes, str(folder.path) if is_done else "")


def all_done(cells: Sequence[ResolvedCell]) -> list[str]:
    """Returns the run folders of all cells of a task; [] if a cell has work left.

    Raises:
        BadInput: When a cell cannot be trained.
    """
    first = cells[0]
    if not (Path(first.names.runs) / first.task.name).is_dir():
        return []
    folders: list[str] = []
    for cell in cells:
        folders.append(left_of(cell).done)
        if not folders[-1]:
            break
    first.demos.forget()
    return folders if folders[-1] else []
