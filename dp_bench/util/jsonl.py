"""JSON lines with a schema: every line of a file is one dataclass, and is checked."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from dp_bench.errors import BadInput
from dp_bench.util import settings
from dp_bench.util.files import (
    atomic_write,
    open_without_links,
    read_without_links,
)
from dp_bench.util.json_text import parsed

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def read(path: Path | str, cls: type[T]) -> list[T]:
    """Reads a file of JSON lines, one `cls` a line.

    A crash can cut the last line short. `read` skips such a line, and the next
    `append` removes it.

    Raises:
        BadInput: When the file is a link or cannot be read, or a line does not fit
            `cls`; the error names the file, the line and the field.
    """
    try:
        content = read_without_links(Path(path))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    return list(_parsed(content, cls, str(path)))


def read_or_advise(path: Path, cls: type[T], remedy: str) -> list[T]:
    """Reads a file as `read` does; an error ends with what to do.

    Args:
        path: The file; one that does not exist has no lines.
        cls: Class of its lines.
        remedy: What to do about a damaged file.
    """
    if not path.exists():
        return []
    try:
        return read(path, cls)
    except BadInput as error:
        raise BadInput(f"{error}; {remedy}") from None


def _parsed(content: bytes, cls: type[T], path: str) -> Iterator[T]:
    *lines, rest = content.split(b"\n")
    if _is_json(rest):
        lines.append(rest)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            data = parsed(line)
        except ValueError as error:
            raise BadInput(f"{where} is not JSON: {error}") from error
        yield settings.from_json(cls, data, where)


def append(
    path: Path | str, items: Iterable[DataclassInstance], *, sync: bool = True
) -> None:
    """Adds lines to the end of a file, which it creates if necessary.

    Each line is one write, so that a crash loses at most the line being written. A
    part of a line that a crash left behind is removed first. A file has one writer at
    a time.

    Args:
        path: The file.
        items: Dataclasses; all are checked before the first is written.
        sync: Whether to wait until the disk holds the lines, so that they survive a
            power failure.

    Raises:
        BadInput: When `read` would refuse an item, or the file cannot be written.
    """
    lines = [to_line(item) for item in items]
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with _opened(Path(path)) as file:
            _mend(file)
            for line in lines:
                end = file.seek(0, os.SEEK_END)
                if file.write(line) != len(line):
                    file.truncate(end)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if sync:
                os.fsync(file.fileno())
    except OSError as error:
        raise BadInput(
            f"cannot write {path}: {error.strerror or error}; every line in the file "
            "is complete, and the same command continues from there"
        ) from error


def write(path: Path, items: Iterable[DataclassInstance]) -> None:
    """Replaces the file by these lines; a failed write leaves the old file.

    Raises:
        BadInput: When `read` would refuse an item, or the file cannot be written.
    """
    content = b"".join(to_line(item) for item in items)
    with atomic_write(path) as part:
        part.write_bytes(content)


def to_line(item: DataclassInstance) -> bytes:
    """Encodes a dataclass as one line.

    Fields with a default come last, even where a subclass declares further fields: most
    were added later, and the lines of old and new files keep one order. A field at its
    default None is left out, and so is one whose metadata say `optional`.

    Raises:
        BadInput: When `read` would refuse the line.
    """
    values = asdict(item)
    for field in fields(item):
        if field.default is MISSING:
            continue
        value = values.pop(field.name)
        absent = field.default is None or field.metadata.get("optional")
        if value != field.default or not absent:
            values[field.name] = value
    kind = type(item).__name__
    try:
        text = json.dumps(values, allow_nan=False, default=_python_number)
    except (TypeError, ValueError) as error:
        raise BadInput(f"cannot write this {kind}: {error}") from error
    settings.from_json(type(item), json.loads(text), f"cannot write this {kind}")
    return text.encode() + b"\n"


def _python_number(value: object) -> object:
    """Converts a NumPy scalar to a Python number, which JSON can hold."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} is neither a number nor text")


def _opened(path: Path) -> BinaryIO:
    """Opens a file to read and append; never through a link, without a buffer."""
    binary = getattr(os, "O_BINARY", 0)  # Windows
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | binary
    return open(open_without_links(path, flags), "ab+", buffering=0)


def _mend(file: BinaryIO) -> None:
    """Ends the last line with a newline, or removes the line if it is incomplete."""
    file.seek(0)
    complete, _, rest = file.read().rpartition(b"\n")
    if not rest:
        return
    if _is_json(rest):
        file.write(b"\n")
    else:
        file.truncate(len(complete) + 1 if complete else 0)


def _is_json(line: bytes) -> bool:
    """Whether a line is complete: a cut JSON object is never valid JSON."""
    with contextlib.suppress(ValueError):
        parsed(line)
        return True
    return False
