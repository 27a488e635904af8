"""Reader of Diffusion Policy's replay buffers, in zarr v2.

The group `data` has arrays with the steps of all episodes end to end. The array
`meta/episode_ends` holds one past the last row of each episode. A buffer is a folder or
a zip of one.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dp_bench.data import signatures
from dp_bench.data.readers.rows import checked_ends, damaged
from dp_bench.data.readers.zarr_arrays import (
    MOST_METADATA,
    ArrayAbout,
    check_consolidated,
    check_count,
    checked_about,
    unpacks_to,
)
from dp_bench.data.sizes import check_size
from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import zarr

ENDS = "meta/episode_ends"
DEPTH = 3  # levels of folders that may contain the buffer
MOST_NAMES = 5  # in an error
MOST_FILTERED = 16  # times the size of a chunk that filters may get
NEXT_VERSION = "3"  # of zarr, which reads more descriptions than are checked here


def matches(path: Path) -> bool:
    """Tells whether `path` is a folder that contains a replay buffer, or any zip."""
    if path.is_dir():
        return bool(_roots_of_folder(path))
    return signatures.starts_with(path, signatures.ZIP)


def read_arrays(
    path: str | Path, names: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads named arrays of a replay buffer, and no others (images, say).

    Zarr silently fills missing chunks with zeros, decodes truncated chunks to noise and
    runs whatever codec a file names. So the reader checks the description and every
    chunk before it decodes an array.

    Args:
        path: A folder or a zip file, with the buffer at its top or in subfolders.
        names: Names of arrays in `data`.

    Returns:
        The arrays by name, each `(N, ...)`, and one past the last row of each episode,
        `(E,)`.

    Raises:
        BadInput: When the file is truncated or damaged, or an array is missing.
    """
    path = Path(path)
    try:
        with _open(path) as buffer:
            ends = buffer.decode(ENDS)
            arrays = {name: buffer.decode(f"data/{name}") for name in names}
    except BadInput:
        raise
    except Exception as error:  # zarr, its codecs and zipfile share no base class
        raise damaged(path, error) from error
    return arrays, checked_ends(path, ENDS, ends, arrays)


def read_blocks(path: str | Path, name: str) -> Iterator[np.ndarray] | None:
    """Reads an array that may exceed memory, chunk by chunk along its first axis.

    Args:
        path: As for `read_arrays`.
        name: Name of an array in `data`.

    Returns:
        Blocks of rows `(n, ...)`, in order; None if the buffer has no such array.

    Raises:
        BadInput: As `read_arrays` does, before the first block or at a damaged one.
    """
    path = Path(path)
    try:
        with _open(path) as buffer:
            if buffer.size(f"data/{name}/.zarray") is None:
                return None
    except BadInput:
        raise
    except Exception as error:
        raise damaged(path, error) from error
    return _blocks(path, f"data/{name}")


def _blocks(path: Path, name: str) -> Iterator[np.ndarray]:
    try:
        with _open(path) as buffer:
            about = buffer.checked(name)
            for start in range(0, about.shape[0], about.chunks[0]):
                rows = slice(start, start + about.chunks[0])
                yield np.asarray(buffer.group[name][rows])
    except BadInput:
        raise
    except Exception as error:  # zarr, its codecs and zipfile share no base class
        raise damaged(path, error) from error


class _Buffer:
    """The files of a replay buffer in a folder, and its zarr group."""

    def __init__(self, path: Path, root: str, group: zarr.Group) -> None:
        self.path, self.root, self.group = path, root, group

    def size(self, name: str) -> int | None:
        """Returns the size of a file [bytes]; None if it does not exist."""
        file = self.path / self.root / name
        return file.stat().st_size if file.is_file() else None

    def content(self, name: str) -> bytes:
        """Reads a file."""
        return (self.path / self.root / name).read_bytes()

    def files(self, name: str) -> dict[str, int]:
        """Returns the sizes of the files below a folder [bytes], by relative name."""
        folder = self.path / self.root / name
        return {
            file.relative_to(folder).as_posix(): file.stat().st_size
            for file in folder.rglob("*")
            if file.is_file()
        }

    def decode(self, name: str) -> np.ndarray:
        """Decodes one array after checking it.

        Raises:
            BadInput: As `checked` does.
        """
        self.checked(name)
        return np.asarray(self.group[name][:])

    def checked(self, name: str) -> ArrayAbout:
        """Checks the description of an array and all of its chunks.

        Zarr leaves chunks out that hold zeros only. Such chunks are named in a warning.

        Raises:
            BadInput: When the array is missing, when a chunk is truncated, or when the
                description names an unknown codec or an implausible size.
        """
        if self.size(f"{name}/.zarray") is None:
            raise BadInput(f"{self.path} has no array {name!r}")
        try:
            about = self._about(name)
            chunks = {k: n for k, n in self.files(name).items() if about.is_chunk(k)}
            check_count(about, chunks)
            check_size(about.nbytes, sum(chunks.values()))
            if about.compressor:
                self._check_unpacked(name, about, chunks)
        except BadInput as error:
            raise BadInput(f"{self.path}: array {name!r} {error}") from error
        missing = math.prod(about.counts) - len(chunks)
        if missing and (name == ENDS or not about.fill_is_zero):
            raise BadInput(
                f"{self.path}: array {name!r} lacks {missing} of its "
                f"{math.prod(about.counts)} chunks: get the file again"
            )
        if missing:
            warnings.warn(
                f"{self.path}: {missing} of {math.prod(about.counts)} chunks of array "
                f"{name!r} are missing and read as zeros; zarr leaves out chunks of "
                f"zeros, but if the copy is incomplete, get the file again",
                stacklevel=2,
            )
        return about

    def _about(self, name: str) -> ArrayAbout:
        """Reads the description of an array, in all places where zarr reads it."""
        texts = {}
        for file in (f"{name}/.zarray", ".zmetadata"):
            size = self.size(file)
            if size is not None and size > MOST_METADATA:
                raise BadInput(
                    f"has a description {file} of {size} bytes, which may have "
                    f"{MOST_METADATA}: get the file again"
                )
            texts[file] = b"" if size is None else self.content(file)
        about, consolidated = texts.values()
        if consolidated:
            check_consolidated(consolidated, name)
        return checked_about(about)

    def _check_unpacked(
        self, name: str, about: ArrayAbout, chunks: Mapping[str, int]
    ) -> None:
        """Refuses chunks that do not unpack to the size of a chunk."""
        largest = about.chunk_nbytes * (MOST_FILTERED if about.has_filters else 1)
        for chunk in chunks:
            packed, fault = self.content(f"{name}/{chunk}"), ""
            try:
                size = unpacks_to(about.compressor, packed, largest)
            except Exception as error:  # codecs raise errors of many types
                fault = f"is truncated or damaged ({error})"
            else:
                if size > largest or (0 < size < largest and not about.has_filters):
                    fault = f"unpacks to {size} bytes, and must to {largest}"
            if fault:
                raise BadInput(f"has a chunk {chunk} that {fault}: get the file again")


