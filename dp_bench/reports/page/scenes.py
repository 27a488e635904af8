"""Which episodes of a table are filmed for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dp_bench.errors import BadInput
from dp_bench.evaluation.films import Scene
from dp_bench.reports.page.content import disagreement
from dp_bench.reports.page.origin import RunFile, runs_of, weights_of
from dp_bench.reports.table import FAMILY, Row, Table, grouped
from dp_bench.runs.folder import read_run
from dp_bench.util.text import shown

ALL, DISAGREEMENT = "all", "disagreement"
FEW = 6  # starts of `disagreement`
MOST = 1000  # a larger number is an env seed
RULE = f"{ALL}, {DISAGREEMENT}, a number of starts (1 to {MOST}), or env seeds"


class Wanted(NamedTuple):
    """Which starts the user wants to see.

    Attributes:
        word: "all" or "disagreement"; "" for the others.
        number: The first so many; 0 for the others.
        env_seeds: These.
    """

    word: str = ""
    number: int = 0
    env_seeds: tuple[int, ...] = ()

    @classmethod
    def read(cls, texts: Sequence[str]) -> Wanted:
        """Reads what was typed after `--films`.

        Raises:
            BadInput: When it is neither a word, a number nor env seeds.
        """
        if len(texts) == 1 and texts[0] in (ALL, DISAGREEMENT):
            return cls(word=texts[0])
        bad = [t for t in texts if not (t.isascii() and t.isdigit() and len(t) < 11)]
        if bad or not texts:
            got = shown(bad[0]) if bad else "nothing"
            raise BadInput(f"--films takes {RULE}; got {got}")
        numbers = tuple(map(int, texts))
        if len(numbers) == 1 and 0 < numbers[0] <= MOST:
            return cls(number=numbers[0])
        if min(numbers) <= MOST:
            raise BadInput(
                f"--films takes {RULE}; {min(numbers)} is neither a number of starts "
                "nor an env seed of an evaluation"
            )
        return cls(env_seeds=numbers)

    def starts(self, rows: Sequence[Row]) -> list[int]:
        """Lists the starts of a family of rows that shall be seen."""
        met = sorted({start for row in rows for start in row.env_seeds})
        if self.env_seeds:
            return [start for start in self.env_seeds if start in {*met}]
        if self.word == DISAGREEMENT:
            apart = disagreement(rows)
            return sorted(apart, key=lambda start: -apart[start])[:FEW]
        return met[: self.number or None]


def scenes_of(
    table: Table,
    wanted: Wanted,
    trainings: Mapping[str, RunFile],
    runs: Mapping[str, Path],
) -> tuple[list[Scene], int]:
    """Lists what to film: the wanted starts, under one training of each row.

    Of the trainings of a row it takes the first whose run folder is known.

    Args:
        table: Of one task.
        wanted: Which starts.
        trainings: As of `read_runs`.
        runs: Run folders by name, as of `known_runs`.

    Returns:
        The scenes, and the number of rows without a run folder.
    """
    scenes, lost = [], 0
    for rows in grouped(table.rows, FAMILY):
        starts = wanted.starts(rows)
        for row in rows:
            names = [n for n in runs_of(row, trainings) if n in runs]
            if not names:
                lost += 1
                continue
            seed, met = trainings[names[0]].info.train_seed, {*row.env_seeds}
            scenes += [
                Scene(
                    run=names[0],
                    weights=weights_of(row, seed, trainings[names[0]]),
                    step=int(row.step),
                    variant=row.variant,
                    env_seed=start,
                    train_seed=seed,
                )
                for start in starts
                if start in met
            ]
    return scenes, lost


def known_runs(
    trainings: Mapping[str, RunFile], folders: Sequence[Path]
) -> dict[str, Path]:
    """Finds the run folders of trainings.

    Args:
        trainings: As of `read_runs`.
        folders: Run folders, and folders of a task's run folders.

    Returns:
        By name. A folder with other weights than the training's is left out.
    """
    found: dict[str, Path] = {}
    for name, training in trainings.items():
        for folder in folders:
            for run in (folder, folder / name):
                if run.resolve().name == name and (run / "run.json").is_file():
                    _, trained = read_run(run / "run.json")
                    if training.trained.weights in ("", trained.weights):
                        found.setdefault(name, run)
    return found
