"""Atomic writes of files, links that are not followed, and locks on folders."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from dp_bench.errors import BadInput

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# What a system says of a folder that it lets nobody, or not this user, write.
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)


class ReadOnly(BadInput):
    """A folder that can be read and not written."""


PART = ".part."  # a file whose name begins with this is being written


class Busy(BadInput):
    """Another process works in a folder; it may soon end."""


def is_plain(name: str) -> bool:
    """Whether a name can be one part of a path, without separators or leading dots."""
    return re.fullmatch(r"\w[\w.-]{0,99}", name) is not None


def refuse_link(path: Path) -> None:
    """Refuses a symbolic link, which could lead to any file of the user.

    Raises:
        BadInput: When `path` is a link, dangling or not.
    """
    if path.is_symlink():
        raise BadInput(
            f"{path} is a symbolic link, and links in folders of runs and results are "
            "not followed; put the file itself there, or delete the link"
        )


def refuse_links_in(folder: Path) -> None:
    """Refuses a folder that holds a link; a folder that is missing holds none.

    The folder itself may be a link: the user named it.
    """
    with contextlib.suppress(OSError):  # whoever uses the folder reports the error
        for path in sorted(folder.iterdir()):
            refuse_link(path)


def open_without_links(path: Path, flags: int) -> int:
    """Opens a file as `os.open` does, but never through a link.

    Raises:
        BadInput: When `path` is a link, or a pipe, which could keep us waiting.
        OSError: As `os.open` does.
    """
    refuse_link(path)  # Windows has no O_NOFOLLOW
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise BadInput(f"{path} is not a file but a pipe or a device; delete it")
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def read_without_links(path: Path) -> bytes:
    """Reads a file, but never through a link; raises as `open_without_links` does."""
    binary = getattr(os, "O_BINARY", 0)  # Windows
    with open(open_without_links(path, os.O_RDONLY | binary), "rb") as file:
        return file.read()


def refuse_unwritable(folder: Path, option: str) -> None:
    """Refuses a folder that cannot be made or written, before any work begins.

    Args:
        folder: A folder, there or not.
        option: How the user names it, "--out results" say.

    Raises:
        BadInput: When the folder, or the nearest one above it that exists, is a file or
            cannot be written.
    """
    places = [folder, *folder.parents]
    try:
        place = next(place for place in places if os.path.lexists(place))
    except OSError as error:
        raise BadInput(f"{option}: {folder} cannot be used: {error.strerror}") from None
    if not place.is_dir():
        problem = "is not a folder"
    elif not os.access(place, os.W_OK | os.X_OK):
        problem = "cannot be written"
    else:
        return
    raise BadInput(f"{option}: {place} {problem}; name a folder that can be written")


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a temporary file to write, which replaces `path` when the block ends.

    When the block fails, the temporary file is removed and `path` stays as it was.
    `remove_stale_parts` removes what a killed process left. Both files lie in the same
    folder, which is made if necessary, and have the same suffix.

    Yields:
        Path of the temporary file; the block must create it.

    Raises:
        ReadOnly: When the folder can be read and not written.
        BadInput: When the disk is full, or writing fails for another reason.
    """
    part = path.with_name(f"{PART}{_host()}-{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)  # a stranger's link of this name, say
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
            reason = getattr(error, "strerror", None) or error
            refused = getattr(error, "errno", None) in NOT_WRITABLE
            raise (ReadOnly if refused else BadInput)(
                f"cannot write {path}: {reason}; no incomplete file was left, and the "
                "same command continues from what was saved before"
            ) from error
        raise


def atomic_write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all; raises as `atomic_write` does."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def remove_parts(folder: Path) -> None:
    """Removes the temporary files of processes that were killed during a write.

    Call it only while no other process writes in the folder.
    """
    for part in folder.rglob(f"{PART}*"):
        with contextlib.suppress(OSError):  # the folder may be read-only
            part.unlink(missing_ok=True)


def remove_stale_parts(folder: Path) -> None:
    """Removes the temporary files of processes of this machine that run no more.

    Other processes may write in the folder meanwhile.
    """
    for part in folder.rglob(f"{PART}*"):
        match = re.match(re.escape(PART) + r"(.*)-(\d+)\.", part.name)
        if match and match[1] == _host() and not _is_running(int(match[2])):
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def whole_files(files: Iterable[Path]) -> list[Path]:
    """Sorts files, and leaves out those that are being written."""
    return sorted(file for file in files if not file.name.startswith(PART))


def _host() -> str:
    return re.sub(r"[^\w-]", "_", platform.node())


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where signal 0 would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Keeps every other process out of a folder while the block runs.

    The operating system releases the lock of a process that dies, so a lock file that
    was left behind does no harm. Where the file system knows no such locks, a file
    names the process that works in the folder; it does no harm either once that
    process has ended, if it ran on this machine.

    Args:
        path: The lock file, in the folder; it is made if necessary.
        wait: Whether to wait while another process holds the lock, or to refuse.

    Raises:
        ReadOnly: When the folder can be read and not written.
        BadInput: When another process holds the lock, or the file is a link or cannot
            be written for another reason.
    """
    from filelock import FileLock, Timeout

    _refuse_shared(path)
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        native = _knows_locks(path.parent)
        if native:
            lock.acquire(timeout=-1 if wait else 0)
        else:
            _hold(_holder(path), wait)
    except Timeout:
        raise Busy(
            f"another process is working in {path.parent}; wait for it, or stop it"
        ) from None
    except OSError as error:
        refusal = ReadOnly if error.errno in NOT_WRITABLE else BadInput
        reason = error.strerror or error
        raise refusal(f"cannot write {path.parent}: {reason}") from None
    try:
        yield
    finally:
        if native:
            lock.release()
        else:
            _holder(path).unlink(missing_ok=True)


@contextlib.contextmanager
def locked_to_write(path: Path, *, needed: bool) -> Iterator[None]:
    """Locks a folder as `locked` does, or not where it is only to be read.

    Args:
        path: The lock file.
        needed: Whether there is something to write. If not, a folder that cannot be
            written, on a read-only disk say, is used without a lock.

    Raises:
        BadInput: As `locked` does.
    """
    with contextlib.ExitStack() as lock:
        try:
            lock.enter_context(locked(path))
        except ReadOnly:
            if needed:
                raise
        yield


def _knows_locks(folder: Path) -> bool:
    """Whether the file system of a folder has locks; some network disks have none."""
    if fcntl is None:  # Windows has locks of its own
        return True
    place = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(place)
    return True


def _holder(lock: Path) -> Path:
    """The file that names who works in a folder without locks."""
    return lock.with_name(f"{lock.name}.holder")


def _hold(holder: Path, wait: bool) -> None:
    """Makes the file that names this process, unless another process works there."""
    while True:
        with contextlib.suppress(FileExistsError):
            file = open_without_links(holder, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            os.write(file, f"{_host()}-{os.getpid()}".encode())
            os.close(file)
            return
        name = read_without_links(holder)[:300].decode("ascii", "replace")
        match = re.fullmatch(r"([\w-]*)-(\d{1,9})", name)
        if match and match[1] == _host() and not _is_running(int(match[2])):
            holder.unlink(missing_ok=True)
        elif not wait:
            owner = f"process {match[2]} on {match[1]}" if match else "another process"
            raise Busy(
                f"{owner} is working in {holder.parent}, whose file system has no "
                f"locks; wait for it, or delete {holder} if it has ended"
            )
        else:
            time.sleep(0.2)


def _refuse_shared(lock: Path) -> None:
    """Refuses a lock that is another file, too, because `filelock` empties it."""
    refuse_link(lock)
    with contextlib.suppress(OSError):
        if lock.stat().st_nlink > 1:
            raise BadInput(
                f"{lock} is a lock, and has a second name as another file (a hard "
                "link); delete it"
            )
