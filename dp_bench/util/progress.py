"""Progress of everything that takes more than two seconds.

A terminal shows a bar. A file or a pipe gets a line every ten seconds, if the count or
the text has changed. A child process of the grid (`DP_BENCH_PROGRESS=json`) writes JSON
lines, which its parent shows.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_EVERY = 10.0  # between lines where there is no terminal [s]
ENOUGH = 0.05  # share of the work after which the time left is shown
JSON_EVERY = 0.5  # between messages to a parent process [s]


class Bar:
    """Counts steps up to a total; subclasses show the count.

    Args:
        title: Title of the work, for people.
        total: Steps in all.
        done: Steps that were done before; above 0 when work is resumed.
    """

    def __init__(self, title: str, total: int, done: int = 0) -> None:
        self.title, self.total, self.done = title, total, done
        self.text = ""
        self._first, self._start = done, time.monotonic()

    def advance(self, steps: int = 1, text: str | None = None) -> None:
        """Counts `steps` more, and shows `text` beside the count from now on."""
        self.done += steps
        if text is not None:
            self.text = text
        self._show()

    def close(self) -> None:
        """Shows the last state."""

    def _show(self) -> None:
        pass

    def _seconds_left(self) -> float | None:
        steps = self.done - self._first
        if steps < max(1, ENOUGH * (self.total - self._first)):
            return None
        elapsed = time.monotonic() - self._start
        return elapsed / steps * max(self.total - self.done, 0)


class Lines(Bar):
    """Prints a line every ten seconds, for log files, if something has changed."""

    _printed_at = 0.0
    _printed: tuple[int, str] | None = None  # count and text of the last line

    def _show(self) -> None:
        now = time.monotonic()
        due = now - max(self._printed_at, self._start) >= LINE_EVERY
        if due and self._printed != (self.done, self.text):
            self._printed_at = now
            self._print()

    def close(self) -> None:
        """Prints the final count, if an earlier line showed a smaller one."""
        if self._printed is not None and self._printed[0] != self.done:
            self._print()

    def _print(self) -> None:
        self._printed = self.done, self.text
        left = self._seconds_left()
        remaining = f", {duration(left)} left" if left else ""
        text = f", {self.text}" if self.text else ""
        print(
            f"{self.title}: {self.done}/{self.total}{text}{remaining}",
            file=sys.stderr,
            flush=True,
        )


class _Json(Bar):
    """Writes messages to the parent process."""

    _written_at = 0.0

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._written_at >= JSON_EVERY or self.done >= self.total:
            self._written_at = now
            message = {
                "what": self.title,
                "total": self.total,
                "done": self.done,
                "text": self.text,
            }
            with contextlib.suppress(BrokenPipeError):  # the parent died
                print(json.dumps(message), flush=True)

    def close(self) -> None:
        self._written_at = 0.0
        self._show()


class _Rich(Bar):
    """Draws a bar on the terminal."""

    def __init__(self, title: str, total: int, done: int = 0) -> None:
        super().__init__(title, total, done)
        self._progress = rich_progress()
        self._progress.start()
        self._row = self._progress.add_task(
            title, total=total, completed=done, text="", first=done
        )

    def _show(self) -> None:
        self._progress.update(self._row, completed=self.done, text=self.text)

    def close(self) -> None:
        self._progress.refresh()
        self._progress.stop()


def rich_progress() -> Progress:
    """Makes a `rich.progress.Progress` with the columns that all bars share."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Left(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            first = task.fields.get("first", 0)
            if task.completed - first < ENOUGH * ((task.total or 0) - first):
                return Text("-:--:--", style="progress.remaining")
            return super().render(task)

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        Left(),
        TextColumn("{task.fields[text]}", markup=False),
        console=Console(stderr=True),
    )


@contextlib.contextmanager
def bar(title: str, total: int, done: int = 0) -> Iterator[Bar]:
    """Shows a bar while a `with` block runs; see `Bar` for the arguments."""
    kind: type[Bar]
    if os.environ.get("DP_BENCH_PROGRESS") == "json":
        kind = _Json
    elif sys.stderr.isatty():
        kind = _Rich
    else:
        kind = Lines
    shown = kind(title, total, done)
    try:
        yield shown
    finally:
        shown.close()


def note(text: str) -> None:
    """Prints a sentence about the work; a child process sends it to its parent."""
    if os.environ.get("DP_BENCH_PROGRESS") == "json":
        print(json.dumps({"note": text}), flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Writes a duration for people: 75 is "1 min 15 s"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
