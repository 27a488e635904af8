"""Files of studies: JSON lines of several studies, of which the last one is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import Field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from dp_bench.errors import BadInput
from dp_bench.evaluation.records import Record
from dp_bench.runs.info import check_identity
from dp_bench.util import jsonl


class Line:
    """One line of a study: what was studied, and the episodes that it played.

    A subclass is a dataclass with a field `records`, the evaluated episodes.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    records: tuple[Record, ...]

    @property
    def table(self) -> tuple[str, ...]:
        """What lines of one table share."""
        raise NotImplementedError

    @property
    def key(self) -> tuple[str | int, ...]:
        """What tells the lines of one table apart."""
        raise NotImplementedError


L = TypeVar("L", bound=Line)


def merge(path: Path, cls: type[L], lines: Iterable[L], command: str) -> None:
    """Adds lines of one table; a failed write leaves the old file in place.

    Repeated lines are replaced, those of other tables stay before them. The lines of a
    table are sorted by their key, so the file does not depend on which ended first.
    Call it only while no other process writes the file.

    Args:
        path: The file, there or not.
        cls: Class of its lines.
        lines: At least one.
        command: As of `read`.
    """
    new = list(lines)
    others, same = [], {}
    for one in [*(read(path, cls, command) if path.is_file() else []), *new]:
        if one.table == new[-1].table:
            same[one.key] = one
        else:
            others.append(one)
    jsonl.write(path, [*others, *(same[name] for name in sorted(same))])


def last(lines: Sequence[L]) -> list[L]:
    """Leaves out the lines of other tables than the last one."""
    return [one for one in lines if one.table == lines[-1].table]


def read(path: Path, cls: type[L], command: str) -> list[L]:
    """Reads the lines of all studies of a file.

    Args:
        path: The file.
        cls: Class of its lines.
        command: Makes the file, for errors.

    Raises:
        BadInput: When the file is empty, or when a line does not fit; the message names
            the file and the line.
    """
    again = f"delete it, and `{command}` makes it again"
    try:
        lines: list[L] = jsonl.read(path, cls)
    except BadInput as error:
        raise BadInput(f"{error}; {again}") from None
    if not lines:
        raise BadInput(f"{path} is empty; {again}")
    for line in lines:
        for record in line.records:
            check_identity(record, str(path))
    return lines
