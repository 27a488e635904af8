"""Which episodes of a table are filmed for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.evaluation import films
from dp_bench.evaluation.films import Scene
from dp_bench.reports import remake
from dp_bench.reports.page.content import RunFile, read_runs, runs_of
from dp_bench.reports.table import FAMILY, Row, Table, grouped
from dp_bench.runs.folder import read_run
from dp_bench.util.text import shown

ALL, DISAGREEMENT = "all", "disagreement"
FEW = 6  # starts of `disagreement`
MOST = 1000  # a larger number is an env seed
RULE = f"{ALL}, {DISAGREEMENT}, a number of starts, or env seeds"


def wanted_scenes(
    table: Table,
    wanted: Sequence[str],
    trainings: Mapping[str, RunFile],
    runs: Mapping[str, Path],
) -> list[Scene]:
    """Lists what to film: the wanted starts, under one training of each row.

    Of the trainings of a row it takes the first whose run folder is known.

    Args:
        table: Of one task.
        wanted: "all"; "disagreement" for the starts on which the rows of a family
            differ most; a number, for the first so many starts; or env seeds.
        trainings: As of `read_runs`.
        runs: Run folders by name, as of `known_runs`.

    Raises:
        BadInput: When `wanted` is none of these, or no row met a wanted start.
    """
    chosen = _numbers(wanted)
    scenes = []
    for rows in grouped(table.rows, FAMILY):
        starts = _starts(rows, chosen)
        for row in rows:
            names = [n for n in runs_of(row, trainings) if n in runs]
            if not names:
                continue
            run = trainings[names[0]]
            scenes += [
                Scene(
                    run=names[0],
                    weights=run.trained.weights,
                    step=int(row.step),
                    variant=row.variant,
                    env_seed=start,
                    train_seed=run.info.train_seed,
                )
                for start in starts
                if start in row.env_seeds
            ]
    every = {start for row in table.rows for start in row.env_seeds}
    if isinstance(chosen, list) and (others := sorted({*chosen} - every)):
        raise BadInput(
            f"--films names start {others[0]}, which no row of {table.title!r} met; "
            f"they met {min(every)} to {max(every)}"
        )
    return scenes


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
                if run.name == name and (run / "run.json").is_file():
                    _, trained = read_run(run / "run.json")
                    if training.trained.weights in ("", trained.weights):
                        found.setdefault(name, run)
    return found


def _numbers(wanted: Sequence[str]) -> str | int | list[int]:
    """Reads a word, a number of starts, or env seeds."""
    if len(wanted) == 1 and wanted[0] in (ALL, DISAGREEMENT):
        return wanted[0]
    bad = [text for text in wanted if not (text.isascii() and text.isdigit())]
    if bad or not wanted:
        raise BadInput(f"--films takes {RULE}; got {shown((bad or [''])[0])}")
    numbers = [int(text) for text in wanted]
    if len(numbers) == 1 and 0 < numbers[0] < MOST:
        return numbers[0]
    if min(numbers) < MOST:
        raise BadInput(
            f"--films takes {RULE}; {min(numbers)} is no env seed of an evaluation"
        )
    return numbers


def _starts(rows: Sequence[Row], chosen: str | int | list[int]) -> list[int]:
    """Lists the starts that the rows of a family shall show."""
    if isinstance(chosen, list):
        return chosen
    starts = sorted({start for row in rows for start in row.env_seeds})
    if chosen == ALL:
        return starts
    if isinstance(chosen, int):
        return starts[:chosen]
    shared = [start for start in starts if all(start in r.env_seeds for r in rows)]
    means = np.array(
        [
            row.scores.mean(axis=0)[[row.env_seeds.index(s) for s in shared]]
            for row in rows
        ]
    )
    order = np.argsort(means.min(axis=0) - means.max(axis=0), kind="stable")
    return [shared[k] for k in order[:FEW]]


def film(folder: Path, wanted: Sequence[str], runs: Sequence[Path]) -> None:
    """Films episodes of a table whose run folders are known.

    Args:
        folder: Of results.
        wanted: As of `wanted_scenes`.
        runs: Run folders; those in runs/ are known, too.

    Raises:
        BadInput: When `wanted` is wrong, or a run cannot be played.
    """
    trainings = read_runs(folder)
    tasks = dict.fromkeys(training.info.task for training in trainings.values())
    places = [*runs, *(Path("runs") / task for task in tasks)]
    known = known_runs(trainings, places)
    scenes = wanted_scenes(remake.table_of(folder), wanted, trainings, known)
    if scenes:
        films.make(folder, scenes, known)
    lost = len(trainings) - len(known)
    if lost:
        print(
            f"{folder}: {lost} of {len(trainings)} trainings have no run folder here, "
            "so they were not filmed; name the folders with --runs"
        )
