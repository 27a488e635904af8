"""Pictures of demonstrations, which stay in their file until they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dp_bench.errors import BadInput


class Part(NamedTuple):
    """The pictures of one episode: a dataset of an HDF5 file."""

    name: str
    rows: int


@dataclass(frozen=True)
class Pictures:
    """Pictures of N steps, as an array would have them; of one kind, all episodes.

    Indexing by a slice or by row numbers reads those rows, and no others.

    Attributes:
        path: HDF5 file.
        parts: Of each episode.
        shape: `(N, height, width, channels)`.
    """

    path: Path
    parts: tuple[Part, ...]
    shape: tuple[int, ...]

    dtype = np.dtype(np.uint8)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """The pictures of some rows, uint8 `(n, height, width, channels)`.

        Raises:
            BadInput: When the file is no longer there, or is damaged.
        """
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        wanted = np.asarray(rows, np.int64)
        if wanted.ndim != 1 or ((wanted < -len(self)) | (wanted >= len(self))).any():
            raise IndexError(f"rows must be a list of numbers below {len(self)}")
        wanted = wanted % len(self) if len(self) else wanted
        found = np.empty((len(wanted), *self.shape[1:]), np.uint8)
        ends = np.cumsum([part.rows for part in self.parts])
        of = np.searchsorted(ends, wanted, side="right")
        with _opened(self.path) as file:
            for k in np.unique(of):
                places = np.flatnonzero(of == k)
                within = wanted[places] - (ends[k] - self.parts[k].rows)
                # HDF5 takes rows in their order, each once
                each, back = np.unique(within, return_inverse=True)
                first, last = int(each[0]), int(each[-1]) + 1
                block = file[self.parts[k].name]
                if len(within) == last - first and (np.diff(within) == 1).all():
                    found[places] = block[first:last]
                elif 2 * len(each) > last - first:  # few are read in vain
                    found[places] = block[first:last][within - first]
                else:
                    found[places] = block[each][back]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of them, in memory."""
        return self[:].astype(dtype or self.dtype, copy=False)

    def select(self, episodes: Sequence[int] | np.ndarray) -> Pictures:
        """Those of the named episodes, in the given order; nothing is read."""
        parts = tuple(self.parts[int(k)] for k in episodes)
        rows = sum(part.rows for part in parts)
        return Pictures(self.path, parts, (rows, *self.shape[1:]))

    def blocks(self) -> Iterator[np.ndarray]:
        """Those of each episode, one after the other."""
        end = 0
        for part in self.parts:
            yield self[end : end + part.rows]
            end += part.rows


def of_file(path: Path, groups: Sequence[Any], name: str) -> Pictures:
    """The pictures that groups of an open file hold under a name.

    Args:
        path: Of that file.
        groups: One for each episode, of h5py.
        name: Of the dataset in each.

    Raises:
        BadInput: When they are no pictures, or of more than one size.
    """
    parts = []
    for group in groups:
        block = group[name]
        if not is_pictures(block):
            raise BadInput(
                f"{name} must be pictures, uint8 of shape (steps, height, width, "
                f"channels), and are {block.dtype} {block.shape}"
            )
        parts.append(Part(block.name, len(block)))
    shapes = {group[name].shape[1:] for group in groups}
    if len(shapes) > 1:
        found = " and ".join(map(str, sorted(shapes)))
        raise BadInput(f"rows of {name} must have one shape, and have {found}")
    rows = sum(part.rows for part in parts)
    return Pictures(path, tuple(parts), (rows, *shapes.pop()))


def is_pictures(array: Any) -> bool:
    """Whether an array, in memory or in a file, is pictures of steps."""
    return bool(array.dtype == np.uint8 and array.ndim == 4)


def _opened(path: Path) -> Any:
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        said = " ".join(str(error).split())
        raise BadInput(
            f"the pictures of these demonstrations are in {path}, which cannot be "
            f"read ({said}): put it there again"
        ) from error
