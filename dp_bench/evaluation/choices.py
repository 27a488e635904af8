"""Which ways the rollouts of runs, and the demonstrations, took from a fork."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np

from dp_bench import references, registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.multimodality import Rollout, fork_of
from dp_bench.evaluation.passages import Passage
from dp_bench.runs.info import RunIdentity
from dp_bench.statistics.estimates import Estimate, estimate_mean
from dp_bench.task import Task, Way

# How a title states the fields in which runs of one method differ.
RUN_LABELS = {
    "preset": "{}",
    "obs_kind": "{}",
    "control": "{}",
    "settings": "settings {}",
    "demos_digest": "demonstrations {:.8}",
    "frames_digest": "images {:.8}",
    "step": "{} updates",
    "train_seed": "seed {}",
}


class Choice(NamedTuple):
    """The sides that the rollouts of one run, or the demonstrations, chose.

    Attributes:
        title: The method, and whatever distinguishes this run from its others.
        paths: Positions of each rollout, `(L, 2)`.
        sides: -1 for left, 1 for right, 0 for neither, `(N,)`.
        committed: Whether each rollout kept to its side, `(N,)`.
        is_round: Whether each rollout got round the obstacle, `(N,)`. One that did not
            has no side and has not committed.
        left: Share that went left, among those that chose a side; None if none did.
        commits: Share that committed, among all rollouts.
        method: The method; "" for demonstrations.
    """

    title: str
    paths: list[np.ndarray]
    sides: np.ndarray
    committed: np.ndarray
    is_round: np.ndarray
    left: Estimate | None
    commits: Estimate
    method: str = ""


def choices(
    rollouts: Sequence[Rollout], passages: Sequence[Passage] = ()
) -> list[Choice]:
    """Judges the passages of demonstrations, and the rollouts of each run.

    Args:
        rollouts: Of runs of one task.
        passages: Of demonstrations; those from which none of the runs learned are left
            out.

    Returns:
        One entry for each set of demonstrations, then one per run, in the order of the
        runs.

    Raises:
        BadInput: When the rollouts are of several tasks, or the task's judge does not
            say whether a path got round.
    """
    tasks = sorted({r.task for r in rollouts})
    if len(tasks) != 1:
        raise BadInput(
            f"a figure shows rollouts of one task, got those of {', '.join(tasks)}"
        )
    task = registry.task(tasks[0])
    run_fields = [field.name for field in fields(RunIdentity)] + ["step"]

    def run_of(r: Rollout) -> tuple[object, ...]:
        return tuple(getattr(r, name) for name in run_fields)

    runs = [list(run) for _, run in itertools.groupby(rollouts, run_of)]
    digests = dict.fromkeys(run[0].demos_digest for run in runs)
    demos = {d: [p for p in passages if p.demos_digest == d] for d in digests}
    titled: list[tuple[str, Sequence[Rollout | Passage]]] = [
        ("Demonstrations" + (f" {digest:.8}" if len(demos) > 1 else ""), found)
        for digest, found in demos.items()
        if found
    ]
    firsts = [run[0] for run in runs]
    titled += [(_title(run[0], firsts), run) for run in runs]
    return [_judged(task, title, paths) for title, paths in titled]


def _judged(task: Task, title: str, members: Sequence[Rollout | Passage]) -> Choice:
    paths = [np.array(member.path) for member in members]
    ways = [_way(task, p, m.start) for p, m in zip(paths, members, strict=True)]
    sides, committed, is_round = (np.array(c) for c in zip(*ways, strict=True))
    return Choice(
        title=title,
        paths=paths,
        sides=sides,
        committed=committed,
        is_round=is_round,
        left=_share(sides[sides != 0] < 0) if sides.any() else None,
        commits=_share(committed),
        method=members[0].method if isinstance(members[0], Rollout) else "",
    )


def _way(task: Task, path: np.ndarray, start: Sequence[float]) -> Way:
    """Asks the task's judge; a path that is not round has no side, whatever it says."""
    judge = fork_of(task).judge
    verdict = references.load(judge)(path, start)
    if len(verdict) != len(Way._fields):
        raise BadInput(
            f"{judge} of task {task.name!r} must return "
            f"({', '.join(Way._fields)}), got {verdict!r}"
        )
    way = Way(*verdict)
    if not way.is_round:
        return Way(0, False, False)
    return way._replace(committed=bool(way.committed and way.side))


def _share(hits: np.ndarray) -> Estimate:
    """Estimates the share of hits `(N,)` of one run, with Wilson's interval."""
    return estimate_mean(hits[None].astype(float))


def _title(run: Rollout, runs: Sequence[Rollout]) -> str:
    """Names the method, and the fields in which its runs differ."""
    same_method = [other for other in runs if other.method == run.method]
    differences = [
        label.format(getattr(run, name))
        for name, label in RUN_LABELS.items()
        if len({getattr(other, name) for other in same_method}) > 1
    ]
    return ", ".join([registry.title_of(run.method), *differences])
