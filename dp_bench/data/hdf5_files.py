"""Opening HDF5 files: links to other files, and files that somebody else writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.data.sizes import FREE, is_tightly_packed
from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import h5py

OPEN_FLAG = "already open for write"  # in HDF5's error about its flag in a file


class Unusable(BadInput):
    """The error about a file that must not be read; it names the file."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Opens a file for reading; links inside the file are followed, others refused.

    Raises:
        Unusable: When something in the file lies in another file, with its name, or
            when it claims far more data than it holds, or when another program has the
            file open for writing.
        OSError: When HDF5 cannot open the file.
    """
    with opened_unchecked(path) as file:
        check_datasets(path, file)
        yield file


@contextlib.contextmanager
def opened_unchecked(path: Path) -> Iterator[h5py.File]:
    """Opens a file that `opened` has checked before.

    Raises:
        Unusable: When another program has the file open for writing.
        OSError: When HDF5 cannot open the file.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except BlockingIOError as error:
        raise Unusable(
            f"{path} is open in another program, perhaps the recorder that still "
            f"writes it: close it there, and try again"
        ) from error
    except OSError as error:
        if OPEN_FLAG not in str(error):
            raise
        raise Unusable(
            f"{path} is being written by another program, or was not closed by it: "
            f"close it there or, after a crash, run `h5clear -s {path}` on a copy"
        ) from error
    with file:
        yield file


def check_datasets(path: Path, file: h5py.File) -> None:
    """Walks through all groups, each once: links may form a circle.

    Raises:
        Unusable: When something lies in another file, or when data sets claim far more
            bytes than the file holds.
    """
    import h5py

    groups, seen = [file["/"]], set()
    claimed = 0
    while groups:
        group = groups.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        for name in group:
            link = group.get(name, getlink=True)
            where = f"{group.name.rstrip('/')}/{name}"
            if isinstance(link, h5py.ExternalLink):
                raise _elsewhere(path, where, f"a link to {link.filename}")
            if isinstance(link, h5py.SoftLink):
                continue  # its target has a hard link, or lies behind an external one
            item = group[name]
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                for other in _files_of(item):
                    raise _elsewhere(path, where, f"stored in {other}")
                if is_tightly_packed(item.nbytes, item.id.get_storage_size()):
                    claimed += item.nbytes
                if claimed > FREE:
                    raise Unusable(
                        f"{path} cannot be used: {where} of shape {item.shape} claims "
                        f"far more bytes than the file holds: get the file again"
                    )


def _files_of(dataset: h5py.Dataset) -> Iterator[str]:
    """Yields the names of the other files that hold the rows of a dataset."""
    for name, *_ in dataset.external or ():
        yield name
    if dataset.is_virtual:
        for source in dataset.virtual_sources():
            if source.file_name != ".":
                yield source.file_name


def _elsewhere(path: Path, where: str, fault: str) -> Unusable:
    return Unusable(
        f"{path} cannot be used: {where} is {fault}, and files of demonstrations must "
        f"hold everything themselves; copy it into one file, with "
        f"`h5repack --merge` or h5py's `copy(..., expand_external=True)`"
    )
