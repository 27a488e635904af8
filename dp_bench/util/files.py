"""Files that are written whole or not at all, and folders with one process in them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

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
