"""The trials of a search for settings, one a line of `results/<task>/search/*.jsonl`.

Each line holds the settings, how long they trained, and the score of every episode, so
tables need nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.evaluation.conditions import Conditions
from dp_bench.util import jsonl, settings
from dp_bench.util.files import is_plain, locked

FOLDER = "search"
State = Literal["unfinished", "finished", "pruned", "failed"]


@dataclass(frozen=True)
class Pause:
    """A pause of a trial, at which it was evaluated.

    Attributes:
        update: Updates made.
        scores: Of each start, `(E,)`, in [0, 1].
        successes: Whether each was solved, `(E,)`.
        seconds: Training and evaluation since the last pause [s].
        copying: Turn of the next action divided by the turn of the last movement: 0
            ignores it, 1 copies it. None where it was not measured.
    """

    update: int
    scores: tuple[float, ...]
    successes: tuple[bool, ...]
    seconds: float
    copying: float | None = None

    def __post_init__(self) -> None:
        settings.check_at_least(self, {"update": 1, "seconds": 0})
        if not self.scores or len(self.scores) != len(self.successes):
            raise BadInput(
                f"a pause needs as many scores as successes, and one at least; got "
                f"{len(self.scores)} and {len(self.successes)}"
            )

    @property
    def score(self) -> float:
        """The mean score."""
        return float(np.mean(self.scores))


@dataclass(frozen=True)
class Trial:
    """One training of a search.

    Attributes:
        number: Counts the trials of a search; 0 is the preset itself.
        search: Digest of the conditions, of the starts and of the search space.
        conditions: Task, method, data and machine.
        train_seed: Seed of the training.
        starts: Number of validation starts.
        commit: Commit of this project; "" outside a checkout.
        values: Value of each dimension of the space that differs from the preset, as
            text.
        changes: Settings that differ from the preset, `NAME=VALUE`.
        updates: Updates of the whole training.
        update_seconds: Measured time of one update [s].
        state: "unfinished" until it ends; "pruned" if others were better; "failed" if
            its training failed.
        pauses: Its evaluations so far.
        failure: Why it failed.
        other_seconds: Time of measuring an update, and of trainings that were
            interrupted or failed [s].
    """

    number: int
    search: str
    conditions: Conditions
    train_seed: int
    starts: int
    commit: str
    values: dict[str, str]
    changes: tuple[str, ...]
    updates: int
    update_seconds: float
    state: State = "unfinished"
    pauses: tuple[Pause, ...] = ()
    failure: str = ""
    other_seconds: float = 0.0

    def __post_init__(self) -> None:
        settings.check_at_least(
            self, {"number": 0, "starts": 1, "updates": 0, "update_seconds": 0}
        )
        updates = [pause.update for pause in self.pauses]
        if updates != sorted(set(updates)) or any(u > self.updates for u in updates):
            raise BadInput(
                f"pauses must lie in 1..{self.updates} in order, got {updates}"
            )

    @property
    def seconds(self) -> float:
        """Time of all its trainings and evaluations [s]."""
        return self.other_seconds + sum(pause.seconds for pause in self.pauses)


def path_of(folder: Path, method: str) -> Path:
    """Returns the file of a method's trials in `results/<task>`."""
    if not is_plain(method):
        raise BadInput(f"method {method!r} is no name of a file")
    return folder / FOLDER / f"{method}.jsonl"


def read(path: Path) -> list[Trial]:
    """Reads the trials of all searches of a file; none where there is no file.

    Raises:
        BadInput: When a line is not a trial; the message names the file and the line.
    """
    remedy = "delete this line to keep the other trials, or the file to begin again"
    return jsonl.read_or_advise(path, Trial, remedy)


def put(path: Path, trial: Trial) -> None:
    """Adds a trial or replaces it; a failed write leaves the old file in place.

    Other processes may put trials of other numbers meanwhile.
    """
    with locked(path.with_name(f".{path.stem}.put.lock"), wait=True):
        trials = {(one.search, one.number): one for one in read(path)}
        known = trials.get((trial.search, trial.number))
        if known and known.changes != trial.changes:
            raise BadInput(
                f"{path}: another process made trial {trial.number} with other "
                "settings; run either one search or the parts I/N of one N"
            )
        trials[trial.search, trial.number] = trial
        # The search that ran last stands last.
        others = [one for one in trials.values() if one.search != trial.search]
        same = [one for one in trials.values() if one.search == trial.search]
        jsonl.write(path, [*others, *sorted(same, key=lambda one: one.number)])
