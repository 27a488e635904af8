"""Images of demonstrations, which stay in their file until somebody reads them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dp_bench.data.hdf5_files import opened_unchecked
from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import h5py
    from numpy.typing import DTypeLike


class EpisodeImages(NamedTuple):
    """The images of one episode.

    Attributes:
        dataset: Path of the dataset inside the HDF5 file.
        rows: Number of images.
        sha256: Digest of the images (`episode_sha256`); "" if unknown.
    """

    dataset: str
    rows: int
    sha256: str = ""


@dataclass(frozen=True)
class LazyImages:
    """The images of N steps, all episodes end to end, which lie in an HDF5 file.

    Indexing with a slice or with row numbers reads these rows and no others.

    Attributes:
        path: The HDF5 file.
        parts: One dataset for each episode.
        shape: `(N, height, width, channels)`.
        stamp: Inode, size and time of the file, to notice that it was changed.
    """

    path: Path
    parts: tuple[EpisodeImages, ...]
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
        """Reads the images of some rows, uint8 `(n, height, width, channels)`.

        Raises:
            IndexError: When `rows` is neither a slice nor a list of row numbers.
            BadInput: When the file is missing, changed or damaged.
        """
        wanted = self._row_numbers(rows)
        images = np.empty((len(wanted), *self.shape[1:]), np.uint8)
        ends = np.cumsum([part.rows for part in self.parts])
        episode_of_row = np.searchsorted(ends, wanted, side="right")
        with self._open() as file:
            for k in np.unique(episode_of_row):
                places = np.flatnonzero(episode_of_row == k)
                within = wanted[places] - (ends[k] - self.parts[k].rows)
                images[places] = _read_rows(file[self.parts[k].dataset], within)
        return images

    def _row_numbers(self, rows: slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """Row numbers `(n,)`, none of them negative."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        wanted = np.asarray(rows) if len(rows) else np.empty(0, np.int64)
        if (
            wanted.ndim != 1
            or wanted.dtype.kind not in "iu"
            or ((wanted < -len(self)) | (wanted >= len(self))).any()
        ):
            raise IndexError(f"rows must be a slice or numbers below {len(self)}")
        return wanted.astype(np.int64) % max(len(self), 1)

    @contextlib.contextmanager
    def _open(self) -> Iterator[h5py.File]:
        """Opens the file, unless it was changed after loading."""
        subject = f"the images of these demonstrations are in {self.path}, which"
        try:
            if _stamp(self.path) != self.stamp:
                raise BadInput(
                    f"{subject} was changed meanwhile: load the demonstrations again"
                )
            with opened_unchecked(self.path) as file:
                yield file
        except BadInput:
            raise
        except FileNotFoundError as error:
            raise BadInput(
                f"{subject} is no longer there: put it back, or load the "
                f"demonstrations from another file"
            ) from error
        except Exception as error:  # h5py raises errors of many types
            reason = " ".join(str(error).split())
            raise BadInput(f"{subject} is damaged ({reason}): get it again") from error

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> np.ndarray:
        """Reads all images into memory, and checks them as `read_episode` does."""
        images = np.empty(self.shape, np.uint8)
        end = 0
        for block in self.episodes():
            images[end : end + len(block)] = block
            end += len(block)
        return images.astype(dtype or self.dtype, copy=False)

    def select(self, episodes: Sequence[int] | np.ndarray) -> LazyImages:
        """Keeps these episodes only, in the given order, and reads nothing."""
        parts = tuple(self.parts[int(k)] for k in episodes)
        rows = sum(part.rows for part in parts)
        return dataclasses.replace(self, parts=parts, shape=(rows, *self.shape[1:]))

    def episodes(self) -> Iterator[np.ndarray]:
        """Reads the images of one episode after the other, with `read_episode`."""
        for k in range(len(self.parts)):
            yield self.read_episode(k)

    def read_episode(self, k: int) -> np.ndarray:
        """Reads the images of episode k, and checks their digest if it is known.

        Indexing checks no digest, because that takes whole episodes.

        Returns:
            uint8 `(rows, height, width, channels)`.

        Raises:
            BadInput: When the images are not those that were written, or the file is
                missing, changed or damaged.
        """
        part = self.parts[k]
        end = sum(earlier.rows for earlier in self.parts[: k + 1])
        images = self[end - part.rows : end]
        if part.sha256 and episode_sha256(images) != part.sha256:
            raise BadInput(
                f"{self.path}: the images in {part.dataset} are not those that were "
                f"written; get or render them again"
            )
        return images


def episode_sha256(images: np.ndarray) -> str:
    """SHA-256 of the images of an episode, uint8 `(L, height, width, channels)`."""
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()


def lazy_images(path: Path, groups: Sequence[h5py.Group], name: str) -> LazyImages:
    """Refers to the images that groups of an open HDF5 file hold.

    Args:
        path: The file.
        groups: One group for each episode.
        name: Name of the dataset in each group.

    Raises:
        BadInput: When a dataset does not hold images, or their sizes differ.
    """
    for group in groups:
        if not is_images(group[name]):
            raise BadInput(
                f"{name} must be images, uint8 of shape (steps, height, width, 3), "
                f"and are {group[name].dtype} {group[name].shape}"
            )
    shape = row_shape(groups, name)
    parts = tuple(
        EpisodeImages(f"{group.name}/{name}", len(group[name])) for group in groups
    )
    rows = sum(part.rows for part in parts)
    return LazyImages(path.absolute(), parts, (rows, *shape), _stamp(path))


def row_shape(groups: Sequence[h5py.Group], name: str) -> tuple[int, ...]:
    """Returns the shape of one row of the datasets of this name in the groups.

    Raises:
        BadInput: When the datasets differ in it.
    """
    shapes = sorted({group[name].shape[1:] for group in groups})
    if len(shapes) > 1:
        raise BadInput(
            f"rows of {name} must have one shape, and have "
            f"{' and '.join(map(str, shapes))}"
        )
    return tuple(shapes[0])


def is_images(array: np.ndarray | LazyImages | h5py.Dataset) -> bool:
    """Tells whether an array, in memory or a file, holds RGB images `(N, H, W, 3)`."""
    shape = array.shape
    return bool(
        array.dtype == np.uint8 and len(shape) == 4 and shape[3] == 3 and min(shape[1:])
    )


def _read_rows(images: h5py.Dataset, rows: np.ndarray) -> np.ndarray:
    """Reads rows in any order; HDF5 itself takes increasing numbers, each once."""
    unique, place_in_unique = np.unique(rows, return_inverse=True)
    first, last = int(unique[0]), int(unique[-1]) + 1
    if len(rows) == last - first and (np.diff(rows) == 1).all():
        return np.asarray(images[first:last])
    if 2 * len(unique) > last - first:  # reads at most twice the rows it needs
        return np.asarray(images[first:last][rows - first])
    return np.asarray(images[unique][place_in_unique])


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
