"""Passages of demonstrations that begin before the same choice as a task's fork.

`results/<task>/modes_demos.jsonl` holds them, one per line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dp_bench import references
from dp_bench.data import store
from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput
from dp_bench.evaluation.multimodality import fork_of
from dp_bench.task import Task
from dp_bench.util import jsonl

Find = Callable[[np.ndarray, Sequence[float], int], list[np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One passage, with everything a figure needs to draw it.

    Attributes:
        task: Name of the task.
        demos_source: Name of the demonstrations' source.
        demos_digest: Content digest of the demonstrations.
        episode: Episode of the demonstrations.
        start: State at the fork, `(S,)`.
        path: Positions, `(L, 2)`, moved to where the fork is.
    """

    task: str
    demos_source: str
    demos_digest: str
    episode: int
    start: tuple[float, ...]
    path: tuple[tuple[float, ...], ...]


def collect(
    task: Task, sources: Mapping[str, str], path: Path | None = None
) -> list[Passage]:
    """Finds the passages of demonstrations from which runs learned.

    Args:
        task: A task with a fork.
        sources: Source by digest, of the demonstrations from which the runs learned.
        path: A file with one of them; None for those that have been imported. Others
            are left out.

    Raises:
        BadInput: When no run learned from `path`, or a file cannot be used.
    """
    find = fork_of(task).passages
    if find is None:
        return []
    if path is not None:
        demos = store.load_demos(task, None, path)
        if demos.digest not in sources:
            raise BadInput(
                f"the runs did not learn from {path}: its digest is "
                f"{demos.digest[:12]}, and theirs {_listed(sources)}; name the file "
                "that they learned from, or leave --demos out"
            )
        return _passages_of(task, demos, references.load(find))
    found = []
    for digest, source in sources.items():
        if store.find(task, source) is not None:
            demos = store.load_demos(task, source)
            if demos.digest == digest:
                found += _passages_of(task, demos, references.load(find))
    return found


def _listed(digests: Iterable[str]) -> str:
    return ", ".join(digest[:12] for digest in digests)


def _passages_of(task: Task, demos: Demos, find: Find) -> list[Passage]:
    fork = fork_of(task)
    return [
        Passage(
            task=task.name,
            demos_source=demos.source,
            demos_digest=demos.digest,
            episode=k,
            start=fork.start,
            path=tuple(map(tuple, path.tolist())),
        )
        for k in range(demos.num_episodes)
        for path in find(demos.states[demos.episode(k)], fork.start, fork.steps)
    ]


def write(path: Path, passages: Iterable[Passage]) -> None:
    """Writes passages as JSON lines; a failed write leaves the old file in place."""
    jsonl.write(path, passages)


def read(path: Path) -> list[Passage]:
    """Reads a file that `write` wrote; there are none where there is no file.

    Raises:
        BadInput: When a line is not a passage; the message names the file and the line.
    """
    remedy = "make the file again with `dp-bench modes`"
    return jsonl.read_or_advise(path, Passage, remedy)
