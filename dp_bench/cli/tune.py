"""`dp-bench tune`."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from dp_bench import registry
from dp_bench.cli.options import (
    GridOptions,
    MethodName,
    ResultsFolder,
    ShardName,
    TaskName,
    hint,
    name_and_value,
    task_or_first,
)
from dp_bench.errors import BadInput
from dp_bench.evaluation.starts import env_seeds_of
from dp_bench.util.files import locked, refuse_unwritable, remove_stale_parts
from dp_bench.util.shard import Shard

if TYPE_CHECKING:
    from dp_bench.evaluation.search import Trial
    from dp_bench.grid.cell import ResolvedCell
    from dp_bench.grid.search import Search, SearchPlan

MINUTES, EPISODES = 60.0, 50  # by default
RUN_MINUTES = {False: 15.0, True: 25.0}  # of one training, from images or not
# Settings that the search decides itself.
DECIDED = {
    "training.updates": "use --run-minutes",
    "training.keep_every": "leave it out",
    "training.log_every": "leave it out",
    "training.validate_every": "leave it out",
}


@dataclass(frozen=True)
class TuneOptions(GridOptions):
    """`--set training.lr=1e-4` fixes a setting in every trial, and takes it out of the
    search.
    """  # noqa: D205 - help shows it as one paragraph

    episodes: Annotated[
        int | None,
        arg(metavar="N", help_behavior_hint=hint(f"default: {EPISODES}")),
    ] = None
    """Evaluate on the first N of 200 validation starts."""


@dataclass(frozen=True)
class Tune:
    """Search for better settings on validation starts; print a table.

    Trials train, pause at a ninth and at a third of their updates, and go on
    only if they are among the best. Give the same --minutes to all methods
    that you compare. The same command resumes an interrupted search; with a
    larger --minutes it extends the search. Another machine, --seed,
    --episodes, --run-minutes or --set begins a new one in the same file.
    Needs: pip install 'dp-bench[tune]'.

    Examples:
      dp-bench tune --task pusht --method dp_c --minutes 60
      dp-bench tune --task can --method bet --demos my_demos.hdf5 --jobs 2
    """

    task: TaskName = None
    """Task to learn."""
    method: MethodName = None
    """Method whose settings are searched."""
    minutes: float = MINUTES
    """Time of all trainings and evaluations [min], shared by --jobs."""
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
    shard: ShardName = None
    """Make only part I of N of the trials, in --minutes; make the others on other
    machines. Parts that share OUT learn from each other's trials."""
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
        shard = Shard.read(self.shard)
        own_lock = f".{cell.method.name}" + ("" if shard.is_all else f"-{shard.name}")
        with locked(folder / trials.FOLDER / f"{own_lock}.lock"):
            remove_stale_parts(folder / trials.FOLDER)
            file = trials.path_of(folder, cell.method.name)
            trials.read(file)  # refuses a damaged one before anything runs
            cell.demos.obtain()
            plan = self._plan(cell)
            searching = search.Search(plan, file, self.seed)
            print(_described(searching), flush=True)
            search.run(searching, lambda: _remake(file))
            known = [searching.trials[number] for number in sorted(searching.trials)]
            print(report.to_markdown(known))
            print(self._advice(searching, search.best(known)))
            print(f"trials and table: {file.parent}")

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
        if self.training.log:
            raise BadInput(
                "a search takes no --log, whose films would take the time of trials; "
                "its table is written after every trial"
            )
        for text in self.training.set:
            name = name_and_value(text)[0].rpartition(":")[2]
            if name in DECIDED:
                raise BadInput(
                    f"--set {text}: the search decides {name} itself; {DECIDED[name]}"
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
        task = task_or_first(self.task)
        (cell,) = options.cells(task, [method], [self.seed])
        return cell

    def _plan(self, cell: ResolvedCell) -> SearchPlan:
        from dp_bench.grid.search import SearchPlan
        from dp_bench.grid.study_plan import conditions_of
        from dp_bench.presets.space import fitting, settings_of, space_of

        sees = bool(cell.task.image_keys_of(cell.obs_kind))
        fixed = [name_and_value(text) for text in self.training.set]
        names = {name.rpartition(":")[2] for name, _ in fixed}
        space = {
            name: dim
            for name, dim in space_of(cell.method).items()
            if not names & {name, *settings_of(name, dim)}
        }
        conditions = conditions_of(
            cell,
            minutes=self.run_minutes or RUN_MINUTES[sees],
            updates=None,
            changes=["=".join(pair) for pair in fixed],
        )
        space = dict(fitting(space, cell.settings))
        if not space:
            raise BadInput(f"--set leaves no setting of {cell.method.name} to search")
        return SearchPlan(
            cell,
            conditions,
            space,
            self.minutes,
            self._episodes,
            self.jobs,
            Shard.read(self.shard),
        )

    def _advice(self, searching: Search, trial: Trial) -> str:
        """Says what to type to train with the best settings."""
        plan = searching.plan
        given, names = self.training, plan.cell.names
        options = {
            "preset": given.preset if given.preset != "laptop" else None,
            "demos": given.demos,
            "source": given.source,
            "obs": given.obs,
            "control": given.control,
        }
        words = ["--task", names.task, "--method", plan.cell.method.name]
        words += ["--seed", str(self.seed + 1)]
        for option, value in options.items():
            words += [f"--{option}", str(value)] if value is not None else []
        changes = [*plan.conditions.changes, *trial.changes]
        sized = {"training.updates": str(trial.updates), **searching.warmup(trial)}
        changes += [f"{name}={number}" for name, number in sized.items()]
        words += ["--set", *changes]
        done = "" if trial.state == "finished" else ", which was not trained to its end"
        return (
            f"Best: trial {trial.number}{done}. To train it with another seed and "
            f"evaluate it on test starts: dp-bench train {shlex.join(words)}"
        )


def _remake(file: Path) -> None:
    """Writes the table of a file of trials, which shards may do at one time."""
    from dp_bench.reports import search as report

    with locked(file.with_name(f".{file.stem}.tables.lock"), wait=True):
        report.remake_file(file)


def _described(searching: Search) -> str:
    """Says what will be searched, and how long it takes."""
    from dp_bench.util.progress import duration

    plan = searching.plan
    names = ", ".join(plan.space)
    left = max(0.0, 60 * plan.minutes - searching.used)
    return (
        f"Searching {len(plan.space)} settings of {plan.cell.method.name} on "
        f"{plan.cell.task.name} ({names}): {duration(left)} left of "
        f"{plan.minutes:g} min; one training takes "
        f"{plan.conditions.minutes:g} min"
    )
