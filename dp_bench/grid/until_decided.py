"""Adding trainings of two methods until it is decided which one is better."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.evaluation.starts import DECISION, env_seeds_of
from dp_bench.grid.cell import Cell, ResolvedCell
from dp_bench.grid.local import Finished, refuse_failures
from dp_bench.runs.folder import RunFolder
from dp_bench.statistics.sequential import FEWEST, LEVEL, NEEDED, Look, look


@dataclass(frozen=True)
class Question:
    """Which of two methods is better.

    Attributes:
        a: Name of the first method.
        b: Name of the second method.
        variant: Variant of the task that decides.
        most: Largest number of trainings of each.
        starts: Number of starts that each training decides on.
    """

    a: str
    b: str
    variant: str
    most: int
    starts: int

    @property
    def pair(self) -> tuple[str, str]:
        """Names the methods."""
        return self.a, self.b

    @property
    def titles(self) -> tuple[str, str]:
        """Names the methods for a person."""
        return registry.title_of(self.a), registry.title_of(self.b)


def question(cells: Sequence[ResolvedCell], pair: Sequence[str], most: int) -> Question:
    """Makes the question that a grid can answer.

    Args:
        cells: Of one task.
        pair: The two methods; empty when the grid has no others.
        most: Largest number of trainings of each.

    Raises:
        BadInput: When the grid has not exactly these two methods, or too few trainings
            to decide.
    """
    methods = list(dict.fromkeys(cell.method.name for cell in cells))
    chosen = list(pair) or methods
    if len(chosen) != 2 or chosen[0] == chosen[1]:
        raise BadInput(
            f"--until-decided compares two methods, got {', '.join(chosen)}; name them "
            "with --pair A B"
        )
    for name in chosen:
        if name not in methods:
            raise BadInput(
                f"--pair names {name!r}, which is not among the methods "
                f"{', '.join(methods)}"
            )
    if most < FEWEST:
        raise BadInput(
            f"--most-seeds must be at least {FEWEST}, got {most}: fewer trainings "
            "cannot decide, however they end"
        )
    starts = min(
        len(env_seeds_of(DECISION, cell.names.episodes or cell.settings.episodes))
        for cell in cells
        if cell.method.name in chosen
    )
    variant = next(iter(cells[0].task.variants))
    return Question(chosen[0], chosen[1], variant, most, starts)


def until_decided(
    question: Question,
    cells: Sequence[ResolvedCell],
    *,
    jobs: int,
    run: Callable[[list[Cell]], list[Finished]],
    tell: Callable[[Look], None],
) -> tuple[Look, list[Path]]:
    """Runs the cells of one train seed after the other until a look decides.

    Nothing is kept but the records of the runs, so the same call after a kill goes on
    and ends the same. As many train seeds run side by side as fill `jobs`; each is
    looked at in its turn, so `jobs` does not change the verdict.

    Args:
        question: Which of two methods is better.
        cells: Of all train seeds.
        jobs: Number of cells that run at a time.
        run: Runs cells, and returns how each ended.
        tell: Called with the look after each batch.

    Returns:
        The last look, and the run folders in the order of the cells.

    Raises:
        BadInput: When a cell failed.
    """
    by_seed: dict[int, list[Cell]] = {}
    for cell in cells:
        number = question.starts if cell.method.name in question.pair else 0
        names = dataclasses.replace(cell.names, decision_starts=number)
        by_seed.setdefault(names.train_seed, []).append(names)
    seeds = sorted(by_seed)
    size = max(1, jobs // len(by_seed[seeds[0]]))
    folders: dict[tuple[str, int], Path] = {}
    named = {cell.names.method: cell.method.name for cell in cells}
    for first in range(0, len(seeds), size):
        batch = [cell for seed in seeds[first : first + size] for cell in by_seed[seed]]
        folders |= _folders(run(batch), named)
        differences = [
            _score(question, folders[question.a, seed], seed)
            - _score(question, folders[question.b, seed], seed)
            for seed in seeds[: first + size]
        ]
        seen = look(differences, question.most)
        tell(seen)
        if seen.verdict != "open":
            break
    return seen, list(folders.values())


def _folders(
    ends: Sequence[Finished], named: Mapping[str, str]
) -> dict[tuple[str, int], Path]:
    """Lists the run folders of cells by method and train seed.

    Args:
        ends: How the cells ended.
        named: The method of a run, by the method that was typed; settings can make it
            a variant.
    """
    refuse_failures(ends)
    return {
        (named[end.cell.method], end.cell.train_seed): end.folder
        for end in ends
        if end.folder is not None
    }


def _score(question: Question, folder: Path, seed: int) -> float:
    """Computes the mean score of a training on the starts that are its own."""
    env_seeds = env_seeds_of(DECISION, question.starts, train_seed=seed)
    scores = {
        record.env_seed: record.score
        for record in records.read(RunFolder(folder).records)
        if record.starts == DECISION and record.variant == question.variant
    }
    return float(np.mean([scores[env_seed] for env_seed in env_seeds]))


def progress_line(question: Question, seen: Look) -> str:
    """Says after a batch what the trainings show so far."""
    a, b = question.titles
    line = (
        f"{_trainings(seen)}: {a} minus {b} {seen.difference:+.3f}, evidence "
        f"{seen.evidence[-1]:.2g} of the {NEEDED:.0f} that decide"
    )
    if seen.verdict != "open":
        return line
    return f"{line}; that takes at least {_more(seen.more)}"


def verdict_sentence(question: Question, seen: Look) -> str:
    """Says in one sentence how a comparison ended."""
    a, b = question.titles
    if seen.verdict in "AB":
        better, worse = (a, b) if seen.verdict == "A" else (b, a)
        return (
            f"Decided: {better} scores higher than {worse} after {_trainings(seen)} "
            f"(difference {abs(seen.difference):.3f}, evidence "
            f"{seen.evidence[-1]:.2g}). At most {LEVEL:.0%} of comparisons of equal "
            "methods end so."
        )
    return (
        f"Not decided: {a} and {b} cannot be told apart with {question.most} trainings "
        f"of each. After {seen.trainings}, the evidence is {seen.evidence[-1]:.2g}; it "
        f"could reach {NEEDED:.0f} after {_more(seen.more)} at the earliest: "
        f"--most-seeds {seen.trainings + seen.more} would go on."
    )


def _trainings(seen: Look) -> str:
    return f"{seen.trainings} {'training' if seen.trainings == 1 else 'trainings'} each"


def _more(number: int) -> str:
    return f"{number} more {'training' if number == 1 else 'trainings'}"
