"""A search for settings by successive halving, with Optuna.

A trial is a training that pauses at a ninth and at a third of its updates. At each
pause it plays validation starts, and only the best third of the trials that came as far
goes on (Jamieson and Talwalkar, 2016; asynchronously, Li et al., 2020). Trial 0 is the
preset itself. Optuna proposes the settings of the others (Bergstra et al., 2011, TPE).

The trials in the file are the whole state of a search, so a stopped one goes on from
there. Their trainings have run folders and resume like any other.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dp_bench.errors import BadInput
from dp_bench.evaluation import records, search
from dp_bench.evaluation.conditions import Conditions
from dp_bench.evaluation.search import Point, Trial
from dp_bench.evaluation.starts import env_seeds_of
from dp_bench.grid.cell import Cell, ResolvedCell, resolve
from dp_bench.grid.local import Children, Finished
from dp_bench.grid.progress import shown
from dp_bench.grid.update_time import time_in_child
from dp_bench.presets.space import LogUniform, Space
from dp_bench.runs.folder import RunFolder
from dp_bench.runs.provenance import commit
from dp_bench.util import settings

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

HALVING = 3  # one of so many trials goes on
SHARES = (9, 3, 1)  # a pause at each of these parts of the updates
LOG_EVERY = 50  # updates; a pause is at a multiple
TRIES = 200  # at proposing settings that work and were not tried


@dataclass(frozen=True)
class Question:
    """What is searched, and under what conditions.

    Attributes:
        cell: The training of the preset, with the changes of the user.
        conditions: See `Conditions`; `minutes` is the time of one whole training.
        space: The settings to search.
        minutes: Time of all trials [min].
        starts: Number of validation starts.
        jobs: Number of trainings at a time.
    """

    cell: ResolvedCell
    conditions: Conditions
    space: Space
    minutes: float
    starts: int
    jobs: int

    @property
    def digest(self) -> str:
        """Tells searches apart whose scores cannot be compared."""
        facts = {
            "conditions": dataclasses.asdict(self.conditions),
            "space": {name: repr(dim) for name, dim in self.space.items()},
            "train_seed": self.cell.names.train_seed,
            "starts": self.starts,
        }
        return settings.short_hash(facts)


def rungs(updates: int) -> list[int]:
    """Lists the updates at which a trial pauses; the last is its end."""
    return [updates // share for share in SHARES]


def whole_updates(fitting: int) -> int:
    """Rounds a number of updates down, so that every pause has a line of the log."""
    ninth = fitting // SHARES[0]
    return SHARES[0] * (ninth // LOG_EVERY * LOG_EVERY or max(1, ninth))


class Search:
    """The trials of a search, and which training comes next.

    Its methods may be called from several threads.

    Args:
        question: What is searched.
        file: File of trials.
        seed: Of Optuna's sampler.
    """

    def __init__(self, question: Question, file: Path, seed: int = 0) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.question, self.file = question, file
        self.trials = {
            trial.number: trial
            for trial in search.read(file)
            if trial.search == question.digest
        }
        self.study: Study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed + len(self.trials)),
            pruner=optuna.pruners.SuccessiveHalvingPruner(
                min_resource=1, reduction_factor=HALVING
            ),
        )
        self.over = False  # the time is used, or nothing is left to try
        self._lock = threading.Lock()
        self._waiting = deque(
            number for number, trial in self.trials.items() if trial.state == "running"
        )
        self._numbers: dict[int, Any] = {}  # of Optuna's trials, by ours
        for trial in self.trials.values():
            if trial.state != "running":
                self._tell_old(trial)

    @property
    def used(self) -> float:
        """Time used so far [s]; trainings that ran at a time share it."""
        total = sum(trial.seconds for trial in self.trials.values())
        return total / self.question.jobs

    def next(self) -> Trial | None:
        """Chooses the trial that trains on; None when the search is over."""
        with self._lock:
            while not self.over:
                trial = self._waiting_or_new()
                if trial is None:
                    break
                if self.trials and not self._fits(trial):
                    self._waiting.appendleft(trial.number)
                    break
                return trial
            self.over = True
            return None

    def cell_of(self, trial: Trial) -> Cell:
        """Names the training of a trial up to its next pause."""
        every = trial.updates // SHARES[0]
        given = dict(self.question.cell.names.changes)
        ours = {
            "training.updates": str(trial.updates),
            "training.keep_every": str(every),
            "training.log_every": str(LOG_EVERY if every % LOG_EVERY == 0 else every),
            "training.validate_every": str(trial.updates),
        }
        changes = given | dict(text.split("=", 1) for text in trial.changes) | ours
        until = rungs(trial.updates)[len(trial.points)]
        return dataclasses.replace(
            self.question.cell.names,
            changes=tuple(changes.items()),
            episodes=self.question.starts,
            starts="validation",
            label=f"trial {trial.number}",
            until=0 if until == trial.updates else until,
        )

    def told(self, trial: Trial, end: Finished, seconds: float) -> Trial:
        """Records how a training ended, and decides whether the trial goes on.

        Args:
            trial: As `next` gave it.
            end: How its training ended.
            seconds: How long that took [s].
        """
        with self._lock:
            if end.folder is None:
                lost = round(trial.lost_seconds + seconds, 1)
                trial = dataclasses.replace(trial, lost_seconds=lost)
            if end.stopped:
                self._waiting.appendleft(trial.number)
            elif end.folder is None:
                trial = dataclasses.replace(trial, state="failed", failure=end.error)
            else:
                point = self._point(trial, end.folder, seconds)
                trial = dataclasses.replace(trial, points=(*trial.points, point))
                trial = dataclasses.replace(trial, state=self._state_of(trial))
                if trial.state == "running":
                    self._waiting.append(trial.number)
            self._keep(trial)
            return trial

    def _keep(self, trial: Trial) -> None:
        self.trials[trial.number] = trial
        search.put(self.file, trial)

    def _waiting_or_new(self) -> Trial | None:
        if self._waiting:
            return self.trials[self._waiting.popleft()]
        return self._new()

    def _fits(self, trial: Trial) -> bool:
        """Tells whether the next part of a trial still fits into the time."""
        first = not any(trial.points for trial in self.trials.values())
        before = trial.points[-1].update if trial.points else 0
        part = rungs(trial.updates)[len(trial.points)] - before
        needed = part * trial.update_seconds / self.question.jobs
        return first or self.used + needed <= 60 * self.question.minutes

    def _new(self) -> Trial | None:
        """Proposes settings that work and were not tried; None if it finds none."""
        tried = {trial.changes for trial in self.trials.values()}
        for _ in range(TRIES):
            number = len(self.trials)
            asked = self.study.ask()
            values: dict[str, Any] = {}
            changes: dict[str, str] = {}
            for name, dim in self.question.space.items() if number else ():
                if isinstance(dim, LogUniform):
                    low, high = dim.low, dim.high
                    values[name] = asked.suggest_float(name, low, high, log=True)
                    changes |= dim.changes(name, values[name])
                else:
                    values[name] = asked.suggest_categorical(name, dim.values)
                    changes |= dim.changes(name, values[name])
            words = tuple(f"{name}={text}" for name, text in changes.items())
            texts = {name: str(value) for name, value in values.items()}
            trial = None if words in tried else self._begun(number, words, texts)
            if trial is None:
                from optuna.trial import TrialState

                self.study.tell(asked, state=TrialState.FAIL)
                continue
            self._numbers[number] = asked
            self._keep(trial)
            return trial
        return None

    def _begun(
        self, number: int, changes: tuple[str, ...], values: dict[str, str]
    ) -> Trial | None:
        """Measures an update and sizes a trial; None for settings that do not fit."""
        question = self.question
        names = dict(text.split("=", 1) for text in changes)
        cell = dataclasses.replace(
            question.cell.names,
            changes=tuple((dict(question.cell.names.changes) | names).items()),
            label=f"trial {number}",
        )
        try:
            resolve([cell], question.cell.task)
            seconds = time_in_child(cell, question.jobs).update_seconds
        except BadInput:
            if not number:  # the preset
                raise
            return None
        assert question.conditions.minutes is not None
        fitting = int(60 * question.conditions.minutes / seconds)
        return Trial(
            number=number,
            search=question.digest,
            conditions=question.conditions,
            train_seed=question.cell.names.train_seed,
            starts=question.starts,
            commit=commit(),
            values=values,
            changes=changes,
            updates=whole_updates(fitting),
            update_seconds=seconds,
        )

    def _point(self, trial: Trial, folder: Path, seconds: float) -> Point:
        """Reads the records of the pause at which a training has ended."""
        update = rungs(trial.updates)[len(trial.points)]
        run = RunFolder(folder)
        info = run.info()
        starts = env_seeds_of("validation", self.question.starts)
        by_seed = {
            record.env_seed: record
            for record in records.read(run.records)
            if record.settings == info.settings
            and record.starts == "validation"
            and record.step == update
        }
        played = [by_seed[seed] for seed in starts]
        return Point(
            update,
            tuple(record.score for record in played),
            tuple(record.success for record in played),
            round(seconds, 1),
        )

    def _state_of(self, trial: Trial) -> search.State:
        """Tells Optuna the last score, and asks it whether the trial goes on."""
        from optuna.trial import TrialState

        asked = self._asked(trial)
        asked.report(trial.points[-1].score, step=_step(len(trial.points) - 1))
        if len(trial.points) == len(SHARES):
            self.study.tell(asked, trial.points[-1].score)
            return "finished"
        if asked.should_prune():
            self.study.tell(asked, state=TrialState.PRUNED)
            return "stopped"
        return "running"

    def _asked(self, trial: Trial) -> Any:
        """Returns Optuna's trial of ours; one of an earlier process is made again."""
        if trial.number not in self._numbers:
            self.study.enqueue_trial(self._params(trial))
            asked = self.study.ask(self._distributions(trial))
            for k, point in enumerate(trial.points[:-1]):
                asked.report(point.score, step=_step(k))
            self._numbers[trial.number] = asked
        return self._numbers[trial.number]

    def _tell_old(self, trial: Trial) -> None:
        """Tells Optuna about a trial of an earlier process that has ended."""
        from optuna.trial import TrialState, create_trial

        states = {
            "finished": TrialState.COMPLETE,
            "stopped": TrialState.PRUNED,
            "failed": TrialState.FAIL,
        }
        scores = {_step(k): point.score for k, point in enumerate(trial.points)}
        self.study.add_trial(
            create_trial(
                state=states[trial.state],
                value=trial.points[-1].score if trial.state == "finished" else None,
                params=self._params(trial),
                distributions=self._distributions(trial),
                intermediate_values=scores,
            )
        )

    def _params(self, trial: Trial) -> dict[str, Any]:
        space = self.question.space
        return {
            name: float(text) if isinstance(space[name], LogUniform) else text
            for name, text in trial.values.items()
        }

    def _distributions(self, trial: Trial) -> dict[str, BaseDistribution]:
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        space = self.question.space
        return {
            name: FloatDistribution(dim.low, dim.high, log=True)
            if isinstance(dim, LogUniform)
            else CategoricalDistribution(dim.values)
            for name, dim in space.items()
            if name in trial.values
        }


