"""Replay buffers in zarr v2: `data/*` end to end, and `meta/episode_ends`."""

from __future__ import annotations

import itertools
import json
import math
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dp_bench.data import signatures
from dp_bench.data.readers.rows import check_rows, damaged
from dp_bench.errors import BadInput

ENDS = "meta/episode_ends"
DEPTH = 3  # folders around the buffer that are looked into


def matches(path: Path) -> bool:
    """Whether `path` is a folder with a replay buffer in it, or any zip."""
    if path.is_dir():
        return _root_of_folder(path) is not None
    return signatures.starts_with(path, signatures.ZIP)


def read_arrays(
    path: str | Path, names: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads named arrays of a replay buffer; others, images say, are not touched.

    Zarr fills missing chunks silently and decodes cut ones to noise, so every chunk is
    looked at before anything is decoded.

    Args:
        path: A folder or a zip file, with the buffer at its top or in folders.
        names: Members of `data`.

    Returns:
        The arrays by name, each `(N, ...)`, and one past the last row of each episode,
        `(E,)`.

    Raises:
        BadInput: When the file is truncated or damaged, or lacks an array.
    """
    path = Path(path)
    try:
        with _open(path) as buffer:
            ends = buffer.decode(ENDS)
            arrays = {name: buffer.decode(f"data/{name}") for name in names}
    except BadInput:
        raise
    except Exception as error:  # zarr, its codecs and zip files have no common error
        raise damaged(path, error) from error
    check_rows(path, ENDS, ends, arrays)
    return arrays, ends


class _Buffer:
    """The files below the root of a replay buffer, and zarr's view of them."""

    def __init__(self, path: Path, root: str, group: Any) -> None:
        self.path, self.root, self.group = path, root, group

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        file = self.path / self.root / name
        return file.stat().st_size if file.is_file() else None

    def head(self, name: str, count: int) -> bytes:
        """The first bytes of a file."""
        with (self.path / self.root / name).open("rb") as file:
            return file.read(count)

    def decode(self, name: str) -> np.ndarray:
        """One array, after a look at all its chunks.

        Raises:
            BadInput: When the array or a chunk is missing, cut, or would be unpickled.
        """
        size = self.size(f"{name}/.zarray")
        if size is None:
            raise BadInput(f"{self.path} has no array {name!r}")
        about = json.loads(self.head(f"{name}/.zarray", size))
        codecs = [about["compressor"], *(about["filters"] or [])]
        if about["dtype"] == "|O" or any(c and c["id"] == "pickle" for c in codecs):
            raise BadInput(
                f"{self.path}: array {name!r} holds pickled objects, which are not read"
            )
        is_blosc = bool(codecs[0]) and codecs[0]["id"] == "blosc"
        for chunk in _chunk_names(about):
            size = self.size(f"{name}/{chunk}")
            if size is None:
                raise BadInput(
                    f"{self.path}: chunk {chunk} of array {name!r} is missing: get the "
                    f"file again"
                )
            # A blosc chunk says how long it is, at byte 12.
            head = self.head(f"{name}/{chunk}", 16) if is_blosc else b""
            if is_blosc and (
                len(head) < 16 or struct.unpack("<I", head[12:])[0] != size
            ):
                raise BadInput(
                    f"{self.path}: chunk {chunk} of array {name!r} is truncated: get "
                    f"the file again"
                )
        return np.asarray(self.group[name][:])


class _ZipBuffer(_Buffer):
    """The same in a zip file."""

    def __init__(
        self, path: Path, root: str, group: Any, archive: zipfile.ZipFile
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
        root = _root_of_folder(path)
        if root is None:
            raise _no_buffer(path)
        yield _Buffer(path, root, zarr.open_group(str(path / root), mode="r"))
        return
    with zipfile.ZipFile(path) as archive:
        ending = f"{ENDS}/.zarray"
        names = [n for n in archive.namelist() if f"/{n}".endswith(f"/{ending}")]
        if not names:
            raise _no_buffer(path)
        root = min(names, key=len).removesuffix(ending)
        store = zarr.storage.ZipStore(str(path), mode="r")
        try:
            group = zarr.open_group(store, mode="r", path=root.strip("/"))
            yield _ZipBuffer(path, root, group, archive)
        finally:
            store.close()


def _root_of_folder(path: Path) -> str | None:
    """Where in a folder the buffer is, relative and with a closing slash."""
    for depth in range(DEPTH):
        for found in sorted(path.glob("*/" * depth + f"{ENDS}/.zarray")):
            return f"{found.parents[2].relative_to(path).as_posix()}/"
    return None


def _no_buffer(path: Path) -> BadInput:
    return BadInput(f"{path} holds no replay buffer: no {ENDS} in zarr v2 format")


def _chunk_names(about: dict[str, Any]) -> Iterator[str]:
    """Names of all chunks that an array should have."""
    counts = [
        math.ceil(length / chunk)
        for length, chunk in zip(about["shape"], about["chunks"], strict=True)
    ]
    separator = about.get("dimension_separator", ".")
    for index in itertools.product(*(range(count) for count in counts)):
        yield separator.join(map(str, index))
