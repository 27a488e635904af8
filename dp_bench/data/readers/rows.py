"""What every foreign format must give: rows end to end, and where episodes end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dp_bench.errors import BadInput


def damaged(path: Path, error: Exception) -> BadInput:
    """What to raise for a file that a library failed to read."""
    said = " ".join(str(error).split())
    return BadInput(f"{path} is truncated or damaged ({said}): get it again")


def check_rows(
    path: Path, ends_name: str, ends: np.ndarray, arrays: Mapping[str, np.ndarray]
) -> None:
    """Refuses arrays that do not fit the ends of the episodes.

    Raises:
        BadInput: Names the file and the array.
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
