"""Arrays that numpy saved in one file: rows end to end, and `episode_ends`."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from dp_bench.data import signatures
from dp_bench.data.readers.rows import check_rows, damaged
from dp_bench.errors import BadInput

ENDS = "episode_ends"


def matches(path: Path) -> bool:
    """Whether `path` looks like a file of `numpy.savez`, a cut one included."""
    if path.is_dir() or not signatures.starts_with(path, signatures.ZIP):
        return False
    try:
        with zipfile.ZipFile(path) as file:
            return all(name.endswith(".npy") for name in file.namelist())
    except (zipfile.BadZipFile, OSError):
        return path.suffix == ".npz"


def read_arrays(
    path: str | Path, names: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads named arrays; nothing is unpickled.

    Args:
        path: The file.
        names: Arrays with a row for each step.

    Returns:
        The arrays by name, each `(N, ...)`, and one past the last row of each episode,
        `(E,)`.

    Raises:
        BadInput: When the file is truncated or damaged, or lacks an array.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            lacking = [name for name in (*names, ENDS) if name not in file.files]
            if not lacking:
                ends = file[ENDS]
                arrays = {name: file[name] for name in names}
    except Exception as error:  # numpy, zip files and zlib have no common error
        raise damaged(path, error) from error
    if lacking:
        raise BadInput(
            f"{path} has no array {lacking[0]!r}; it must hold "
            f"{', '.join((*names, ENDS))}"
        )
    check_rows(path, ENDS, ends, arrays)
    return arrays, ends
