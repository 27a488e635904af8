"""A search for settings by successive halving, with Optuna.

A trial is a training that pauses at a ninth and at a third of its updates. At each
pause it plays validation starts, and only the best third of the trials that came as far
goes on (Jamieson and Talwalkar, 2016; asynchronously, Li et al., 2020). Trial 0 is the
preset itself. For every other trial Optuna proposes which settings to change, and their
values (TPE, Bergstra et al., 2011). A trial keeps a part of the preset, because
changing all settings at once mostly lowers the score.

The trials in the file are the whole state of a search, so a stopped one goes on from
there. Their trainings have run folders and resume like any other.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dp_bench.errors import BadInput
from dp_bench.evaluation import records, search
from dp_bench.evaluation.conditions import Conditions
from dp_bench.evaluation.search import Pause, Trial
from dp_bench.evaluation.starts import env_seeds_of
from dp_bench.grid.cell import Cell, ResolvedCell, resolve
from dp_bench.grid.local import Children, Finished
from dp_bench.grid.progress import shown
from dp_bench.grid.update_time import time_in_child
from dp_bench.presets.space import LogUniform, Space
from dp_bench.runs.folder import RunFolder
from dp_bench.runs.provenance import commit
from dp_bench.training.log import read_log
from dp_bench.util import settings
from dp_bench.util.shard import WHOLE, Shard

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

HALVING = 3  # one of so many trials goes on
DIVISORS = (9, 3, 1)  # a pause at each of these parts of the updates
LOG_EVERY = 50  # updates; a pause is at a multiple
TRIES = 200  # at proposing settings that work and were not tried
MOST_FAILURES = 5  # in a row; of trial 0, the preset, one is enough
DIVERGED = "diverged"  # a failure that would happen again
RULES = 2  # of proposing, pruning and measuring; searches under others are apart
CHANGE = ("preset", "other")  # the two choices of every setting
SEEDS_APART = 1000  # between the samplers of shards
FEWEST = 1 / 4  # of the preset's updates; a trial with fewer is pruned at once


@dataclass(frozen=True)
class SearchPlan:
    """What is searched, and under what conditions.

    Attributes:
        cell: The training of the preset, with the changes of the user.
        conditions: See `Conditions`; `minutes` is the time of one whole training.
        space: The settings to search.
        minutes: Time of all trials [min].
        starts: Number of validation starts.
        jobs: Number of trainings at a time.
        shard: Which trials this process makes; the file has those of all.
    """

    cell: ResolvedCell
    conditions: Conditions
    space: Space
    minutes: float
    starts: int
    jobs: int
    shard: Shard = WHOLE

    @property
    def digest(self) -> str:
        """Tells searches apart whose scores cannot be compared."""
        facts = {
            "rules": RULES,
            "conditions": dataclasses.asdict(self.conditions),
            "space": {name: repr(dim) for name, dim in self.space.items()},
            "train_seed": self.cell.names.train_seed,
            "starts": self.starts,
        }
        return settings.short_hash(facts)


def rungs(updates: int) -> list[int]:
    """Lists the updates at which a trial pauses; the last is its end."""
    return [updates // share for share in DIVISORS]


def whole_updates(fitting: int) -> int:
    """Rounds down to a multiple of 9, so that every pause has a line of the log."""
    ninth = fitting // DIVISORS[0]
    return DIVISORS[0] * (ninth // LOG_EVERY * LOG_EVERY or max(1, ninth))


class Search:
    """The trials of a search, and which training comes next.

    Its methods may be called from several threads.

    Args:
        plan: What is searched.
        file: File of trials.
        seed: Of Optuna's sampler.
    """

    def __init__(self, plan: SearchPlan, file: Path, seed: int = 0) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.plan, self.file = plan, file
        self.trials = {
            trial.number: trial
            for trial in search.read(file)
            if trial.search == plan.digest
        }
        self.study: Study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(
                seed=seed + len(self.trials) + SEEDS_APART * (plan.shard.number - 1)
            ),
        )
        self._usual = 0  # updates of the preset in the time of a trial, once measured
        self.over = False  # the time is used, or nothing is left to try
        self._lost = 0.0  # time of probes that failed, in this process [s]
        self._running: dict[int, float] = {}  # time that a part will take, by trial [s]
        self._lock = threading.Condition()
        for trial in self._own():  # unless the same would happen again
            if trial.state == "failed" and DIVERGED not in trial.failure:
                self.trials[trial.number] = dataclasses.replace(
                    trial, state="unfinished", failure=""
                )
        self._failures = 0  # in a row
        self._waiting = deque(
            trial.number for trial in self._own() if trial.state == "unfinished"
        )
        self._numbers: dict[int, Any] = {}  # of Optuna's trials, by ours
        for trial in self.trials.values():
            self._add_if_ended(trial)

    def _own(self) -> list[Trial]:
        """Lists the trials that this process makes, not those of other shards."""
        return [trial for trial in self.trials.values() if self._is_own(trial)]

    def _is_own(self, trial: Trial) -> bool:
        return self.plan.shard.has(trial.number)

    def _learn(self) -> None:
        """Reads what the other shards have found meanwhile."""
        if self.plan.shard.is_all:
            return
        for trial in search.read(self.file):
            if trial.search != self.plan.digest or self._is_own(trial):
                continue
            before = self.trials.get(trial.number)
            self.trials[trial.number] = trial
            if before is None or before.state == "unfinished":
                self._add_if_ended(trial)

    @property
    def used(self) -> float:
        """Time used so far [s]; trainings that ran at a time share it."""
        total = sum(trial.seconds for trial in self._own())
        return (total + self._lost) / self.plan.jobs

    def next(self) -> Trial | None:
        """Chooses the trial that trains on; None when the search is over.

        Waits while there is nothing to begin, but a running trial may go on.
        """
        with self._lock:
            self._learn()
            while not self.over:
                trial = self._waiting_or_new()
                if trial is not None and self._fits(trial):
                    self._running[trial.number] = self._needed(trial)
                    return trial
                if trial is not None:
                    self._waiting.appendleft(trial.number)
                if not self._running:
                    self.over = True
                    break
                self._lock.wait()
            self._lock.notify_all()
            return None

    def abort(self) -> None:
        """Ends the search, so that no thread waits for a trial that will never end."""
        with self._lock:
            self.over = True
            self._running.clear()
            self._lock.notify_all()

    def cell_of(self, trial: Trial) -> Cell:
        """Names the training of a trial up to its next pause."""
        every = trial.updates // DIVISORS[0]
        given = dict(self.plan.cell.names.changes)
        ours = {
            "training.updates": str(trial.updates),
            "training.keep_every": str(every),
            "training.log_every": str(LOG_EVERY if every % LOG_EVERY == 0 else every),
            "training.validate_every": str(trial.updates),
            **self.warmup(trial),
        }
        changes = given | dict(text.split("=", 1) for text in trial.changes) | ours
        until = rungs(trial.updates)[len(trial.pauses)]
        return dataclasses.replace(
            self.plan.cell.names,
            changes=tuple(changes.items()),
            episodes=self.plan.starts,
            starts="validation",
            label=f"trial {trial.number}",
            until=0 if until == trial.updates else until,
        )

    def warmup(self, trial: Trial) -> dict[str, str]:
        """Caps the warm-up of the preset at a tenth of the updates, as a setting."""
        training = self.plan.cell.settings.training
        if "training.warmup" in dict(self.plan.cell.names.changes):
            return {}
        return {"training.warmup": str(min(training.warmup, trial.updates // 10))}

    def record_end(self, trial: Trial, end: Finished, seconds: float) -> Trial:
        """Records how a training ended, and decides whether the trial goes on.

        Args:
            trial: As `next` gave it.
            end: How its training ended.
            seconds: How long that took [s].
        """
        with self._lock:
            self._running.pop(trial.number, None)
            self._lock.notify_all()
            if end.folder is None:
                other = round(trial.other_seconds + seconds, 1)
                trial = dataclasses.replace(trial, other_seconds=other)
            if end.stopped:
                self._waiting.appendleft(trial.number)
            elif end.folder is None:
                trial = dataclasses.replace(trial, state="failed", failure=end.error)
                self._tell_failure(trial)
                self._failures += 1
            else:
                self._failures = 0
                self._learn()
                pause = self._pause(trial, end.folder, seconds)
                trial = dataclasses.replace(trial, pauses=(*trial.pauses, pause))
                trial = dataclasses.replace(trial, state=self._state_of(trial))
                if trial.state == "unfinished":
                    self._waiting.append(trial.number)
            self._keep(trial)
            if trial.state == "failed" and self._failures >= (
                MOST_FAILURES if trial.number else 1
            ):
                self.over = True
                raise BadInput(
                    f"trial {trial.number} failed: {trial.failure}; mend the reason, "
                    f"and the same command goes on"
                )
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
        if not any(t.pauses or t.state == "failed" for t in self._own()):
            return True
        ahead = self._needed(trial) + sum(self._running.values())
        return self.used + ahead / self.plan.jobs <= 60 * self.plan.minutes

    def _needed(self, trial: Trial) -> float:
        """Estimates the time of a trial up to its next pause [s]."""
        before = trial.pauses[-1].update if trial.pauses else 0
        part = rungs(trial.updates)[len(trial.pauses)] - before
        return part * trial.update_seconds

    def _new(self) -> Trial | None:
        """Proposes settings that work and were not tried; None if it finds none."""
        from optuna.trial import TrialState

        for _ in range(TRIES):
            if self._own() and self.used > 60 * self.plan.minutes:
                break
            number = self._next_number()
            if not number:
                preset = {_flag(name): CHANGE[0] for name in self.plan.space}
                self.study.enqueue_trial(preset)
            asked = self.study.ask()
            values: dict[str, Any] = {}
            changes: dict[str, str] = {}
            for name, dim in self.plan.space.items():
                if asked.suggest_categorical(_flag(name), CHANGE) == CHANGE[0]:
                    continue
                if isinstance(dim, LogUniform):
                    low, high = dim.low, dim.high
                    values[name] = asked.suggest_float(name, low, high, log=True)
                    changes |= dim.changes(name, values[name])
                else:
                    values[name] = asked.suggest_categorical(name, dim.values)
                    changes |= dim.changes(name, values[name])
            if number and not self._is_new(changes):
                self.study.tell(asked, state=TrialState.FAIL)
                continue
            words = tuple(f"{name}={text}" for name, text in changes.items())
            texts = {name: str(value) for name, value in values.items()}
            trial = self._begun(number, words, texts)
            if trial is None:
                self.study.tell(asked, state=TrialState.FAIL)
                continue
            self._numbers[number] = asked
            self._keep(trial)
            if trial.state == "unfinished":
                return trial
            self.study.tell(asked, state=TrialState.PRUNED)
        return None

    def _next_number(self) -> int:
        """Numbers a new trial: shards take turns, and 0 is the preset."""
        shard = self.plan.shard
        own, first = [trial.number for trial in self._own()], shard.number - 1
        if not own or (first == 0 and 0 not in own):
            return first
        return max(own) + shard.parts

    def _usual_updates(self) -> int:
        """Counts the updates of the preset, as measured on this machine."""
        if 0 in self.trials and self._is_own(self.trials[0]):
            return self.trials[0].updates
        if not self._usual:
            plan = self.plan
            assert plan.conditions.minutes is not None
            seconds = time_in_child(plan.cell.names, plan.jobs).update_seconds
            self._usual = whole_updates(int(60 * plan.conditions.minutes / seconds))
        return self._usual

    def _is_new(self, changes: Mapping[str, str]) -> bool:
        """Tells whether no trial has had these settings, however they are written.

        The preset is a trial, too, of the first shard.
        """
        usual = self.plan.cell.settings
        wanted = settings.override_all(usual, changes)
        return wanted != usual and all(
            settings.override_all(usual, dict(c.split("=", 1) for c in trial.changes))
            != wanted
            for trial in self.trials.values()
        )

    def _begun(
        self, number: int, changes: tuple[str, ...], values: dict[str, str]
    ) -> Trial | None:
        """Measures an update and sizes a trial; None for settings that do not fit.

        A trial with less than a quarter of the preset's updates is pruned at once.
        """
        plan = self.plan
        names = dict(text.split("=", 1) for text in changes)
        cell = dataclasses.replace(
            plan.cell.names,
            changes=tuple((dict(plan.cell.names.changes) | names).items()),
            label=f"trial {number}",
        )
        begun = time.monotonic()
        try:
            resolve([cell], plan.cell.task)
            seconds = time_in_child(cell, plan.jobs).update_seconds
        except BadInput:
            if not number:  # the preset
                raise
            self._lost += time.monotonic() - begun
            return None
        assert plan.conditions.minutes is not None
        updates = whole_updates(int(60 * plan.conditions.minutes / seconds))
        usual = self._usual_updates() if number else updates
        return Trial(
            number=number,
            search=plan.digest,
            conditions=plan.conditions,
            train_seed=plan.cell.names.train_seed,
            starts=plan.starts,
            commit=commit(),
            values=values,
            changes=changes,
            updates=updates,
            update_seconds=seconds,
            state="unfinished" if updates >= FEWEST * usual else "pruned",
            other_seconds=round(time.monotonic() - begun, 1),
        )

    def _pause(self, trial: Trial, folder: Path, seconds: float) -> Pause:
        """Reads the records of the pause at which a training has ended."""
        update = rungs(trial.updates)[len(trial.pauses)]
        run = RunFolder(folder)
        info = run.info()
        starts = env_seeds_of("validation", self.plan.starts)
        by_seed = {
            record.env_seed: record
            for record in records.read(run.records)
            if record.settings == info.settings
            and record.starts == "validation"
            and record.step == update
        }
        played = [by_seed[seed] for seed in starts]
        copying = [line.copying for line in read_log(run.log) if line.update == update]
        return Pause(
            update,
            tuple(record.score for record in played),
            tuple(record.success for record in played),
            round(seconds, 1),
            copying[-1] if copying else None,
        )

    def _state_of(self, trial: Trial) -> search.State:
        """Decides whether a trial goes on, and tells Optuna what has ended."""
        from optuna.trial import TrialState

        if len(trial.pauses) == len(DIVISORS):
            self.study.tell(self._asked(trial), trial.pauses[-1].score)
            return "finished"
        if self._is_among_best(trial):
            return "unfinished"
        asked = self._asked(trial)
        for k, pause in enumerate(trial.pauses):
            asked.report(pause.score, step=_step(k))
        self.study.tell(asked, state=TrialState.PRUNED)
        return "pruned"

    def _is_among_best(self, trial: Trial) -> bool:
        """Tells whether a score is in the best third at its pause, or is the best.

        The preset always goes on, because all others are compared with it.
        """
        if not trial.number:
            return True
        k = len(trial.pauses) - 1
        others = [t for t in self.trials.values() if t.number != trial.number]
        scores = [t.pauses[k].score for t in others if len(t.pauses) > k]
        better = sum(score >= trial.pauses[k].score for score in scores)
        return better < max(1, (1 + len(scores)) // HALVING)

    def _tell_failure(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        self.study.tell(self._asked(trial), state=TrialState.FAIL)

    def _asked(self, trial: Trial) -> Any:
        """Returns Optuna's trial of ours; one of an earlier process is made again."""
        if trial.number not in self._numbers:
            self.study.enqueue_trial(self._params(trial))
            asked = self.study.ask(self._distributions(trial))
            self._numbers[trial.number] = asked
        return self._numbers[trial.number]

    def _add_if_ended(self, trial: Trial) -> None:
        """Tells Optuna about a trial of another process, if it has ended."""
        from optuna.trial import TrialState, create_trial

        if trial.state == "unfinished":
            return
        states = {
            "finished": TrialState.COMPLETE,
            "pruned": TrialState.PRUNED,
            "failed": TrialState.FAIL,
        }
        scores = {_step(k): pause.score for k, pause in enumerate(trial.pauses)}
        self.study.add_trial(
            create_trial(
                state=states[trial.state],
                value=trial.pauses[-1].score if trial.state == "finished" else None,
                params=self._params(trial),
                distributions=self._distributions(trial),
                intermediate_values=scores,
            )
        )

    def _params(self, trial: Trial) -> dict[str, Any]:
        space = self.plan.space
        flags = {_flag(name): CHANGE[name in trial.values] for name in space}
        values = {
            name: float(text) if isinstance(space[name], LogUniform) else text
            for name, text in trial.values.items()
        }
        return {**flags, **values}

    def _distributions(self, trial: Trial) -> dict[str, BaseDistribution]:
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        space = self.plan.space
        flags = {_flag(name): CategoricalDistribution(CHANGE) for name in space}
        values = {
            name: FloatDistribution(dim.low, dim.high, log=True)
            if isinstance(dim, LogUniform)
            else CategoricalDistribution(dim.values)
            for name, dim in space.items()
            if name in trial.values
        }
        return {**flags, **values}


