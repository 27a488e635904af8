"""Running every cell of a grid in a process of its own on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dp_bench.errors import BadInput
from dp_bench.grid.cell import Cell, ResolvedCell
from dp_bench.grid.progress import GridProgress, shown
from dp_bench.grid.run import PROCESSES, STOPPED, stopped
from dp_bench.util.devices import is_gpu
from dp_bench.util.files import atomic_write_text, remove_stale_parts
from dp_bench.util.memory import free_main_memory
from dp_bench.util.processes import JOBS, LAST_WORDS, start_child
from dp_bench.util.threads import SPIN, cores
from dp_bench.util.types import JsonObject

MEMORY = 1.5 * 2**30  # of a training with its simulators, without images [bytes]
LAST_LINES = 0.5  # time for the last lines of progress after that [s]


@dataclass(frozen=True)
class Finished:
    """How a cell ended.

    Attributes:
        cell: The cell.
        folder: Its run folder; None when it failed or was stopped.
        error: Why it has no run folder; "" when it has.
        stopped: Whether a signal stopped it, so that it did not fail.
        returncode: Of its process; None if none began.
    """

    cell: Cell
    folder: Path | None
    error: str = ""
    stopped: bool = False
    returncode: int | None = None


def refuse_failures(ends: Sequence[Finished]) -> None:
    """Raises an error that names all cells that failed.

    Raises:
        BadInput: When a cell failed; with the reason of the first.
    """
    failed = [end for end in ends if end.error]
    if failed:
        titles = ", ".join(end.cell.title for end in failed)
        raise BadInput(
            f"{len(failed)} of {len(ends)} trainings failed ({titles}): "
            f"{failed[0].error}; the same command tries them again"
        )


def usual_jobs(cells: Sequence[ResolvedCell]) -> int:
    """Returns how many trainings at a time use this machine well.

    On the CPU they are as many as the cores and the free memory hold; on a GPU one.
    """
    if is_gpu(cells[0].names.device):
        return 1
    threads = max(cell.settings.training.threads for cell in cells)
    places = min(cores() // threads, free_main_memory() / MEMORY, len(cells))
    return max(1, int(places))


def run_cells(
    cells: Sequence[Cell],
    *,
    jobs: int = 1,
    devices: Sequence[str] = (),
    finished: Callable[[Finished], None] = lambda _: None,
) -> list[Finished]:
    """Runs every cell in a process of its own; one that fails does not stop others.

    Args:
        cells: What to run.
        jobs: Number of cells that run at a time; each gets its share of the cores.
        devices: Device of each of the `jobs` places; () for the cells' own.
        finished: Called after each cell, in this thread.

    Returns:
        How each cell ended, in the order of `cells`.
    """
    ends: dict[int, Finished] = {}
    todo = deque(enumerate(cells))
    ended: queue.SimpleQueue[tuple[int, Finished]] = queue.SimpleQueue()
    children = Children(jobs, jobs // len({*devices}) if devices else None)

    def work(progress: GridProgress, place: int) -> None:
        while True:
            try:
                k, cell = todo.popleft()
            except IndexError:
                return
            if devices:
                cell = dataclasses.replace(cell, device=devices[place])
            try:
                end = children.run(cell, progress)
            except Exception as error:  # of any kind: the other cells still run
                end = _failed(cell, error)
            ended.put((k, end))

    for folder in {failed_log(cell).parent for cell in cells}:
        remove_stale_parts(folder)
    with shown(len(cells)) as progress:
        threads = [
            threading.Thread(target=work, args=[progress, place], daemon=True)
            for place in range(jobs)
        ]
        try:
            for thread in threads:
                thread.start()
            # This thread tabulates while the next cells start.
            while any(thread.is_alive() for thread in threads) or not ended.empty():
                try:
                    k, end = ended.get(timeout=0.1)
                except queue.Empty:
                    continue
                ends[k] = end = told(end, finished)
                progress.cell_done(end.cell.title, end.error, stopped=end.stopped)
        except KeyboardInterrupt:
            todo.clear()
            children.end()
            _join(threads)
            while not ended.empty():  # says how each of the last cells ended
                _, end = ended.get()
                progress.cell_done(end.cell.title, end.error, stopped=end.stopped)
            raise
    return [ends[k] for k in range(len(cells))]


def told(end: Finished, finished: Callable[[Finished], None]) -> Finished:
    """Passes on how a cell ended; gives the error of the callee if it fails."""
    try:
        finished(end)
    except Exception as error:  # of any kind: the other cells still run
        return _failed(end.cell, error)
    return end


def _failed(cell: Cell, error: Exception) -> Finished:
    return Finished(cell, None, " ".join(str(error).split()))


def _join(threads: Sequence[threading.Thread]) -> None:
    """Waits for threads, but not for long."""
    deadline = time.monotonic() + LAST_LINES
    for thread in threads:
        thread.join(timeout=max(0.0, deadline - time.monotonic()))


def child_environment(jobs: int, per_device: int | None = None) -> dict[str, str]:
    """Environment variables of a child: its share of the cores, progress as JSON.

    Args:
        jobs: Number of children that share the cores.
        per_device: Number of those that share its GPU; None for all.
    """
    threads = str(max(1, cores() // jobs))
    return {**SPIN, **os.environ} | {
        "DP_BENCH_PROGRESS": "json",
        "OMP_NUM_THREADS": threads,
        PROCESSES: threads,
        JOBS: str(per_device or jobs),
    }


class Children:
    """The processes of a grid.

    Args:
        jobs: Number of processes that share the cores.
        per_device: Number of those that share a GPU; None for all.
    """

    def __init__(self, jobs: int, per_device: int | None = None) -> None:
        self._environment = child_environment(jobs, per_device)
        self._processes: list[subprocess.Popen[str]] = []
        self._lock = threading.Lock()
        self._ended = False

    def run(self, cell: Cell, progress: GridProgress) -> Finished:
        """Runs one cell, and passes its progress on; after `end` none begins."""
        child = self._start(cell)
        if child is None:
            return Finished(cell, None, "stopped before it began", stopped=True)
        assert child.stdout is not None
        assert child.stderr is not None
        output: list[str] = []
        listener = threading.Thread(
            target=lambda: output.extend(child.stderr or ()), daemon=True
        )
        listener.start()
        folder = None
        for line in child.stdout:
            message = _message(line)
            if "folder" in message:
                folder = Path(message["folder"])
            else:
                progress.show(cell.title, message)
        child.wait()
        listener.join()
        if child.returncode == 0 and folder is not None:
            _remove_log(cell)
            return Finished(cell, folder)
        last = output[-1].strip() if output else ""
        if child.returncode == STOPPED:
            return Finished(cell, None, last or stopped(), stopped=True)
        if self._ended:  # stopped before it could say so
            return Finished(cell, None, stopped(), stopped=True)
        error = last or f"exit code {child.returncode}"
        error += _kept_in_log(cell, output)
        return Finished(cell, None, error, returncode=child.returncode)

    def _start(self, cell: Cell) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._ended:
                return None
            child = start_child("dp_bench.grid.run", cell.to_json(), self._environment)
            self._processes.append(child)
            return child

    def end(self) -> None:
        """Asks every process to save its state and end; kills those that do not.

        One that is killed keeps the state that it saved before.
        """
        deadline = time.monotonic() + LAST_WORDS
        try:
            with self._lock:
                self._ended = True
            for child in self._processes:
                child.terminate()
            for child in self._processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(timeout=max(0.0, deadline - time.monotonic()))
        finally:
            for child in self._processes:
                child.kill()


def _message(line: str) -> JsonObject:
    """Reads a message of a child; {} for anything else that a policy printed."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def failed_log(cell: Cell) -> Path:
    """Names the file that keeps the output of a failed cell."""
    return Path(cell.runs) / "failed" / f"{cell.title.replace(' ', '-')}.log"


def _remove_log(cell: Cell) -> None:
    """Removes what `_kept_in_log` kept of an earlier try, and the folder once empty."""
    log = failed_log(cell)
    with contextlib.suppress(OSError):
        log.unlink(missing_ok=True)
        log.parent.rmdir()


def _kept_in_log(cell: Cell, output: Sequence[str]) -> str:
    """Keeps the output of a failed cell; names the file, or "" if it has none."""
    log = failed_log(cell)
    try:
        atomic_write_text(log, "".join(output))
    except BadInput:
        return ""
    return f" [whole output: {log}]"
