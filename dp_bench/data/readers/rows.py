"""Checks and errors that the readers of foreign formats share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def check_finite(arrays: Mapping[str, object], ends: np.ndarray) -> None:
    """Refuses infinity and NaN, before a converter can clip or round them.

    Args:
        arrays: By name; texts and images that stay in their file are left alone.
        ends: One past the last row of each episode, `(E,)`.

    Raises:
        BadInput: With the name of the array, the episode and the step.
    """
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            continue
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            place = tuple(bad[0])
            k = int(np.searchsorted(ends, place[0], side="right"))
            begin = int(ends[k - 1]) if k else 0
            raise BadInput(
                f"{name} must be finite, got {array[place]} in episode {k} at step "
                f"{int(place[0]) - begin}"
            )


def checked_ends(
    path: Path, ends_name: str, ends: np.ndarray, arrays: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Checks the ends of episodes, and that all arrays hold numbers up to the last.

    Returns:
        One past the last row of each episode, `(E,)`, int64.

    Raises:
        BadInput: With the names of file and array.
    """
    if ends.ndim != 1 or ends.dtype.kind not in "iu" or not len(ends):
        raise BadInput(
            f"{path}: {ends_name} must list at least one row number, as whole numbers, "
            f"got {ends.dtype} {ends.shape}"
        )
    for name, array in arrays.items():
        check_numbers(array, f"{path}: array {name!r}")
        if len(array) != ends[-1]:
            raise BadInput(
                f"{path}: array {name!r} has {len(array)} rows, and the last episode "
                f"ends at {ends[-1]}"
            )
    whole = ends.astype(np.int64)  # beyond int64 it becomes negative
    if whole[0] < 1 or (np.diff(whole) < 1).any():
        raise BadInput(
            f"{path}: {ends_name} must increase from above 0, got "
            f"{np.array2string(ends, threshold=6, edgeitems=3, separator=', ')}"
        )
    return whole


def check_numbers(array: np.ndarray, subject: str) -> None:
    """Refuses an array of anything but numbers, or without rows.

    Raises:
        BadInput: With the subject.
    """
    if array.dtype.kind not in "fiub" or not array.ndim:
        raise BadInput(
            f"{subject} must be numbers with one row for each step, got "
            f"{array.dtype} {array.shape}"
        )


def as_images(blocks: Iterable[np.ndarray], subject: str) -> Iterator[np.ndarray]:
    """Converts blocks of RGB images `(n, H, W, 3)` in [0, 255] to uint8.

    Raises:
        BadInput: With the subject, when a block holds no such images.
    """
    for block in blocks:
        if block.ndim != 4 or block.shape[3] != 3 or block.dtype.kind not in "fiu":
            raise BadInput(
                f"{subject} must hold images (steps, height, width, 3), got "
                f"{block.dtype} {block.shape}"
            )
        # `not <=` instead of `>`: NaN is refused, too.
        if block.dtype != np.uint8 and not (block.min() >= 0 and block.max() <= 255):
            raise BadInput(
                f"{subject} must hold numbers in [0, 255], got {block.min()} to "
                f"{block.max()}"
            )
        yield np.rint(block).astype(np.uint8)


def by_episode(
    blocks: Iterable[np.ndarray], lengths: Sequence[int] | np.ndarray, subject: str
) -> Iterator[np.ndarray]:
    """Cuts blocks of rows that lie end to end into episodes.

    Args:
        blocks: Rows `(n, ...)`.
        lengths: Rows of each episode.
        subject: The array, for errors.

    Raises:
        BadInput: With the subject, when there are fewer or more rows.
    """
    rest: list[np.ndarray] = []
    present, source = 0, iter(blocks)
    for k, length in enumerate(lengths):
        while present < length:
            block = next(source, None)
            if block is None:
                raise BadInput(f"{subject} ends within episode {k}: get the file again")
            rest.append(block)
            present += len(block)
        rows = np.concatenate(rest)
        yield rows[:length]
        rest, present = [rows[length:]], present - int(length)
    if present or next(source, None) is not None:
        raise BadInput(f"{subject} has rows after the last episode")
