"""What runs on the nodes of a Ray cluster: one cell, in a child process.

Ray sends this module itself, so it imports nothing of dp-bench before the code that
travelled with the grid is in place. A node keeps code and demonstrations in a folder of
its own for as long as it lives. Where it does not see the driver's folder of runs, the
state of a training travels to the driver's `Desk` each time it is saved, and from there
to the node that goes on with it.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHIP_SECONDS = 1.0  # between looks at the files of a training [s]
SHOW_SECONDS = 1.0  # between messages about the progress of a cell [s]
BUSY_SECONDS = 20.0  # how long a killed process may take to leave its folder [s]
BUSY = "another process is working in"
# These are read before the log and written after it: a log that is ahead of its state
# is cut when the training resumes, and one that is behind would have a gap.
STATE = ("resume.safetensors", "run.json")


@dataclass(frozen=True)
class Job:
    """A cell and everything that it needs on its node.

    Attributes:
        title: Names the cell for a person.
        cell: The cell as JSON.
        run: Its run folder, `<task>/<run>`.
        runs: The driver's folder of runs.
        token: File in it that tells a node whether it sees that folder.
        code: Digest of the code, and Ray's reference to its zip.
        demos: The driver's file of demonstrations; "" for those in the data folder.
        data: Name, common digest and reference of each file for the data folder, the
            demonstrations first.
        apart: Whether nodes must not look for the driver's folders.
        versions: Of the driver's packages.
        environment: Further environment variables of the child.
    """

    title: str
    cell: str
    run: str
    runs: str
    token: str
    code: tuple[str, Any]
    demos: str
    data: tuple[tuple[str, str, Any], ...]
    apart: bool
    versions: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Again(Exception):
    """A cell that failed for a reason that may pass, such as a lack of memory."""


class Desk:
    """Takes messages and files of all cells; an actor on the driver's node.

    Args:
        runs: The driver's folder of runs.
    """

    def __init__(self, runs: str) -> None:
        self._runs = Path(runs)
        self._messages: list[tuple[str, dict[str, Any]]] = []

    def show(self, title: str, message: dict[str, Any]) -> None:
        """Keeps a message about a cell for the driver."""
        self._messages.append((title, message))

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """Hands over the messages since the last call."""
        messages, self._messages = self._messages, []
        return messages

    def state(self, run: str) -> dict[str, bytes]:
        """Reads the files of a run folder, by name."""
        folder = self._runs / run
        return {
            str(file.relative_to(folder)): file.read_bytes()
            for file in sorted(folder.rglob("*"))
            if file.is_file() and not file.name.startswith(".")
        }

    def save(
        self, run: str, files: Mapping[str, bytes], gone: Sequence[str] = ()
    ) -> None:
        """Writes files of a run folder in this order, and removes others."""
        for name, content in files.items():
            _write(self._runs / run / name, content)
        for name in gone:
            (self._runs / run / name).unlink(missing_ok=True)


def work(job: Job, desk: Any) -> tuple[str, bool]:
    """Runs one cell on this node.

    Returns:
        Its error, or "", and whether it was stopped.

    Raises:
        Again: When another try may succeed.
    """
    import ray

    context = ray.get_runtime_context()
    home = _home() / context.get_node_id()[:12]
    code = _unpacked(home / "code", *job.code)
    sys.path.insert(0, str(code))
    _refuse_other_versions(job, context.get_node_id()[:12])
    os.environ.update(job.environment)
    before = os.environ.get("PYTHONPATH")
    paths = [str(code), *([before] if before else [])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    sees_runs = not job.apart and Path(job.token).is_file()
    runs = Path(job.runs) if sees_runs else home / "runs" / Path(job.token).name
    demos = job.demos
    if not sees_runs:
        demos = _demos(job, home / "data")
        _fetch(job, runs, desk)
    return _run(job, runs, demos, desk, ships=not sees_runs)


def _home() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"dp-bench-ray-{user}"


def _unpacked(folder: Path, digest: str, reference: Any) -> Path:
    """Unpacks code on this node, unless an earlier cell has."""
    import ray

    target = folder / digest
    if not target.is_dir():
        aside = folder / f".{digest}-{os.getpid()}"
        with zipfile.ZipFile(io.BytesIO(bytes(ray.get(reference)))) as archive:
            archive.extractall(aside)
        with contextlib.suppress(OSError):  # another cell was faster
            aside.rename(target)
    return target


def _refuse_other_versions(job: Job, node: str) -> None:
    """Refuses a node whose packages give other numbers than the driver's."""
    from dp_bench.runs.provenance import versions

    here = versions()
    differ = [
        f"{name} {here.get(name, 'missing')} instead of {version}"
        for name, version in job.versions.items()
        if here.get(name) != version
    ]
    if differ:
        raise RuntimeError(
            f"node {node} has {', '.join(differ)}; install the versions of the machine "
            "that gave the command"
        )