def run(searching: Search, changed: Callable[[], object]) -> None:
    """Trains one trial after the other until the time is used.

    Args:
        searching: The search.
        changed: Called after every pause and end of a trial.

    Raises:
        KeyboardInterrupt: When a signal stopped it; the same command goes on.
        Exception: What a thread raised, the first one.
    """
    children = Children(searching.plan.jobs)
    errors: list[BaseException] = []
    stopped = threading.Event()

    def work() -> None:
        try:
            while not errors and (trial := searching.next()) is not None:
                cell = searching.cell_of(trial)
                begun = time.monotonic()
                end = children.run(cell, progress)
                trial = searching.record_end(trial, end, time.monotonic() - begun)
                progress.say(_message(trial, end))
                if end.stopped:
                    stopped.set()
                    return
                with writing:
                    changed()
        except BaseException as error:
            errors.append(error)
            searching.abort()
            children.end()

    writing = threading.Lock()
    with shown(0) as progress:
        threads = [
            threading.Thread(target=work, daemon=True)
            for _ in range(searching.plan.jobs)
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
    if stopped.is_set():
        raise KeyboardInterrupt


def _message(trial: Trial, end: Finished) -> str:
    """Says how far a trial has come, and whether it goes on."""
    if end.folder is None:
        word = "pruned" if end.stopped else "failed"
        return f"trial {trial.number} {word}: {end.error}"
    last = trial.pauses[-1]
    word = {"unfinished": "goes on", "pruned": "pruned, as others were better"}.get(
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
    known = [trial for trial in trials if trial.pauses and trial.state != "failed"]
    if not known:
        reasons = [trial.failure for trial in trials if trial.failure]
        raise BadInput(
            f"no trial reached its first evaluation{': ' if reasons else ''}"
            f"{reasons[0] if reasons else ''}"
        )
    return max(known, key=lambda one: (len(one.pauses), one.pauses[-1].score))


def _flag(name: str) -> str:
    """Names Optuna's choice between the preset and another value of a setting."""
    return f"{name}?"


def _step(k: int) -> int:
    """Returns Optuna's resource at pause k: the updates, as a multiple of the first."""
    return DIVISORS[0] // DIVISORS[k]
