"""Reader of Diffusion Policy's replay buffers, in zarr v2.

The group `data` has arrays with the steps of all episodes end to end. The array
`meta/episode_ends` holds one past the last row of each episode. A buffer is a folder or
a zip of one.
"""

from __future__ import annotations

import itertools
import json
import math
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dp_bench.data import signatures
from dp_bench.data.readers.rows import check_rows, damaged
from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import zarr

    from dp_bench.util.types import JsonObject

ENDS = "meta/episode_ends"
DEPTH = 3  # levels of folders that may contain the buffer
MOST_NAMES = 5  # in an error


def matches(path: Path) -> bool:
    """Tells whether `path` is a folder that contains a replay buffer, or any zip."""
    if path.is_dir():
        return bool(_roots_of_folder(path))
    return signatures.starts_with(path, signatures.ZIP)


def read_arrays(
    path: str | Path, names: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads named arrays of a replay buffer, and no others (images, say).

    Zarr silently fills missing chunks with zeros and decodes truncated chunks to noise.
    So the reader checks every chunk before it decodes an array.

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
    check_rows(path, ENDS, ends, arrays)
    return arrays, ends


class _Buffer:
    """The files of a replay buffer in a folder, and its zarr group."""

    def __init__(self, path: Path, root: str, group: zarr.Group) -> None:
        self.path, self.root, self.group = path, root, group

    def size(self, name: str) -> int | None:
        """Returns the size of a file [bytes]; None if it does not exist."""
        file = self.path / self.root / name
        return file.stat().st_size if file.is_file() else None

    def head(self, name: str, count: int) -> bytes:
        """Reads the first `count` bytes of a file."""
        with (self.path / self.root / name).open("rb") as file:
            return file.read(count)

    def decode(self, name: str) -> np.ndarray:
        """Decodes one array after checking all of its chunks.

        Raises:
            BadInput: When the array or a chunk is missing or truncated, or when the
                array holds pickled objects.
        """
        size = self.size(f"{name}/.zarray")
        if size is None:
            raise BadInput(f"{self.path} has no array {name!r}")
        about = json.loads(self.head(f"{name}/.zarray", size))
        codecs = [about["compressor"], *(about["filters"] or [])]
        if about["dtype"] == "|O" or any(c and c["id"] == "pickle" for c in codecs):
            raise BadInput(
                f"{self.path}: array {name!r} holds pickled objects, and dp-bench "
                f"unpickles nothing"
            )
        is_blosc = bool(codecs[0]) and codecs[0]["id"] == "blosc"
        for chunk in _chunk_names(about):
            self._check_chunk(name, chunk, is_blosc)
        return np.asarray(self.group[name][:])

    def _check_chunk(self, name: str, chunk: str, is_blosc: bool) -> None:
        size, fault = self.size(f"{name}/{chunk}"), ""
        if size is None:
            fault = "missing"
        elif is_blosc:
            head = self.head(f"{name}/{chunk}", 16)
            # a blosc chunk holds its own length at byte 12
            if len(head) < 16 or struct.unpack("<I", head[12:])[0] != size:
                fault = "truncated"
        if fault:
            raise BadInput(
                f"{self.path}: chunk {chunk} of array {name!r} is {fault}: get the "
                f"file again"
            )


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

    def head(self, name: str, count: int) -> bytes:
        with self.archive.open(self.root + name) as file:
            return file.read(count)


@contextmanager
def _open(path: Path) -> Iterator[_Buffer]:
    import zarr

    if path.is_dir():
        root = _the_root(path, _roots_of_folder(path))
        yield _Buffer(path, root, zarr.open_group(str(path / root), mode="r"))
        return
    with zipfile.ZipFile(path) as archive:
        ending = f"{ENDS}/.zarray"
        names = {n for n in archive.namelist() if f"/{n}".endswith(f"/{ending}")}
        root = _the_root(path, [name.removesuffix(ending) for name in names])
        store = zarr.storage.ZipStore(str(path), mode="r")
        try:
            group = zarr.open_group(store, mode="r", path=root.strip("/"))
            yield _ZipBuffer(path, root, group, archive)
        finally:
            store.close()


def _roots_of_folder(path: Path) -> list[str]:
    """Paths of the buffers relative to a folder, each with a slash at the end."""
    return [
        f"{file.parents[2].relative_to(path).as_posix()}/"
        for depth in range(DEPTH)
        for file in path.glob("*/" * depth + f"{ENDS}/.zarray")
    ]


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


def _no_buffer(path: Path) -> BadInput:
    return BadInput(f"{path} holds no replay buffer: it has no array {ENDS} in zarr v2")


def _chunk_names(about: JsonObject) -> Iterator[str]:
    """Yields the names of all chunks that an array should have."""
    counts = [
        math.ceil(length / chunk)
        for length, chunk in zip(about["shape"], about["chunks"], strict=True)
    ]
    separator = about.get("dimension_separator", ".")
    for index in itertools.product(*(range(count) for count in counts)):
        yield separator.join(map(str, index))
