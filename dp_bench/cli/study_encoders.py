"""`dp-bench study encoders`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from dp_bench import registry
from dp_bench.cli.options import (
    GridOptions,
    ResultsFolder,
    hint,
    name_and_value,
    one_of,
)
from dp_bench.errors import BadInput
from dp_bench.evaluation.starts import env_seeds_of
from dp_bench.util import progress
from dp_bench.util.files import locked, refuse_unwritable, remove_stale_parts
from dp_bench.util.threads import cores

if TYPE_CHECKING:
    from dp_bench.grid.cell import ResolvedCell
    from dp_bench.grid.encoders import Setup
    from dp_bench.grid.local import Finished
    from dp_bench.grid.study import Plan
    from dp_bench.task import Task

MINUTES, EPISODES = 10.0, 50  # by default
METHOD = "dp_c"


def _tasks_with_images() -> list[str]:
    return [task.name for task in registry.tasks().values() if _image_kinds(task)]


def _image_kinds(task: Task) -> list[str]:
    return [kind for kind in task.obs_kinds if task.image_keys_of(kind)]


def _encoders() -> list[str]:
    from dp_bench.grid.encoders import names

    return names()


@dataclass(frozen=True)
class StudyOptions(GridOptions):
    """`--set training.lr=1e-4` changes a setting under every encoder."""

    obs: Annotated[
        str | None,
        arg(
            metavar="KIND",
            help_behavior_hint=hint("default: the task's first with images"),
        ),
    ] = None
    """Kind of observation that the policy sees, with images."""
    episodes: Annotated[
        int | None,
        arg(metavar="N", help_behavior_hint=hint(f"default: {EPISODES}")),
    ] = None
    """Evaluate on the first N of 200 validation starts."""


@dataclass(frozen=True)
class StudyEncoders:
    """Train one method with several image encoders; print a table.

    Every encoder gets the same training time, or the same number of updates.
    A study serves to choose an encoder, so it plays validation starts, of the
    task's first variant. The same command resumes a stopped study: its plan is
    in OUT/TASK/encoders_plan.json.

    Examples:
      dp-bench study encoders --task pusht --minutes 20 --seeds 0 1 2
      dp-bench study encoders --task pusht --encoders cnn resnet18_small
    """

    task: Annotated[
        str | None, arg(metavar="TASK", help_behavior_hint=one_of(_tasks_with_images))
    ] = None
    """Task whose observations have images."""
    method: Annotated[
        str, arg(metavar="METHOD", help_behavior_hint=one_of(registry.methods, METHOD))
    ] = METHOD
    """Method that is trained."""
    encoders: Annotated[
        tuple[str, ...],
        arg(metavar="ENCODER ...", help_behavior_hint=one_of(_encoders, "all")),
    ] = ()
    """Encoders to compare."""
    minutes: Annotated[
        float | None,
        arg(metavar="M", help_behavior_hint=hint(f"default: {MINUTES:g}")),
    ] = None
    """Time of each training [min]."""
    updates: Annotated[
        int | None,
        arg(metavar="N", help_behavior_hint=hint("default: what the time allows")),
    ] = None
    """Number of updates of each training, in place of its time."""
    seeds: Annotated[tuple[int, ...], arg(metavar="SEED ...")] = (0,)
    """Training seeds, the same for every encoder."""
    jobs: int = 1
    """Number of trainings at a time; they share the CPU cores."""
    out: ResultsFolder = None
    """Folder of results; each task has a folder in it."""
    training: StudyOptions = field(default_factory=StudyOptions)

    def run(self) -> None:
        """Plans, trains and evaluates; prints and writes the table."""
        from dp_bench.evaluation.encoders import FILE, read
        from dp_bench.grid import encoders, study
        from dp_bench.reports import results_folder

        self._check()
        setups, left_out = encoders.installed(encoders.chosen(self.encoders))
        cells = self._cells()
        first, by_seed = cells[0], {cell.names.train_seed: cell for cell in cells}
        self._check_jobs(first.device)
        study.cells_of(first, setups)  # refuses what cannot work before it runs
        own = results_folder.folder_of(first.task.name, first.demos.source_name)
        folder = self.training.results(self.out, cells) / own
        refuse_unwritable(folder, f"--out {self.out}")
        if left_out:
            progress.note(left_out)
        with locked(folder / ".encoders.lock"):
            remove_stale_parts(folder)
            if (folder / FILE).is_file():
                read(folder / FILE)  # refuses a damaged one before anything runs
            first.demos.obtain()
            plan, untimed = self._plan(first, setups, folder)
            planned = [v for v in setups if v.name not in untimed]
            failed: dict[str, str] = {}
            if planned:
                names = [setup.name for setup in planned]
                print(study.describe(plan, names, self.seeds, self.jobs), flush=True)
                ends = self._train(by_seed, planned, plan, folder)
                failed = {end.cell.title: end.error for end in ends if end.error}
        _refuse(untimed, failed, len(setups), len(self.seeds))

    def _plan(
        self, cell: ResolvedCell, setups: Sequence[Setup], folder: Path
    ) -> tuple[Plan, dict[str, str]]:
        """Makes the plan; gives the setups that cannot be timed, with the reasons."""
        from dp_bench.grid import study, study_plan

        conditions = study_plan.conditions_of(
            cell,
            minutes=self._minutes,
            updates=self.updates,
            changes=["=".join(name_and_value(text)) for text in self.training.set],
        )
        timed = {v.name: study.setup_cell(cell.names, v) for v in setups}
        path = folder / "encoders_plan.json"
        return study_plan.make_plan(path, conditions, timed, jobs=self.jobs)

    @property
    def _minutes(self) -> float | None:
        if self.updates is not None:
            return None
        return MINUTES if self.minutes is None else self.minutes

    def _check(self) -> None:
        """Refuses options that cannot be used."""
        if self.minutes is not None and self.updates is not None:
            raise BadInput("--minutes and --updates exclude each other; choose one")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise BadInput(f"--minutes must be above 0, got {self.minutes:g}")
        for option, number in (("updates", self.updates), ("jobs", self.jobs)):
            if number is not None and number < 1:
                raise BadInput(f"--{option} must be at least 1, got {number}")
        if not self.seeds:
            raise BadInput("--seeds needs at least one seed")
        env_seeds_of("validation", self._episodes, option="--episodes")
        self._check_settings()

    def _check_jobs(self, device: str) -> None:
        """Refuses trainings at a time that would slow each other down."""
        here = cores()
        most = 1 if device.startswith("cuda") else here
        if self.updates is None and self.jobs > most:
            owner = "one GPU" if most == 1 < here else f"{here} cores"
            raise BadInput(
                f"--jobs {self.jobs} on {owner}: trainings would take longer than "
                f"--minutes; choose --jobs {most} at most, or give --updates"
            )

    def _check_settings(self) -> None:
        """Refuses settings that the study decides itself."""
        from dp_bench.grid.study import DECIDED

        for text in self.training.set:
            name = name_and_value(text)[0].rpartition(":")[2]
            if name in DECIDED:
                raise BadInput(
                    f"--set {text}: the study decides {name} itself; use "
                    f"{DECIDED[name]}"
                )

    @property
    def _episodes(self) -> int:
        given = self.training.episodes
        return EPISODES if given is None else given

    def _cells(self) -> list[ResolvedCell]:
        """Makes the training of each seed, with the encoder of the preset."""
        able = _tasks_with_images()
        task = registry.task(self.task or next(iter(able), ""))
        task.check(obs_kind=self.training.obs)
        kinds = _image_kinds(task)
        kind = self.training.obs or next(iter(kinds), None)
        if kind not in kinds:
            remedy = (
                f"its observations with images are {', '.join(kinds)}"
                if kinds
                else f"tasks with images are {', '.join(able)}"
            )
            raise BadInput(
                f"{task.name} has no images in {self.training.obs or 'any'} "
                f"observations; {remedy}"
            )
        options = dataclasses.replace(self.training, obs=kind, episodes=self._episodes)
        return options.cells(task, [self.method], self.seeds)

    def _train(
        self,
        cells: dict[int, ResolvedCell],
        setups: Sequence[Setup],
        plan: Plan,
        folder: Path,
    ) -> list[Finished]:
        """Trains all setups under one seed after the other; writes what has ended."""
        from dp_bench.evaluation import encoders
        from dp_bench.grid import study
        from dp_bench.grid.local import run_cells
        from dp_bench.reports import encoders as report

        todo = [
            cell
            for seed in self.seeds
            for cell in study.cells_of(cells[seed], setups, plan)
        ]
        by_names = {cell.names: cell for cell in todo}

        def finished(end: Finished) -> None:
            if end.folder:
                training = study.training_of(by_names[end.cell], end.folder, plan)
                encoders.merge(folder / encoders.FILE, [training])
                report.remake(folder)

        ends = run_cells(list(by_names), jobs=self.jobs, finished=finished)
        if any(end.folder for end in ends):
            print(report.remake(folder))
            print(f"records, table and figure: {folder}/encoders.*")
        return ends


def _refuse(
    untimed: Mapping[str, str], failed: Mapping[str, str], encoders: int, seeds: int
) -> None:
    """Raises an error that names all trainings that failed, with their reasons.

    Args:
        untimed: Encoders that could not be timed, so that none of their trainings ran.
        failed: Trainings that failed.
        encoders: Number of encoders.
        seeds: Number of trainings of each.
    """
    reasons = {f"{name} could not be timed": why for name, why in untimed.items()}
    reasons |= failed
    if reasons:
        number = len(untimed) * seeds + len(failed)
        words = "; ".join(f"{name}: {why}" for name, why in reasons.items())
        raise BadInput(
            f"{number} of {encoders * seeds} trainings failed: {words}; the same "
            "command tries them again"
        )
