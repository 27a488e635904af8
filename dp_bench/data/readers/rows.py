"""Checks and errors that the readers of foreign formats share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dp_bench.data.hdf5_files import Unusable, opened
from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import h5py


def damaged(path: Path, error: Exception) -> BadInput:
    """Returns the error for a file that a library failed to read."""
    reason = " ".join(str(error).split())
    return BadInput(f"{path} is truncated or damaged ({reason}): get it again")


@contextlib.contextmanager
def read_hdf5(path: Path, file: Path) -> Iterator[h5py.File]:
    """Opens a foreign HDF5 file for the block, and names `path` in all its errors.

    Args:
        path: What the user named, the file or its folder.
        file: The file.

    Raises:
        BadInput: When the block finds a fault, and when HDF5 cannot read the file.
    """
    try:
        with opened(file) as opened_file:
            yield opened_file
    except Unusable:
        raise
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    except Exception as error:  # h5py raises errors of many types
        raise damaged(path, error) from error


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
