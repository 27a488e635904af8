"""The trainings of a study of encoders, and what is kept of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from dp_bench.evaluation import records
from dp_bench.evaluation.encoders import EncoderTraining
from dp_bench.evaluation.starts import env_seeds_of
from dp_bench.grid.cell import Cell, ResolvedCell, resolve
from dp_bench.grid.encoders import OWN, Setup
from dp_bench.grid.study_plan import Plan
from dp_bench.reports.wording import milliseconds
from dp_bench.runs.folder import RunFolder
from dp_bench.util import progress

# Settings that the study decides itself.
DECIDED = {f"vision.{name}": "--encoders" for name in OWN} | {
    "training.updates": "--minutes or --updates"
}
WARMUP_SHARE = 10  # a training warms up for a tenth of its updates or less


def setup_cell(
    cell: Cell, setup: Setup, decided: Mapping[str, int] | None = None
) -> Cell:
    """Names the training of a setup.

    Args:
        cell: The training of the preset.
        setup: Its encoder.
        decided: Settings of the training by name; those of the user go first.
    """
    chosen = dict(cell.changes)
    training = {
        f"training.{name}": str(value) for name, value in (decided or {}).items()
    }
    ours = [(name, value) for name, value in training.items() if name not in chosen]
    changes = [*cell.changes, *setup.changes, *ours]
    return dataclasses.replace(
        cell, changes=tuple(changes), label=setup.name, starts="validation"
    )


def cells_of(
    cell: ResolvedCell, setups: Sequence[Setup], plan: Plan | None = None
) -> list[ResolvedCell]:
    """Makes a cell of each setup.

    With a plan, a training validates at its end only, as validation would take a part
    of the time. The warm-up is the preset's, but at most a tenth of the updates: a
    large encoder has few, and would see no full learning rate.

    Args:
        cell: The training of the preset.
        setups: The encoders.
        plan: Gives the updates; None for those of the preset.

    Raises:
        BadInput: When settings do not go together.
    """
    names = []
    for setup in setups:
        planned = plan.of(setup.name) if plan else None
        decided = _decided(planned.updates, cell) if planned else None
        names.append(setup_cell(cell.names, setup, decided))
    return resolve(names, cell.task)


def _decided(updates: int, cell: ResolvedCell) -> dict[str, int]:
    warmup = min(cell.settings.training.warmup, updates // WARMUP_SHARE)
    return {"updates": updates, "validate_every": updates, "warmup": warmup}


def training_of(cell: ResolvedCell, folder: Path, plan: Plan) -> EncoderTraining:
    """Collects what the study keeps of a finished cell.

    Args:
        cell: As of `cells_of`.
        folder: Its run folder.
        plan: Its plan.
    """
    run, names = RunFolder(folder), cell.names
    info = run.info()
    planned, vision = plan.of(names.label), cell.settings.vision
    assert planned is not None
    assert vision is not None
    starts = env_seeds_of(names.starts, names.episodes)
    played = [
        record
        for record in records.read(run.records)
        if record.settings == info.settings
        and record.starts == names.starts
        and record.variant == next(iter(cell.task.variants))
        and record.step == planned.updates
        and record.env_seed in starts
    ]
    return EncoderTraining(
        name=planned.name,
        plan=plan.conditions.digest,
        vision=vision,
        encoder_parameters=planned.encoder_parameters,
        encoder_trained=planned.encoder_trained,
        update_seconds=planned.update_seconds,
        minutes=plan.conditions.minutes,
        preset=names.preset,
        changes=plan.conditions.changes,
        source=info.demos_source,
        records=tuple(played),
    )


def describe(plan: Plan, names: Sequence[str], seeds: Sequence[int], jobs: int) -> str:
    """Describes the trainings of a study for a person.

    Args:
        plan: The plan.
        names: Setups that will be trained.
        seeds: Train seeds of each.
        jobs: Number of trainings at a time.
    """
    chosen = [planned for planned in plan.setups if planned.name in names]
    work = sum(v.updates * v.update_seconds for v in chosen) * len(seeds) / jobs
    number = len(chosen) * len(seeds)
    lines = [
        f"{number} training{'s' if number > 1 else ''} of {plan.conditions.method} on "
        f"{plan.conditions.task}: these will take about {progress.duration(work)} on "
        "this machine, and the validation starts follow"
    ]
    lines += [
        f"  {v.name}: {v.updates:,} updates of {milliseconds(v.update_seconds)} ms in "
        f"{progress.duration(v.updates * v.update_seconds)}"
        for v in chosen
    ]
    return "\n".join(lines)
