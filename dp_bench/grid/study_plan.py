"""The plan of a study of encoders: how many updates each setup gets.

Each setup may train for the same time. How many updates that is depends on the
machine, so the plan is written down before anything trains, and the same command reads
it again: a stopped study then resumes the same trainings.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dp_bench.errors import BadInput
from dp_bench.evaluation.conditions import Conditions
from dp_bench.grid.cell import Cell, ResolvedCell
from dp_bench.grid.encoders import order
from dp_bench.grid.update_time import time_in_child
from dp_bench.util import progress, settings
from dp_bench.util.files import atomic_write_text, read_without_links
from dp_bench.util.json_text import parsed


@dataclass(frozen=True)
class Planned:
    """The training of one setup.

    Attributes:
        name: Of the setup.
        updates: Number of updates.
        update_seconds: Measured time of one update [s].
        encoder_parameters: Number of parameters of the encoders.
        encoder_trained: Number of those that training changes.
    """

    name: str
    updates: int
    update_seconds: float
    encoder_parameters: int
    encoder_trained: int

    def __post_init__(self) -> None:
        least = {"updates": 1, "encoder_parameters": 0, "encoder_trained": 0}
        settings.check_at_least(self, {**least, "update_seconds": 0})


@dataclass(frozen=True)
class Plan:
    """Updates of each setup under some conditions.

    Attributes:
        conditions: The conditions.
        setups: The setups that were timed.
    """

    conditions: Conditions
    setups: tuple[Planned, ...] = ()

    def of(self, name: str) -> Planned | None:
        """Finds the training of a setup; None if it was not timed."""
        return next((v for v in self.setups if v.name == name), None)


def conditions_of(
    cell: ResolvedCell,
    *,
    minutes: float | None,
    updates: int | None,
    changes: Sequence[str],
) -> Conditions:
    """Describes what the updates of a study depend on, on this machine.

    Args:
        cell: Any cell of the study; its demonstrations are on disk.
        minutes: Time of each training [min]; None for a number of updates.
        updates: Number of updates of each training; None for a time.
        changes: Settings that the user changes, `NAME=VALUE`.
    """
    from dp_bench.runs.provenance import machine

    here = machine()
    return Conditions(
        minutes=minutes,
        updates=updates,
        task=cell.task.name,
        method=cell.method.name,
        preset=cell.names.preset,
        obs_kind=cell.obs_kind,
        control=cell.control,
        changes=tuple(changes),
        demos=cell.demos.loaded.digest,
        device=cell.device.split(":")[0],
        threads=cell.settings.training.threads,
        processor=str(here["processor"]),
        gpu=here["gpu"] if cell.device.startswith("cuda") else None,
    )


@dataclass(frozen=True)
class Plans:
    """All plans of a folder of results; the last one was used last.

    A study that is typed again after another one finds its own plan.
    """

    plans: tuple[Plan, ...]


def make_plan(
    path: Path,
    conditions: Conditions,
    cells: Mapping[str, Cell],
    *,
    jobs: int = 1,
) -> tuple[Plan, dict[str, str]]:
    """Reads the plan of a study, times the setups that it lacks, and writes each.

    Call it only while no other process writes the file.

    Args:
        path: File of plans; those of other conditions stay in it.
        conditions: Of the study.
        cells: A training of each setup, by its name.
        jobs: Number of trainings that share the cores.

    Returns:
        The plan, and the setups that could not be timed, with the reasons.

    Raises:
        BadInput: When the file is damaged, or cannot be written.
    """
    earlier = read_plans(path) if path.is_file() else ()
    plan = _of_conditions(earlier, conditions, path)
    todo = {name: cell for name, cell in cells.items() if plan.of(name) is None}
    failures: dict[str, str] = {}
    _write(path, earlier, plan)
    if not todo:
        return plan, failures
    word = "encoder" if len(todo) == 1 else "encoders"
    progress.note(f"Timing {len(todo)} {word} on this machine, some seconds each")
    with progress.bar("Timing encoders", len(todo)) as bar:
        for name, cell in todo.items():
            try:
                cost = time_in_child(cell, jobs)
            except BadInput as error:
                failures[name] = str(error)
            else:
                updates = conditions.updates_in(cost.update_seconds)
                timed = Planned(name, updates, **dataclasses.asdict(cost))
                setups = sorted([*plan.setups, timed], key=lambda one: order(one.name))
                plan = Plan(conditions, tuple(setups))
                _write(path, earlier, plan)
            bar.advance(1, name)
    return plan, failures


def read_plans(path: Path) -> tuple[Plan, ...]:
    """Reads a file of plans.

    Raises:
        BadInput: When the file is damaged.
    """
    try:
        data = parsed(read_without_links(path))
        return settings.from_json(Plans, data, str(path)).plans
    except (ValueError, OSError) as error:
        raise BadInput(
            f"{path} holds no plans of a study ({error}); delete it to make new ones"
        ) from error


def _write(path: Path, earlier: Sequence[Plan], plan: Plan) -> None:
    """Writes a plan behind those of other conditions."""
    others = [other for other in earlier if other.conditions != plan.conditions]
    plans = Plans((*others, plan))
    if plans.plans == tuple(earlier):
        return
    text = json.dumps(dataclasses.asdict(plans), indent=2)
    atomic_write_text(path, text + "\n")


def _of_conditions(plans: Sequence[Plan], conditions: Conditions, path: Path) -> Plan:
    """Finds the plan of these conditions, or begins one and says what is new."""
    for plan in plans:
        if plan.conditions == conditions:
            progress.note(f"Going on with the plan in {path}")
            return plan
    if plans:
        was, now = (dataclasses.asdict(c) for c in (plans[-1].conditions, conditions))
        differing = [
            f"{name} {_word(was[name])} became {_word(value)}"
            for name, value in now.items()
            if value != was[name]
        ]
        progress.note(f"Making a new plan in {path}: {', '.join(differing)}")
    return Plan(conditions)


def _word(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
