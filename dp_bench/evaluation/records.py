"""A record: one evaluated episode, on one line of a JSON-lines file."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Record:
    """One evaluated episode, with all that is needed to place it in a table.

    Attributes:
        task: Name of the task.
        obs_kind: Which observation the policy saw.
        control: What its actions meant, "position" or "velocity".
        method: Name of the method.
        preset: Tier of its settings: smoke, laptop, paper, or custom.
        settings: Short hash of all settings of the run.
        demos_digest: Content digest of the demonstrations.
        split_digest: Digest of which episodes trained and which validated.
        order_digest: Digest of the order in which training went through the rows of
            these episodes; "" in records that were made before it was written down.
        train_seed: Seed of the training.
        step: Updates made when the weights were taken.
        starts: "test" or "validation".
        variant: Which variant of the environment.
        env_seed: Seed of the episode's start.
        score: In [0, 1].
        success: Whether the task was solved.
        sub_scores: Further numbers of the task.
        length: Steps of the episode.
        decision_latency: Mean time of one decision for one lane [s]; the only field
            besides `train_seconds` that may differ between two equal runs.
        parameters: Number of trained parameters.
        train_seconds: Wall-clock of the training [s].
        commit: Commit of this project, "" where it is not a checkout.
        versions: Versions of python and the packages that can move numbers.
    """

    task: str
    obs_kind: str
    control: str
    method: str
    preset: str
    settings: str
    demos_digest: str
    split_digest: str
    train_seed: int
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
    versions: dict[str, str] = field(default_factory=dict)
    order_digest: str = ""


def append(path: str | Path, records: Iterable[Record]) -> None:
    """Adds records to the end of a file, which is made where there is none.

    Each line is one write, so that a crash loses at most the line in flight; what a
    crash left of a line is cut off first. The disk has them all when this returns. A
    file has one writer at a time.

    Args:
        path: Ends in `.jsonl`, for `read` to find it in its folder.
        records: Checked before anything is written.

    Raises:
        BadInput: When a record would be refused by `read`, or cannot be written.
    """
    lines = [_line(record) for record in records]
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+", buffering=0) as file:
            _mend(file)
            for line in lines:
                before = file.seek(0, os.SEEK_END)
                if file.write(line) != len(line):
                    file.truncate(before)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
    except OSError as error:
        raise BadInput(
            f"cannot write {path}: {error}; the episodes that are in it are whole, and "
            "the same command plays the others"
        ) from error


def read(path: str | Path) -> list[Record]:
    """Reads the records of a file, or of all `.jsonl` files in and under a folder.

    The last line of a file may be cut short, as a crash leaves it: it is passed over,
    and the next `append` removes it.

    Raises:
        BadInput: When there is nothing to read, or a line is not a record; names the
            file, the line and the field.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.rglob("*.jsonl"))
        if not files:
            raise BadInput(f"{path} has no records: no file in it ends in .jsonl")
    elif path.is_file():
        files = [path]
    else:
        raise BadInput(f"{path} is neither a file of records nor a folder of them")
    return [record for file in files for record in _read_file(file)]


def to_frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row per record, one column per field and per sub-score.

    A sub-score that a record lacks is NaN. Versions become text: "numpy 2.1, ...".
    """
    import pandas as pd

    rows = []
    for record in records:
        row = {name: getattr(record, name) for name in _PLAIN}
        row["versions"] = ", ".join(
            f"{name} {version}" for name, version in sorted(record.versions.items())
        )
        rows.append(row | record.sub_scores)
    return pd.DataFrame(rows, columns=None if rows else [*_PLAIN, "versions"])


def same(a: Record, b: Record) -> bool:
    """Whether two records agree in all but how long things took."""
    return replace(a, **_TIMES) == replace(b, **_TIMES)


_TIMES: dict[str, Any] = {"decision_latency": 0.0, "train_seconds": 0.0}
_FIELDS = {field.name: field for field in fields(Record)}
_PLAIN = [name for name, field in _FIELDS.items() if "dict" not in str(field.type)]
_NUMBER = (int, float)
_KINDS: dict[str, tuple[str, Any]] = {  # what JSON must hold for a declared type
    "str": ("text", str),
    "int": ("a whole number", int),
    "float": ("a finite number", _NUMBER),
    "bool": ("true or false", bool),
}


def _line(record: Record) -> bytes:
    try:
        text = json.dumps(asdict(record), allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"a record of {record.method!r} on {record.task!r} cannot be written: "
            f"{error}"
        ) from error
    _record(json.loads(text))
    return text.encode() + b"\n"


def _plain(value: Any) -> Any:
    """The Python number in a NumPy scalar."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} is neither a number nor text")


def _mend(file: Any) -> None:
    """Ends the last line, or cuts it off where it is not whole."""
    file.seek(0)
    whole, _, rest = file.read().rpartition(b"\n")
    if not rest:
        return
    if _is_json(rest):
        file.write(b"\n")
    else:
        file.truncate(len(whole) + 1 if whole else 0)


def _is_json(line: bytes) -> bool:
    """Whether a line is whole: no beginning of a JSON object is one itself."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _read_file(path: Path) -> Iterator[Record]:
    *lines, rest = path.read_bytes().split(b"\n")
    if _is_json(rest):
        lines.append(rest)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield _record(json.loads(line))
        except BadInput as error:
            raise BadInput(f"{path}, line {number}: {error}") from error
        except ValueError as error:
            raise BadInput(f"{path}, line {number} is not JSON: {error}") from error


def _record(values: Any) -> Record:
    """Makes a record of what a line holds.

    Raises:
        BadInput: With the first field that is missing, unknown or of the wrong kind.
    """
    if not isinstance(values, dict):
        raise BadInput("a record must be an object {...}")
    for name in values:
        if name not in _FIELDS:
            raise BadInput(f"unknown field {name!r}; there are {', '.join(_FIELDS)}")
    for name, field_ in _FIELDS.items():
        if name in values:
            _check(name, str(field_.type), values[name])
        elif field_.default_factory is MISSING:
            raise BadInput(f"field {name!r} is missing")
    if not 0 <= values["score"] <= 1:
        raise BadInput(f"field 'score' must lie in [0, 1], got {values['score']}")
    taken = sorted(set(values["sub_scores"]) & set(_FIELDS))
    if taken:
        raise BadInput(f"field 'sub_scores' must not use the name {taken[0]!r}")
    return Record(**values)


def _check(name: str, kind: str, value: Any) -> None:
    if kind.startswith("dict"):
        if not isinstance(value, dict):
            raise BadInput(f"field {name!r} must be an object, got {value!r}")
        inner = kind.removeprefix("dict[str, ").removesuffix("]")
        for key, member in value.items():
            _check(f"{name}.{key}", inner, member)
        return
    words, types = _KINDS[kind]
    right = isinstance(value, types) and isinstance(value, bool) == (kind == "bool")
    if not right or value != value or value in (float("inf"), -float("inf")):
        raise BadInput(f"field {name!r} must be {words}, got {value!r}")
