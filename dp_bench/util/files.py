"""Files that are written whole or not at all, and folders with one process in them."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dp_bench.errors import BadInput

ASIDE = ".part."  # first in the name of a file that is being written


def is_plain(name: str) -> bool:
    """Whether a name can be part of a path, and leads nowhere else."""
    return re.fullmatch(r"\w[\w.-]*", name) is not None


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end, unless something fails.

    Raises:
        BadInput: When the disk is full or the folder cannot be written.
    """
    aside = path.with_name(f"{ASIDE}{os.getpid()}.{path.name}")  # with its ending
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        with open(aside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
            why = getattr(error, "strerror", None) or error
            raise BadInput(
                f"cannot write {path}: {why}; nothing was left half-written, and the "
                "same command goes on from what was saved before"
            ) from error
        raise


class Lasting(io.RawIOBase):
    """A file for a library that does not survive a failed write, as HDF5's.

    After the first failure it goes on as if nothing had happened; whoever made it looks
    at `fault` then, or calls `check`.

    Attributes:
        fault: The first failure; None for none.
    """

    def __init__(self, path: Path) -> None:
        self.fault: OSError | None = None
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115  (closed below)
        self._place = self._end = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a place in the file as it would be without failures."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._end}
        self._place = start[whence] + offset
        return self._place

    def tell(self) -> int:
        """Where the next byte goes."""
        return self._place

    def write(self, data: Any) -> int:
        """Writes all of it, or keeps why not."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            self._file.seek(self._place)
            while self.fault is None and left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.fault = error
        self._place += size
        self._end = max(self._end, self._place)
        return size

    def readinto(self, buffer: Any) -> int:
        """Reads what was written; zeros stand for what could not be."""
        wanted = memoryview(buffer).cast("B")
        self._file.seek(self._place)
        found = self._file.read(len(wanted)) or b""
        wanted[:] = found.ljust(len(wanted), b"\0")
        self._place += len(wanted)
        return len(wanted)

    def truncate(self, size: int | None = None) -> int:
        """Sets how long the file would be without failures."""
        self._end = self._place if size is None else size
        if self.fault is None:
            try:
                self._file.truncate(self._end)
            except OSError as error:
                self.fault = error
        return self._end

    def check(self) -> None:
        """Raises what went wrong so far."""
        if self.fault is not None:
            raise self.fault

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Keeps a second process out of the folder of `path`, a lock file.

    Args:
        path: Made where it is not there.
        wait: Whether to wait for another process, and not to refuse.

    Raises:
        BadInput: When another process holds it, or it cannot be written.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(path, "w")  # noqa: SIM115  (held until the end)
    except OSError as error:
        raise BadInput(f"cannot write {path.parent}: {error}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            raise BadInput(
                f"another process is working in {path.parent}; wait for it, or stop it"
            ) from None
        yield
