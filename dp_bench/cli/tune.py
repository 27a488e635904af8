"""`dp-bench tune`."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from dp_bench import registry
from dp_bench.cli.options import (
    GridOptions,
    MethodName,
    ResultsFolder,
    TaskName,
    hint,
    name_and_value,
    task_or_first,
)
from dp_bench.errors import BadInput
from dp_bench.evaluation.starts import env_seeds_of
from dp_bench.util.files import locked, refuse_unwritable, remove_stale_parts

if TYPE_CHECKING:
    from dp_bench.evaluation.search import Trial
    from dp_bench.grid.cell import ResolvedCell
    from dp_bench.grid.search import Question, Search

MINUTES, EPISODES = 60.0, 50  # by default
RUN_MINUTES = {False: 15.0, True: 25.0}  # of one training, from images or not
# Settings that the search decides itself.
DECIDED = {"training.updates": "--run-minutes", "training.keep_every": "nothing"}


@dataclass(frozen=True)
class TuneOptions(GridOptions):
    """`--set training.lr=1e-4` changes a setting of every trial."""

    episodes: Annotated[
        int | None,
        arg(metavar="N", help_behavior_hint=hint(f"default: {EPISODES}")),
    ] = None
    """Evaluate on the first N of 200 validation starts."""


@dataclass(frozen=True)
class Tune:
    """Search settings of a method on validation starts; print a table.

    Trials train, pause at a ninth and at a third of their updates, and go on
    only if they are among the best. All methods of a comparison should get the
    same --minutes. The same command resumes a stopped search, and goes on with
    one that has more --minutes now. Needs: pip install 'dp-bench[tune]'.

    Examples:
      dp-bench tune --task pusht --method dp_c --minutes 60
      dp-bench tune --task can --method bet --demos my_demos.hdf5 --jobs 2
    """

    task: TaskName = None
    """Task to learn."""
    method: MethodName = None
    """Method whose settings are searched."""
    minutes: float = MINUTES
    """Time of the whole search [min]."""
    run_minutes: Annotated[
        float | None,
        arg(
            metavar="M",
            help_behavior_hint=hint("default: 15; 25 from images"),
        ),
    ] = None
    """Time of one whole training [min]; gives its number of updates."""
    seed: int = 0
    """Training seed of every trial."""
    jobs: int = 1
    """Number of trainings at a time; they share the CPU cores."""
    out: ResultsFolder = None
    """Folder of results; the trials go to OUT/TASK/search."""
    training: TuneOptions = field(default_factory=TuneOptions)

    def run(self) -> None:
        """Searches; prints and writes the table."""
        from dp_bench.evaluation import search as trials
        from dp_bench.grid import search
        from dp_bench.reports import results_folder
        from dp_bench.reports import search as report

        self._check()
        cell = self._cell()
        own = results_folder.folder_of(cell.task.name, cell.demos.source_name)
        folder = self.training.results(self.out, [cell]) / own
        refuse_unwritable(folder / trials.FOLDER, f"--out {self.out}")
        with locked(folder / trials.FOLDER / f".{cell.method.name}.lock"):
            remove_stale_parts(folder / trials.FOLDER)
            file = trials.path_of(folder, cell.method.name)
            trials.read(file)  # refuses a damaged one before anything runs
            cell.demos.obtain()
            question = self._question(cell)
            searching = search.Search(question, file, self.seed)
            print(_described(searching), flush=True)
            search.run(searching, lambda: report.remake(folder))
            known = list(searching.trials.values())
            print(report.to_markdown(known))
            print(_advice(question, search.best(known), file))

    def _check(self) -> None:
        """Refuses options that cannot be used."""
        for option, number in (
            ("minutes", self.minutes),
            ("run-minutes", self.run_minutes),
        ):
            if number is not None and not 0 < number < math.inf:
                raise BadInput(f"--{option} must be above 0, got {number:g}")
        if self.jobs < 1:
            raise BadInput(f"--jobs must be at least 1, got {self.jobs}")
        env_seeds_of("validation", self._episodes, option="--episodes")
        for text in self.training.set:
            name = name_and_value(text)[0].rpartition(":")[2]
            if name in DECIDED:
                raise BadInput(
                    f"--set {text}: the search decides {name} itself; use "
                    f"{DECIDED[name]}"
                )
        if importlib.util.find_spec("optuna") is None:
            raise BadInput(
                "a search needs Optuna, which is not installed: "
                "pip install 'dp-bench[tune]'"
            )

    @property
    def _episodes(self) -> int:
        given = self.training.episodes
        return EPISODES if given is None else given

    def _cell(self) -> ResolvedCell:
        """Makes the training of the preset."""
        method = self.method or next(iter(registry.methods()))
        options = dataclasses.replace(self.training, episodes=self._episodes)
        (cell,) = options.cells(task_or_first(self.task), [method], [self.seed])
        return cell

    def _question(self, cell: ResolvedCell) -> Question:
        from dp_bench.grid.search import Question
        from dp_bench.grid.study_plan import conditions_of
        from dp_bench.presets.space import space_of

        sees = bool(cell.task.images_of(cell.obs_kind))
        fixed = [name_and_value(text) for text in self.training.set]
        names = {name.rpartition(":")[2] for name, _ in fixed}
        space = {
            name: dim
            for name, dim in space_of(cell.method).items()
            if name not in names
        }
        conditions = conditions_of(
            cell,
            minutes=self.run_minutes or RUN_MINUTES[sees],
            updates=None,
            changes=["=".join(pair) for pair in fixed],
            jobs=self.jobs,
        )
        return Question(
            cell, conditions, space, self.minutes, self._episodes, self.jobs
        )


def _described(searching: Search) -> str:
    """Says what will be searched, and how long it takes."""
    from dp_bench.util.progress import duration

    question = searching.question
    names = ", ".join(question.space)
    left = max(0.0, 60 * question.minutes - searching.used)
    return (
        f"Searching {len(question.space)} settings of {question.cell.method.name} on "
        f"{question.cell.task.name} ({names}): {duration(left)} left of "
        f"{question.minutes:g} min; one training takes "
        f"{question.conditions.minutes:g} min"
    )


def _advice(question: Question, trial: Trial, file: Path) -> str:
    """Says what to type for the best settings."""
    updates = f"training.updates={trial.updates}"
    words = " ".join([*question.conditions.changes, *trial.changes, updates])
    names = question.cell.names
    done = "" if trial.state == "finished" else ", which was not trained to its end"
    return (
        f"best: trial {trial.number}{done}; on test starts: dp-bench train --task "
        f"{question.cell.task.name} --method {question.cell.method.name} --seed "
        f"{names.train_seed + 1} --set {words}\ntrials and table: {file.parent}"
    )
