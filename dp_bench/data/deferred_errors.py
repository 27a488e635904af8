"""A file object for libraries that crash when a write fails."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class DeferredErrorFile(io.RawIOBase):
    """Keeps HDF5 from crashing when a write fails (a full disk, say).

    After the first failed write, the file pretends that all further writes succeed. The
    caller asks for the error with `check`.

    Attributes:
        error: The error of the first failed write; None if no write has failed.
    """

    def __init__(self, path: Path) -> None:
        self.error: OSError | None = None
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115  (closed below)
        self._position = self._end = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a position in the file as it would be without failures."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}
        self._position = start[whence] + offset
        return self._position

    def tell(self) -> int:
        """Returns the position of the next byte."""
        return self._position

    def write(self, data: ReadableBuffer) -> int:
        """Writes all bytes, or keeps the error."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            self._file.seek(self._position)
            while self.error is None and rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.error = error
        self._position += size
        self._end = max(self._end, self._position)
        return size

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Reads written bytes; zeros stand for bytes whose write failed."""
        target = memoryview(buffer).cast("B")
        self._file.seek(self._position)
        content = self._file.read(len(target)) or b""
        target[:] = content.ljust(len(target), b"\0")
        self._position += len(target)
        return len(target)

    def truncate(self, size: int | None = None) -> int:
        """Sets the length that the file would have without failures."""
        self._end = self._position if size is None else size
        if self.error is None:
            try:
                self._file.truncate(self._end)
            except OSError as error:
                self.error = error
        return self._end

    def check(self) -> None:
        """Raises the error of the first failed write, if any."""
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()