def _demos(job: Job, folder: Path) -> str:
    """Puts the demonstrations on this node; returns the file for the cell, or ""."""
    import ray

    paths = []
    for name, digest, reference in job.data:
        paths.append(folder / digest / name)
        if not paths[-1].is_file():
            _write(paths[-1], bytes(ray.get(reference)))
    if paths:
        os.environ["DP_BENCH_DATA"] = str(paths[0].parent)
    return str(paths[0]) if paths and job.demos else ""


def _fetch(job: Job, runs: Path, desk: Any) -> None:
    """Brings what the driver has of a run to this node."""
    import ray

    folder = runs / job.run
    for name, content in ray.get(desk.state.remote(job.run)).items():
        _write(folder / name, content)


def _run(
    job: Job, runs: Path, demos: str, desk: Any, *, ships: bool
) -> tuple[str, bool]:
    """Runs the cell in a child process, as the driver of one machine does."""
    import dataclasses

    import ray

    from dp_bench.grid.cell import Cell
    from dp_bench.grid.local import Children, Finished

    cell = dataclasses.replace(Cell.from_json(job.cell), runs=str(runs))
    cell = dataclasses.replace(cell, demos=demos or None)
    cores = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
    children = Children(max(1, int((os.cpu_count() or 1) // max(1, cores))))
    ends: list[Finished] = []
    progress: Any = _Progress(lambda message: desk.show.remote(job.title, message))
    deadline = time.monotonic() + BUSY_SECONDS

    def run() -> None:
        while True:
            end = children.run(cell, progress)
            if BUSY not in end.error or time.monotonic() > deadline:
                ends.append(end)
                return
            time.sleep(0.5)  # a killed try still saves its state

    thread = threading.Thread(target=run, daemon=True)
    shipped = _Shipped(runs, job, desk) if ships else None
    thread.start()
    try:
        while thread.is_alive():
            thread.join(SHIP_SECONDS)
            if shipped:
                shipped.send()
    except KeyboardInterrupt:
        children.end()
        thread.join(1.0)
        if shipped:
            shipped.send(wait=True)
        return "stopped", True
    if shipped:
        shipped.send(wait=True)
    (end,) = ends
    error = _log_sent(end, job, desk) if ships else end.error
    if error and end.returncode not in (0, 2):
        raise Again(error)
    return error, end.stopped


def _log_sent(end: Any, job: Job, desk: Any) -> str:
    """Sends the output of a failed cell to the driver, and returns the error."""
    import ray

    from dp_bench.grid.local import failed_log

    log = failed_log(end.cell)
    if not (end.error and log.is_file()):
        return str(end.error)
    ray.get(desk.save.remote("failed", {log.name: log.read_bytes()}))
    there = Path(job.runs) / "failed" / log.name
    return str(end.error).replace(str(log), str(there))


class _Progress:
    """Passes on the progress of a cell, not more often than a person can read it."""

    def __init__(self, send: Callable[[dict[str, Any]], object]) -> None:
        self._send = send
        self._last: dict[str, float] = {}

    def show(self, title: str, message: dict[str, Any]) -> None:
        what = str(message.get("what", message))
        is_last = message.get("done", 0) == message.get("total", 1)
        now = time.monotonic()
        if is_last or now - self._last.get(what, 0.0) >= SHOW_SECONDS:
            self._last[what] = now
            self._send(message)


class _Shipped:
    """The files of a run that have travelled to the driver."""

    def __init__(self, runs: Path, job: Job, desk: Any) -> None:
        self._runs, self._run, self._desk = runs, job.run, desk
        self._seen: dict[str, tuple[int, int]] = {}
        self._pending: Any = None
        self.send(only_look=True)  # what came from there need not go back

    def send(self, *, wait: bool = False, only_look: bool = False) -> None:
        """Sends what has changed; sends nothing while the last parcel travels.

        Args:
            wait: Whether to wait until the driver has it.
            only_look: Whether to take all files as known.
        """
        import ray

        if self._pending is not None:
            done, _ = ray.wait([self._pending], timeout=None if wait else 0)
            if not done:
                return
            ray.get(self._pending)
            self._pending = None
        files, gone = self._changed()
        if only_look or not (files or gone):
            return
        self._pending = self._desk.save.remote(self._run, files, gone)
        if wait:
            ray.get(self._pending)
            self._pending = None

    def _changed(self) -> tuple[dict[str, bytes], list[str]]:
        """Reads the files that changed since the last call, and names those gone."""
        folder = self._runs / self._run
        present = [f for f in folder.rglob("*") if f.is_file() and f.name[0] != "."]
        states, others = dict[str, bytes](), dict[str, bytes]()
        for file in sorted(present, key=lambda f: (f.name not in STATE, str(f))):
            name = str(file.relative_to(folder))
            with contextlib.suppress(OSError):  # removed meanwhile
                stat = file.stat()
                stamp = (stat.st_mtime_ns, stat.st_size)
                if self._seen.get(name) != stamp:
                    into = states if file.name in STATE else others
                    into[name] = file.read_bytes()
                    self._seen[name] = stamp
        gone = [name for name in self._seen if not (folder / name).exists()]
        for name in gone:
            del self._seen[name]
        return {**others, **states}, gone


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(content)
    aside.replace(path)