class _ZipBuffer(_Buffer):
    """The files of a replay buffer in a zip, and its zarr group."""

    def __init__(
        self, path: Path, root: str, group: zarr.Group, archive: zipfile.ZipFile
    ) -> None:
        super().__init__(path, root, group)
        self.archive = archive
        self.sizes = {info.filename: info.file_size for info in archive.infolist()}

    def size(self, name: str) -> int | None:
        return self.sizes.get(self.root + name)

    def content(self, name: str) -> bytes:
        return self.archive.read(self.root + name)

    def files(self, name: str) -> dict[str, int]:
        folder = f"{self.root}{name}/"
        return {
            file.removeprefix(folder): size
            for file, size in self.sizes.items()
            if file.startswith(folder)
        }


@contextmanager
def _open(path: Path) -> Iterator[_Buffer]:
    import zarr

    if zarr.__version__.split(".")[0] >= NEXT_VERSION:
        raise BadInput(
            f"{path} cannot be read with zarr {zarr.__version__}: "
            f"pip install 'zarr<{NEXT_VERSION}'"
        )
    if path.is_dir():
        root = _the_root(path, _roots_of_folder(path))
        yield _Buffer(path, root, zarr.open_group(str(path / root), mode="r"))
        return
    with zipfile.ZipFile(path) as archive:
        ending = f"{ENDS}/.zarray"
        names = {n for n in archive.namelist() if f"/{n}".endswith(f"/{ending}")}
        if not names and any(
            n.endswith(f"{ENDS}/zarr.json") for n in archive.namelist()
        ):
            raise _new_format(path)
        root = _the_root(path, [name.removesuffix(ending) for name in names])
        store = zarr.storage.ZipStore(str(path), mode="r")
        try:
            group = zarr.open_group(store, mode="r", path=root.strip("/"))
            yield _ZipBuffer(path, root, group, archive)
        finally:
            store.close()


def _roots_of_folder(path: Path) -> list[str]:
    """Paths of the buffers relative to a folder, each with a slash at the end.

    Raises:
        BadInput: When there are buffers in zarr format 3 only.
    """
    roots = {
        ending: [
            f"{file.parents[2].relative_to(path).as_posix()}/"
            for depth in range(DEPTH)
            for file in path.glob("*/" * depth + f"{ENDS}/{ending}")
        ]
        for ending in (".zarray", "zarr.json")
    }
    if roots["zarr.json"] and not roots[".zarray"]:
        raise _new_format(path)
    return roots[".zarray"]


def _the_root(path: Path, roots: Sequence[str]) -> str:
    """Returns the only root, and refuses to choose among several.

    Raises:
        BadInput: When there is none, or with the names of all.
    """
    if not roots:
        raise _no_buffer(path)
    if len(roots) > 1:
        names = sorted(root.strip("./") or "its top folder" for root in roots)
        first = ", ".join(names[:-1][:MOST_NAMES])
        raise BadInput(
            f"{path} holds {len(roots)} replay buffers, {first} and {names[-1]}: name "
            f"the folder of one of them (unzip a zip first)"
        )
    return roots[0]


def _new_format(path: Path) -> BadInput:
    return BadInput(
        f"{path} is a replay buffer in zarr format 3, and dp-bench reads format 2: "
        f"save it again with `zarr_format=2`"
    )


def _no_buffer(path: Path) -> BadInput:
    return BadInput(f"{path} holds no replay buffer: it has no array {ENDS} in zarr v2")
