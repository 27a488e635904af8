"""Recognising files by their first bytes."""

from __future__ import annotations

from pathlib import Path

from dp_bench.errors import BadInput

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"


def starts_with(path: Path, signature: bytes) -> bool:
    """Tells whether `path` is a file that begins with these bytes.

    Raises:
        BadInput: When the file cannot be read.
    """
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(signature)) == signature
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
