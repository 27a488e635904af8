"""Progress of anything that takes more than two seconds: how far, how long still.

On a terminal a bar; in a file or a pipe a line every ten seconds; in a child process
of the grid (`DP_BENCH_PROGRESS=json`) JSON lines that the parent turns into bars.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

LINE_EVERY = 10.0  # between lines where there is no terminal [s]
JSON_EVERY = 0.5  # between messages to a parent process [s]


class Bar:
    """Counts up to `total`, and tells whoever watches.

    Args:
        what: What is being done, for a person.
        total: When it is done.
        done: Where it starts, above 0 when work is resumed.
    """

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        self.what, self.total, self.done = what, total, done
        self.text = ""
        self._first, self._began = done, time.monotonic()

    def advance(self, steps: int = 1, text: str | None = None) -> None:
        """Moves on by `steps`, and says how it is going in `text`."""
        self.done += steps
        if text is not None:
            self.text = text
        self._show()

    def close(self) -> None:
        """Shows the last state."""

    def _show(self) -> None:
        pass

    def _seconds_left(self) -> float | None:
        made = self.done - self._first
        if made < 1:
            return None
        spent = time.monotonic() - self._began
        return spent / made * max(self.total - self.done, 0)


class Lines(Bar):
    """A line now and then, for log files."""

    _shown = 0.0
    _said = -1

    def _show(self) -> None:
        now = time.monotonic()
        if now - max(self._shown, self._began) >= LINE_EVERY:
            self._shown = now
            self._print()

    def close(self) -> None:
        """Prints a last line, if there was one before that said less."""
        if self._shown and self._said != self.done:
            self._print()

    def _print(self) -> None:
        self._said = self.done
        left = self._seconds_left()
        remaining = f", {duration(left)} left" if left else ""
        share = f"{self.done}/{self.total}"
        text = f", {self.text}" if self.text else ""
        print(f"{self.what}: {share}{text}{remaining}", file=sys.stderr, flush=True)


class _Json(Bar):
    """Messages to the process that started this one."""

    _shown = 0.0

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._shown >= JSON_EVERY or self.done >= self.total:
            self._shown = now
            message = {
                "what": self.what,
                "total": self.total,
                "done": self.done,
                "text": self.text,
            }
            print(json.dumps(message), flush=True)

    def close(self) -> None:
        self._shown = 0.0
        self._show()


class _Rich(Bar):
    """A bar on the terminal."""

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        super().__init__(what, total, done)
        self._progress = rich_progress()
        self._progress.start()
        self._row = self._progress.add_task(what, total=total, completed=done, text="")

    def _show(self) -> None:
        self._progress.update(self._row, completed=self.done, text=self.text)

    def close(self) -> None:
        self._progress.refresh()
        self._progress.stop()


def rich_progress() -> Any:
    """A `rich.progress.Progress` with the columns that all bars here share."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
        console=Console(stderr=True),
    )


@contextlib.contextmanager
def bar(what: str, total: int, done: int = 0) -> Iterator[Bar]:
    """A bar for the time of a `with` block."""
    kind: type[Bar]
    if os.environ.get("DP_BENCH_PROGRESS") == "json":
        kind = _Json
    elif sys.stderr.isatty():
        kind = _Rich
    else:
        kind = Lines
    shown = kind(what, total, done)
    try:
        yield shown
    finally:
        shown.close()


def duration(seconds: float) -> str:
    """`75` becomes `1 min 15 s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
