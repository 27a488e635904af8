"""Checks and errors that the readers of foreign formats share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dp_bench.errors import BadInput


def damaged(path: Path, error: Exception) -> BadInput:
    """Returns the error for a file that a library failed to read."""
    reason = " ".join(str(error).split())
    return BadInput(f"{path} is truncated or damaged ({reason}): get it again")


def check_rows(
    path: Path, ends_name: str, ends: np.ndarray, arrays: Mapping[str, np.ndarray]
) -> None:
    """Refuses arrays whose length differs from the end of the last episode.

    Raises:
        BadInput: With the names of file and array.
    """
    if ends.ndim != 1 or ends.dtype.kind not in "iu" or not len(ends):
        raise BadInput(
            f"{path}: {ends_name} must list at least one row number, got "
            f"{ends.dtype} {ends.shape}"
        )
    for name, array in arrays.items():
        if len(array) != ends[-1]:
            raise BadInput(
                f"{path}: array {name!r} has {len(array)} rows, and the last episode "
                f"ends at {ends[-1]}"
            )
