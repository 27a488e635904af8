"""Reader of `numpy.savez` files.

Each array holds the steps of all episodes end to end. The array `episode_ends` holds
one past the last row of each episode.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from dp_bench.data import signatures
from dp_bench.data.readers.rows import checked_ends, damaged
from dp_bench.data.sizes import check_size
from dp_bench.errors import BadInput

ENDS = "episode_ends"


def matches(path: Path) -> bool:
    """Tells whether `path` is a `numpy.savez` file, even a truncated one."""
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
    """Reads named arrays, and unpickles nothing.

    Args:
        path: The file.
        names: Names of arrays that have one row for each step.

    Returns:
        The arrays by name, each `(N, ...)`, and one past the last row of each episode,
        `(E,)`.

    Raises:
        BadInput: When the file is truncated or damaged, or an array is missing.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in (*names, ENDS) if name not in file.files]
            if not missing:
                _check_sizes(path, (*names, ENDS))
                ends = file[ENDS]
                arrays = {name: file[name] for name in names}
    except BadInput:
        raise
    except Exception as error:  # numpy, zipfile and zlib share no base class
        raise damaged(path, error) from error
    if missing:
        raise BadInput(
            f"{path} has no array {missing[0]!r}; it must hold "
            f"{', '.join((*names, ENDS))}"
        )
    return arrays, checked_ends(path, ENDS, ends, arrays)


def _check_sizes(path: Path, names: Sequence[str]) -> None:
    """Refuses arrays that claim far more bytes than the file holds.

    Raises:
        BadInput: With the name of the array.
    """
    with zipfile.ZipFile(path) as archive:
        for name in names:
            info = archive.getinfo(f"{name}.npy")
            try:
                check_size(info.file_size, info.compress_size)
                with archive.open(info) as file:
                    claimed = _claimed_bytes(file)
                if claimed > info.file_size:
                    raise BadInput(
                        f"claims {claimed} bytes and has {info.file_size}: get the "
                        f"file again"
                    )
            except BadInput as error:
                raise BadInput(f"{path}: array {name!r} {error}") from error


def _claimed_bytes(file: IO[bytes]) -> int:
    """Reads from the head of an array how large it is [bytes]."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise BadInput(f"has format {version} of numpy: save it with `numpy.savez`")
    shape, _, dtype = read[version](file)
    return math.prod(shape) * int(dtype.itemsize)
