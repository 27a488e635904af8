"""A record: one evaluated episode, one line of a JSON-lines file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.errors import BadInput
from dp_bench.runs.info import RunIdentity, check_identity
from dp_bench.runs.trained import Trained
from dp_bench.util import jsonl, settings
from dp_bench.util.files import whole_files

if TYPE_CHECKING:
    import pandas as pd

NOT_NEGATIVE = (
    "train_seed", "step", "env_seed", "length", "decision_latency", "parameters",
    "train_seconds",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Record(RunIdentity):
    """One evaluated episode, with everything a table needs to place it.

    The identity of the run comes first; see `RunIdentity`.

    Attributes:
        step: Number of updates that made the weights.
        starts: Kind of starts, "test", "validation" or "decision".
        variant: Variant of the environment.
        env_seed: Seed of the episode's start.
        score: In [0, 1].
        success: Whether the policy solved the task.
        sub_scores: Further numbers of the task, by name.
        length: Number of steps.
        decision_latency: Mean time of one decision for one lane [s]. Besides
            `train_seconds`, only this field may differ between two equal runs.
        parameters: Number of trained parameters.
        train_seconds: Wall-clock time of the training [s].
        commit: Commit of this project; "" outside a checkout.
        versions: Versions of Python and of the packages that can change numbers.
        success_once: Whether the task was solved at any step; None if unknown.
        success_at_end: Whether it was solved at the last step; None if unknown.
        trained: How the weights were trained, and their digest; None in records from
            before dp-bench wrote it.
    """

    step: int
    starts: str
    variant: str
    env_seed: int
    score: float
    success: bool
    sub_scores: dict[str, float]
    length: int
    decision_latency: float
    parameters: int
    train_seconds: float
    commit: str
    versions: dict[str, str]
    success_once: bool | None = None
    success_at_end: bool | None = None
    trained: Trained | None = None

    def __post_init__(self) -> None:
        settings.check_at_least(self, dict.fromkeys(NOT_NEGATIVE, 0))
        if not 0 <= self.score <= 1:
            raise BadInput(f"score must be in [0, 1], got {self.score}")
        if self.success_at_end and self.success_once is False:
            raise BadInput(
                "success_at_end is true, so success_once must be true, too; got false"
            )
        for name in self.sub_scores:
            if name in _FIELDS:
                raise BadInput(
                    f"sub_scores must not use {name!r}, the name of a field of records"
                )


_FIELDS = {field.name for field in fields(Record)}


def append(path: str | Path, records: Iterable[Record]) -> None:
    """Adds records to the end of a file, as `jsonl.append` does.

    Args:
        path: Ends in `.jsonl`, so that `read` finds it in its folder.
        records: All are checked before the first is written.

    Raises:
        BadInput: When `read` would refuse a record, or the file cannot be written.
    """
    jsonl.append(path, records)


def read(path: str | Path) -> list[Record]:
    """Reads the records of one file, or of all `.jsonl` files in and under a folder.

    A crash can cut the last line of a file short; such a line is skipped.

    Raises:
        BadInput: When there is nothing to read or a line is not a record; the message
            names the file, the line and the field.
    """
    path = Path(path)
    if path.is_dir():
        files = whole_files(path.rglob("*.jsonl"))
        if not files:
            raise BadInput(f"{path} has no records: no file in it ends in .jsonl")
    elif path.is_file():
        files = [path]
    else:
        raise BadInput(f"{path} is neither a file of records nor a folder of them")
    return [record for file in files for record in _read_file(file)]


def _read_file(file: Path) -> list[Record]:
    read_records = jsonl.read(file, Record)
    for record in read_records:
        check_identity(record, str(file))
    return read_records


def to_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Makes a table with a row per record and a column per field and sub-score.

    A sub-score that a record lacks is NaN. Versions become text: "numpy 2.1, ...".
    """
    import pandas as pd

    plain = [
        field.name
        for field in fields(Record)
        if field.name not in ("sub_scores", "versions")
    ]
    rows = []
    for record in records:
        row = {name: getattr(record, name) for name in plain}
        row["versions"] = ", ".join(
            f"{name} {version}" for name, version in sorted(record.versions.items())
        )
        rows.append(row | record.sub_scores)
    return pd.DataFrame(rows, columns=None if rows else [*plain, "versions"])


def same(a: Record, b: Record) -> bool:
    """Tells whether two records agree in everything but the measured times."""
    with_times_of_b = replace(
        a, decision_latency=b.decision_latency, train_seconds=b.train_seconds
    )
    return with_times_of_b == b
