"""Training logs in a folder of results, and the records that belong beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.records import Record
from dp_bench.reports.summary import place_among
from dp_bench.runs.folder import read_info
from dp_bench.runs.info import RunIdentity, RunInfo
from dp_bench.training.log import LogLine, read_log
from dp_bench.util.files import whole_files


class Training(NamedTuple):
    """One training.

    Attributes:
        info: Its settings and data.
        log: Its losses.
    """

    info: RunInfo
    log: list[LogLine]


class Curve(NamedTuple):
    """A line of a figure, or one for each training.

    Attributes:
        method: Has one colour and marker in every figure.
        label: In the legend.
    """

    method: str
    label: str

    @property
    def short(self) -> str:
        """The label with the abbreviation of the method."""
        known = registry.methods_and_variants().get(self.method)
        return (
            self.label.replace(known.title, known.short_title) if known else self.label
        )


class LogsAndRecords(NamedTuple):
    """Logs and records of trainings that differ in nothing but their seed.

    Attributes:
        logs: One for each training.
        records: Of one variant and kind of starts.
    """

    logs: list[list[LogLine]]
    records: list[Record]


def read(folder: Path) -> list[Training]:
    """Reads the trainings of a folder of results.

    Raises:
        BadInput: When a log is damaged, or the settings of its run are missing or
            damaged.
    """
    trainings = []
    for log in whole_files((folder / "logs").glob("*.jsonl")):
        run = folder / "runs" / f"{log.stem}.json"
        if not run.is_file():
            raise BadInput(
                f"{log} has no settings, {run}; `dp-bench report RESULTS --runs RUN` "
                "copies both from the run folder"
            )
        trainings.append(Training(read_info(run), read_log(log)))
    return trainings


def logs_by_method(trainings: Sequence[Training]) -> dict[Curve, list[list[LogLine]]]:
    """Groups logs by method, tier and observation, in the order of the table."""
    logs: dict[Curve, list[list[LogLine]]] = {}
    several = len({training.info.obs_kind for training in trainings}) > 1
    for info, log in sorted(trainings, key=lambda training: _place(training.info)):
        tier = "" if info.preset == "laptop" else f", {info.preset}"
        kind = f", {info.obs_kind}" if several else ""
        curve = Curve(info.method, registry.title_of(info.method) + kind + tier)
        logs.setdefault(curve, []).append(log)
    return logs


def with_several_steps(records: Sequence[Record]) -> list[Record]:
    """Selects runs that were evaluated at several updates on the same starts."""
    steps: dict[tuple[str, int, str], set[int]] = {}
    for r in records:
        steps.setdefault((r.settings, r.train_seed, r.starts), set()).add(r.step)
    return [r for r in records if len(steps[r.settings, r.train_seed, r.starts]) > 1]


def beside_their_logs(
    records: Sequence[Record], trainings: Sequence[Training]
) -> dict[Curve, LogsAndRecords]:
    """Puts records of several steps beside the logs of the same trainings.

    Takes test starts if the records have any, validation starts otherwise, in the
    variant that leads the task.
    """
    members: dict[tuple[str, ...], list[Record]] = {}
    for r in _of_one_condition(records):
        members.setdefault(_conditions_of(r), []).append(r)
    several = len({key[1] for key in members}) > 1
    rows = {}
    for key in sorted(members, key=lambda key: (_place(members[key][0]), key)):
        method, obs_kind, settings, demos, frames = key
        rivals = [other for other in members if other[:2] == key[:2]]
        label = registry.title_of(method) + (f", {obs_kind}" if several else "")
        if len({other[2] for other in rivals}) > 1:
            label += f", settings {settings}"
        if len({other[3] for other in rivals}) > 1:
            label += f", demonstrations {demos[:8]}"
        if len({other[4] for other in rivals}) > 1:
            label += f", images {frames[:8] or 'of the demonstrations'}"
        logs = [log for info, log in trainings if _conditions_of(info) == key]
        rows[Curve(method, label)] = LogsAndRecords(logs, members[key])
    return rows


def place_of_curve(task: str, method: str, obs_kind: str) -> tuple[object, ...]:
    """Gives the key by which curves are sorted: by method, then as in the table.

    Observations of a task that is not installed stay in the order of the records.
    """
    known = registry.tasks().get(task)
    place = place_among(obs_kind, known.obs_kinds) if known else ()
    return registry.position_of(method), *place


def _place(run: RunIdentity | RunInfo) -> tuple[object, ...]:
    return place_of_curve(run.task, run.method, run.obs_kind)


def _conditions_of(run: RunIdentity | RunInfo) -> tuple[str, ...]:
    """Lists what trainings that differ in nothing but their seed have in common."""
    return (
        *(run.method, run.obs_kind, run.settings),
        *(run.demos_digest, run.frames_digest),
    )


def _of_one_condition(records: Sequence[Record]) -> list[Record]:
    """Selects one kind of starts and one variant; none from no records."""
    chosen = [r for r in records if r.starts == "test"] or list(records)
    if not chosen:
        return []
    task = registry.tasks().get(chosen[0].task)
    variants = [*(task.variants if task else ()), *(r.variant for r in chosen)]
    present = {r.variant for r in chosen}
    variant = next(v for v in variants if v in present)
    return [r for r in chosen if r.variant == variant]