def run(searching: Search, changed: Callable[[], object]) -> None:
    """Trains one trial after the other until the time is used.

    Args:
        searching: The search.
        changed: Called after every pause and end of a trial.

    Raises:
        KeyboardInterrupt: When a signal stopped it; the same command goes on.
        Exception: What a thread raised, the first one.
    """
    children = Children(searching.question.jobs)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not errors and (trial := searching.next()) is not None:
                cell = searching.cell_of(trial)
                begun = time.monotonic()
                end = children.run(cell, progress)
                trial = searching.told(trial, end, time.monotonic() - begun)
                progress.say(_told_to_people(trial, end))
                if end.stopped:
                    return
                changed()
        except BaseException as error:
            errors.append(error)

    with shown(0) as progress:
        threads = [
            threading.Thread(target=work, daemon=True)
            for _ in range(searching.question.jobs)
        ]
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                for thread in threads:
                    thread.join(timeout=0.1)
        except KeyboardInterrupt:
            children.end()
            for thread in threads:
                thread.join(timeout=1.0)
            raise
    if errors:
        raise errors[0]


def _told_to_people(trial: Trial, end: Finished) -> str:
    """Says how far a trial has come, and whether it goes on."""
    if end.folder is None:
        word = "stopped" if end.stopped else "failed"
        return f"trial {trial.number} {word}: {end.error}"
    last = trial.points[-1]
    word = {"running": "goes on", "stopped": "others were better"}.get(
        trial.state, trial.state
    )
    return (
        f"trial {trial.number}, update {last.update:,} of {trial.updates:,}: score "
        f"{last.score:.2f}, {word}"
    )


def best(trials: Sequence[Trial]) -> Trial:
    """Returns the trial that came furthest; of several, the one with the best score.

    Raises:
        BadInput: When no trial was evaluated.
    """
    known = [trial for trial in trials if trial.points]
    if not known:
        raise BadInput("no trial of this search was evaluated")
    return max(known, key=lambda one: (len(one.points), one.points[-1].score))


def _step(k: int) -> int:
    """Returns Optuna's resource at pause k: the updates, as a multiple of the first."""
    return SHARES[0] // SHARES[k]
