"""How the rows of a table were trained: marks, footnotes, and gaps of old records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dp_bench.evaluation.records import Record
from dp_bench.reports.table import Row
from dp_bench.reports.wording import DAGGER, DOUBLE_DAGGER, ranges
from dp_bench.runs.folder import read_run
from dp_bench.runs.info import RunIdentity
from dp_bench.util.files import whole_files


def with_trainings(records: Sequence[Record], folder: Path) -> list[Record]:
    """Adds to records that do not know their training what its run.json says.

    Args:
        records: Of one folder of results.
        folder: Holds `runs/*.json`, the copies of run.json.

    Raises:
        BadInput: When a copy is damaged.
    """
    if all(_knows(record) for record in records):
        return list(records)
    runs = [read_run(file) for file in whole_files((folder / "runs").glob("*.json"))]
    trainings = {_run_of(info.identity): trained for info, trained in runs}
    return [
        record
        if _knows(record)
        else replace(record, trained=trainings.get(_run_of(record), record.trained))
        for record in records
    ]


def _knows(record: Record) -> bool:
    return record.trained is not None and bool(record.trained.stages)


def _run_of(run: RunIdentity) -> tuple[object, ...]:
    """What tells trainings apart; older records lack the order of the rows."""
    return run.task, run.method, run.settings, run.demos_digest, run.train_seed


def conditions_of(row: Row) -> dict[int, str]:
    """Lists device, precision and version of torch by train seed, where known."""
    known = {seed: trained.conditions for seed, trained in row.trained.items()}
    return {seed: words for seed, words in known.items() if words}


def other_trainings(row: Row, usual: Mapping[int, str]) -> list[str]:
    """Says under which train seeds a row was trained unlike most rows.

    Args:
        row: Any row.
        usual: Conditions of most rows, by train seed.
    """
    seeds: dict[tuple[str, str], list[int]] = {}
    for seed, words in conditions_of(row).items():
        if words != usual[seed]:
            seeds.setdefault((words, usual[seed]), []).append(seed)
    return [
        f"trained on {words}, not on {others} ({_seeds(members)})"
        for (words, others), members in seeds.items()
    ]


def is_mixed(row: Row) -> bool:
    """Whether the trainings of a row differ in device, precision or version of torch.

    One training differs in itself if it was resumed under other conditions.
    """
    conditions = set(conditions_of(row).values())
    stages = {s.conditions for t in row.trained.values() for s in t.stages}
    return len(conditions) > 1 or len(stages - {""}) > 1


def marks(row: Row) -> str:
    """Returns the marks of a row, with a space before each."""
    return (f" {DAGGER}" if row.differs else "") + (
        f" {DOUBLE_DAGGER}" if is_mixed(row) else ""
    )


def mixture(row: Row) -> str:
    """Says how the trainings of a row differ, train seeds first; "" if they do not."""
    return _by_conditions([row]) if is_mixed(row) else ""


def described(rows: Sequence[Row]) -> str:
    """Describes the trainings of all rows, in one line under the table."""
    stages = [s for row in rows for t in row.trained.values() for s in t.stages]
    if not any(stage.device for stage in stages):
        return "Trained: unknown."
    parts = [f"Trained: {_by_conditions(rows)}"]
    for word, values in (
        ("processor", _texts(stage.processor for stage in stages)),
        ("threads", [str(n) for n in sorted({stage.threads for stage in stages})]),
        ("commit", _texts(stage.commit[:12] for stage in stages)),
    ):
        parts.append(f"{word} {', '.join(values)}")
    return "; ".join(parts) + "."


def _by_conditions(rows: Sequence[Row]) -> str:
    """Lists conditions, each with its train seeds."""
    seeds: dict[str, set[int]] = {}
    for row in rows:
        known = conditions_of(row)
        for seed in row.train_seeds:
            words = known.get(seed, "unknown conditions")
            seeds.setdefault(words, set()).add(seed)
    return "; ".join(f"{_seeds(seeds[words])} on {words}" for words in seeds)


def _seeds(seeds: Iterable[int]) -> str:
    members = sorted(seeds)
    return f"train seed{'s' if len(members) > 1 else ''} {ranges(members)}"


def _texts(values: Iterable[str]) -> list[str]:
    return sorted({value or "unknown" for value in values})
