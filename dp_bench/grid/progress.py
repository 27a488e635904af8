"""Progress of all running cells: bars on a terminal, otherwise a line now and then."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dp_bench.util import progress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from dp_bench.util.types import JsonObject


class GridProgress:
    """Shows the progress that the child processes of a grid report.

    Args:
        total: Number of cells; 0 if it is not known.
    """

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._bars: dict[str, TaskID] = {}
        self._lines: dict[str, progress.Lines] = {}
        self._rich = progress.rich_progress() if sys.stderr.isatty() else None
        self._all: TaskID | None = None
        if self._rich:
            self._rich.start()
            if total:
                self._all = self._rich.add_task("All cells", total=total, text="")

    def show(self, title: str, message: JsonObject) -> None:
        """Shows one message of a cell; ignores JSON that is no progress."""
        if isinstance(message.get("note"), str):
            self._print(message["note"])
        if not message.keys() >= {"what", "done", "total", "text"}:
            return
        key = f"{title} {message['what']}"
        if self._rich:
            self._show_bar(self._rich, key, message)
        else:
            self._show_line(key, message)

    def say(self, text: str) -> None:
        """Prints a line about the cells."""
        self._print(text)

    def cell_done(self, title: str, error: str, *, stopped: bool = False) -> None:
        """Counts a finished cell, and says how it ended.

        Args:
            title: Of the cell.
            error: Why it has no results; "" when it has.
            stopped: Whether a signal stopped it; it has not failed then.
        """
        if stopped:
            self._print(f"{title}: {error}")
            return
        self._done += 1
        state = f"failed: {error}" if error else "done"
        if self._rich and self._all is not None:
            self._rich.update(self._all, completed=self._done)
        self._print(f"[{self._done}/{self._total}] {title}: {state}")

    def close(self) -> None:
        """Removes the bars from the terminal."""
        if self._rich:
            self._rich.stop()

    def _print(self, text: str) -> None:
        if self._rich:
            self._rich.console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def _show_bar(self, rich: Progress, key: str, message: JsonObject) -> None:
        what, done, total = message["what"], message["done"], message["total"]
        if key not in self._bars:
            self._bars[key] = rich.add_task(
                what, total=total, completed=done, text="", first=done
            )
        rich.update(self._bars[key], completed=done, text=message["text"])
        if done >= total:
            rich.remove_task(self._bars.pop(key))

    def _show_line(self, key: str, message: JsonObject) -> None:
        what, done, total = message["what"], message["done"], message["total"]
        if key not in self._lines:
            self._lines[key] = progress.Lines(what, total, done)
        line = self._lines[key]
        line.advance(done - line.done, message["text"])
        if done >= total:
            self._lines.pop(key).close()


@contextlib.contextmanager
def shown(total: int) -> Iterator[GridProgress]:
    """Shows the progress of `total` cells during a `with` block."""
    grid_progress = GridProgress(total)
    try:
        yield grid_progress
    finally:
        grid_progress.close()
