"""A folder on a disk that can be read and not written."""

import builtins
import contextlib
import errno
import io
import os
from pathlib import Path

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@contextlib.contextmanager
def read_only(monkeypatch, folder):
    """Lets every call that would write in a folder fail as a read-only disk does.

    Permissions would not stop a test that runs as root.
    """
    root = os.path.realpath(folder)

    def refuse(*paths):
        for path in paths:
            if isinstance(path, (str, os.PathLike)):
                place = os.path.realpath(path)
                if place == root or place.startswith(root + os.sep):
                    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    opened, access, built_in = os.open, os.access, builtins.open

    def open_number(path, flags, *rest, **options):
        if flags & WRITING:
            refuse(path)
        return opened(path, flags, *rest, **options)

    def open_file(file, mode="r", *rest, **options):
        if set(mode) & set("wax+"):
            refuse(file)
        return built_in(file, mode, *rest, **options)

    def may(path, mode, **options):
        if mode & os.W_OK:
            try:
                refuse(path)
            except OSError:
                return False
        return access(path, mode, **options)

    def refusing(function):
        def refused(*given, **options):
            refuse(*given[:2])
            return function(*given, **options)

        return refused

    before = snapshot(folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_number)
        patch.setattr(os, "access", may)
        patch.setattr(builtins, "open", open_file)
        patch.setattr(io, "open", open_file)
        for name in (
            "mkdir",
            "unlink",
            "remove",
            "rename",
            "replace",
            "rmdir",
            "utime",
        ):
            patch.setattr(os, name, refusing(getattr(os, name)))
        yield
    assert snapshot(folder) == before


def snapshot(folder):
    """Every file of a folder with its content and time."""
    files = sorted(f for f in Path(folder).rglob("*") if f.is_file())
    return {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in files}
