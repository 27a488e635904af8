"""Pictures of demonstrations, which stay in their file until they are looked at."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dp_bench.errors import BadInput


class Part(NamedTuple):
    """The pictures of one episode: where a dataset is in an HDF5 file."""

    where: str
    rows: int


@dataclass(frozen=True)
class Pictures:
    """Pictures of N steps, of one kind and all episodes.

    Indexing by a slice or by a list of row numbers reads those rows, and no others.

    Attributes:
        path: HDF5 file.
        parts: Of each episode.
        shape: `(N, height, width, channels)`.
        stamp: What tells the file from another of its name.
    """

    path: Path
    parts: tuple[Part, ...]
    shape: tuple[int, ...]
    stamp: tuple[int, ...]

    dtype = np.dtype(np.uint8)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.episodes():
            yield from block

    def __getitem__(self, rows: slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """The pictures of some rows, uint8 `(n, height, width, channels)`.

        Raises:
            IndexError: When these are no row numbers.
            BadInput: When the file is not there, is another one, or is damaged.
        """
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        wanted = np.asarray(rows) if len(rows) else np.empty(0, np.int64)
        if (
            wanted.ndim != 1
            or wanted.dtype.kind not in "iu"
            or ((wanted < -len(self)) | (wanted >= len(self))).any()
        ):
            raise IndexError(f"rows must be a slice or numbers below {len(self)}")
        wanted = wanted.astype(np.int64) % max(len(self), 1)
        found = np.empty((len(wanted), *self.shape[1:]), np.uint8)
        ends = np.cumsum([part.rows for part in self.parts])
        of = np.searchsorted(ends, wanted, side="right")
        with self._opened() as file:
            for k in np.unique(of):
                places = np.flatnonzero(of == k)
                within = wanted[places] - (ends[k] - self.parts[k].rows)
                # HDF5 takes rows in their order, each once
                each, back = np.unique(within, return_inverse=True)
                first, last = int(each[0]), int(each[-1]) + 1
                block = file[self.parts[k].where]
                if len(within) == last - first and (np.diff(within) == 1).all():
                    found[places] = block[first:last]
                elif 2 * len(each) > last - first:  # few are read in vain
                    found[places] = block[first:last][within - first]
                else:
                    found[places] = block[each][back]
        return found

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        """The file, if it is the one that was read."""
        import h5py

        what = f"the pictures of these demonstrations are in {self.path}, which"
        try:
            if _stamp(self.path) != self.stamp:
                raise BadInput(f"{what} was changed meanwhile: load them again")
            with h5py.File(self.path, "r") as file:
                yield file
        except BadInput:
            raise
        except FileNotFoundError as error:
            raise BadInput(f"{what} is no longer there: put it there again") from error
        except Exception as error:  # h5py raises whatever its library says
            said = " ".join(str(error).split())
            raise BadInput(f"{what} is damaged ({said}): get it again") from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of them, in memory."""
        return self[:].astype(dtype or self.dtype, copy=False)

    def select(self, episodes: Sequence[int] | np.ndarray) -> Pictures:
        """Those of the named episodes, in the given order; nothing is read."""
        parts = tuple(self.parts[int(k)] for k in episodes)
        rows = sum(part.rows for part in parts)
        return dataclasses.replace(self, parts=parts, shape=(rows, *self.shape[1:]))

    def episodes(self) -> Iterator[np.ndarray]:
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
    for group in groups:
        if not is_pictures(group[name]):
            raise BadInput(
                f"{name} must be pictures, uint8 of shape (steps, height, width, 3), "
                f"and are {group[name].dtype} {group[name].shape}"
            )
    shape = row_shape(groups, name)
    parts = tuple(Part(f"{group.name}/{name}", len(group[name])) for group in groups)
    rows = sum(part.rows for part in parts)
    return Pictures(path.absolute(), parts, (rows, *shape), _stamp(path))


def row_shape(groups: Sequence[Any], name: str) -> tuple[int, ...]:
    """The shape of a row, `(...)`, of datasets `(N, ...)` of this name in the groups.

    Raises:
        BadInput: When there is more than one.
    """
    shapes = sorted({group[name].shape[1:] for group in groups})
    if len(shapes) > 1:
        found = " and ".join(map(str, shapes))
        raise BadInput(f"rows of {name} must have one shape, and have {found}")
    return tuple(shapes[0])


def is_pictures(array: Any) -> bool:
    """Whether an array, in memory or in a file, is pictures of steps, in colour."""
    shape = array.shape
    return bool(
        array.dtype == np.uint8 and len(shape) == 4 and shape[3] == 3 and min(shape[1:])
    )


def _stamp(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
