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
import shutil
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHIP_SECONDS = 1.0  # between looks at the files of a training [s]
SHOW_SECONDS = 1.0  # between messages about the progress of a cell [s]
BUSY_SECONDS = 120.0  # how long a dead node's locks may last on a shared disk [s]
REMEDY = "install the versions of the machine where you type the command"
# These are read before the log and written after it: a log that is ahead of its state
# is cut when the training resumes, and one that is behind would have a gap.
STATE = ("resume.safetensors", "run.json")


@dataclass(frozen=True)
class DataFile:
    """A file of demonstrations or images.

    Attributes:
        path: On the driver's machine.
        size: Its size [bytes].
        changed: When it changed [ns].
        digest: Of all files of the grid, which share a folder on a node.
        content: Ray's reference to it.
    """

    path: str
    size: int
    changed: int
    digest: str
    content: Any

    @property
    def is_here(self) -> bool:
        """Whether this node sees the very file."""
        try:
            stat = os.stat(self.path)
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.changed)


@dataclass(frozen=True)
class Job:
    """A cell and everything that it needs on its node.

    Attributes:
        title: Names the cell for a person.
        cell: The cell as JSON.
        runs: The driver's folder of runs.
        token: File in it that tells a node whether it sees that folder.
        code: Digest of the code, and Ray's reference to its zip.
        data: The demonstrations, and then their images.
        apart: Whether nodes must not look for the driver's folders.
        versions: Of the driver's packages.
        environment: Further environment variables of the child.
        per_gpu: Number of cells that share a GPU; 0 on the CPU.
    """

    title: str
    cell: str
    runs: str
    token: str
    code: tuple[str, Any]
    data: tuple[DataFile, ...]
    apart: bool
    versions: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    per_gpu: int = 0


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


def versions_here(code: tuple[str, Any]) -> dict[str, str]:
    """Lists the versions of the packages on this node that can move numbers."""
    _use_code(code)
    from dp_bench.runs.provenance import versions

    return versions()


def work(job: Job, desk: Any) -> tuple[str, str, bool]:
    """Runs one cell on this node.

    Returns:
        Its run folder `<task>/<run>`, its error or "", and whether it was stopped.

    Raises:
        Again: When another try may succeed.
    """
    node = _use_code(job.code)
    os.environ.update(job.environment)
    _refuse_other_versions(job, node.name)
    sees_runs = not job.apart and Path(job.token).is_file()
    # A try that was killed may still be saving, so that each has a folder of its own.
    own = node / "runs" / f"{Path(job.token).name}-{uuid.uuid4().hex[:8]}"
    runs = Path(job.runs) if sees_runs else own
    cell = _placed(job, runs, node / "data")
    run = _run_of(cell)
    if sees_runs:
        return _run(job, cell, run, desk, None)
    try:
        fetched = _fetch(runs, run, desk)
        shipped = _Shipped(runs, run, desk, fetched)
        return _run(job, cell, run, desk, shipped)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _use_code(code: tuple[str, Any]) -> Path:
    """Imports from the code that travelled; returns the folder of this node."""
    import ray

    user = os.getuid() if hasattr(os, "getuid") else 0
    home = Path(tempfile.gettempdir()) / f"dp-bench-ray-{user}"
    home.mkdir(mode=0o700, exist_ok=True)
    node = home / ray.get_runtime_context().get_node_id()[:12]
    digest, reference = code
    target = node / "code" / digest
    if not target.is_dir():
        aside = node / "code" / f".{digest}-{os.getpid()}"
        with zipfile.ZipFile(io.BytesIO(bytes(_get(reference)))) as archive:
            archive.extractall(aside)
        with contextlib.suppress(OSError):  # another cell was faster
            aside.rename(target)
        shutil.rmtree(aside, ignore_errors=True)
    if str(target) not in sys.path:
        sys.path.insert(0, str(target))
        before = os.environ.get("PYTHONPATH")
        paths = [str(target), *([before] if before else [])]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)  # of the child
    return node


def _refuse_other_versions(job: Job, node: str) -> None:
    """Refuses a node whose packages give other numbers than the driver's."""
    from dp_bench.runs.provenance import versions

    if differences := differ(versions(), job.versions):
        raise RuntimeError(f"node {node} has {differences}; {REMEDY}")


def differ(here: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """Lists the packages whose versions differ; "" for none."""
    return ", ".join(
        f"{name} {here.get(name, 'missing')} instead of {version}"
        for name, version in wanted.items()
        if here.get(name) != version
    )


def _placed(job: Job, runs: Path, folder: Path) -> Any:
    """Puts the demonstrations on this node, and their paths into the cell."""
    import dataclasses

    from dp_bench.grid.cell import Cell

    cell = Cell.from_json(job.cell)
    places = [Path(file.path) for file in job.data]
    together = cell.demos is not None or len({place.parent for place in places}) == 1
    if job.apart or not together or not all(file.is_here for file in job.data):
        places = [folder / file.digest / Path(file.path).name for file in job.data]
        for file, place in zip(job.data, places, strict=True):
            if not place.is_file():
                _write(place, bytes(_get(file.content)))
    if cell.demos is not None:
        cell = dataclasses.replace(cell, demos=str(places[0]))
    if cell.demos is None or len(places) > 1:  # images of any file lie there
        os.environ["DP_BENCH_DATA"] = str(places[-1].parent)
    return dataclasses.replace(cell, runs=str(runs))


def _run_of(cell: Any) -> str:
    """Names the run folder of a cell, which can depend on this node's processor."""
    from dp_bench.grid.cell import resolve
    from dp_bench.grid.prepare import prepare

    (resolved,) = resolve([cell])
    path = prepare(resolved).folder.path
    return f"{path.parent.name}/{path.name}"


def _fetch(runs: Path, run: str, desk: Any) -> list[str]:
    """Brings what the driver has of a run to this node; returns the names of files."""
    files = _get(desk.state.remote(run))
    for name, content in files.items():
        _write(runs / run / name, content)
    return list(files)


def _run(
    job: Job, cell: Any, run: str, desk: Any, shipped: _Shipped | None
) -> tuple[str, str, bool]:
    """Runs the cell in a child process, as the driver of one machine does."""
    import ray

    from dp_bench.grid.local import Children, Finished
    from dp_bench.grid.run import BUSY
    from dp_bench.util.threads import cores

    mine = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
    children = Children(max(1, int(cores() // max(1, mine))), job.per_gpu or None)
    ends: list[Finished] = []
    progress: Any = _Progress(lambda message: desk.show.remote(job.title, message))
    deadline = time.monotonic() + BUSY_SECONDS

    def run_child() -> None:
        try:
            end = children.run(cell, progress)
            while end.returncode == BUSY and time.monotonic() < deadline:
                time.sleep(0.5)  # a try that was killed still saves its state
                end = children.run(cell, progress)
        except Exception as error:
            end = Finished(cell, None, " ".join(str(error).split()), returncode=1)
        ends.append(end)

    thread = threading.Thread(target=run_child, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(SHIP_SECONDS)
            if shipped:
                shipped.send()
        if shipped:
            shipped.send_all()
    except KeyboardInterrupt:
        children.end()
        thread.join(1.0)
        if shipped:
            shipped.send_all()
        return run, "stopped", True
    finally:
        children.end()
    (end,) = ends
    error = _log_sent(end, job, desk) if shipped else end.error
    if error and end.returncode not in (0, 2):
        raise Again(error)
    return run, error, end.stopped


def _log_sent(end: Any, job: Job, desk: Any) -> str:
    """Sends the output of a failed cell to the driver, and returns the error."""
    from dp_bench.grid.local import failed_log

    log = failed_log(end.cell)
    if not (end.error and log.is_file()):
        return str(end.error)
    _get(desk.save.remote("failed", {log.name: log.read_bytes()}))
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
    """The files of a run, as far as the driver has them.

    Args:
        runs: This node's folder of runs.
        run: The run, `<task>/<run>`.
        desk: The driver's `Desk`.
        known: Names of the files that came from the driver.
    """

    def __init__(self, runs: Path, run: str, desk: Any, known: Sequence[str]) -> None:
        self._folder, self._run, self._desk = runs / run, run, desk
        self._there = {name: _stamp(self._folder / name) for name in known}
        self._parcel: Any = None
        self._stamps: dict[str, tuple[int, int]] = {}  # of the files in the parcel
        self._gone: list[str] = []

    def send(self) -> None:
        """Sends what has changed, unless the last parcel still travels."""
        import ray

        parcel = self._parcel
        if parcel is not None and _aside(lambda: ray.wait([parcel], timeout=0)[0]):
            self._arrived()
        if self._parcel is None:
            self._pack()

    def send_all(self) -> None:
        """Sends what has changed, and waits until the driver has everything."""
        if self._parcel is not None:
            self._arrived()
        for _ in range(2):  # files first, and then the removal of others
            self._pack()
            if self._parcel is not None:
                self._arrived()

    def _arrived(self) -> None:
        """Waits for the parcel, and remembers what the driver has now."""
        parcel, self._parcel = self._parcel, None
        _get(parcel)
        self._there |= self._stamps
        for name in self._gone:
            del self._there[name]

    def _pack(self) -> None:
        """Sends files that changed; if none did, names those that are gone."""
        present = [
            f for f in self._folder.rglob("*") if f.is_file() and f.name[0] != "."
        ]
        states, others = dict[str, bytes](), dict[str, bytes]()
        self._stamps, self._gone = {}, []
        for file in sorted(present, key=lambda f: (f.name not in STATE, str(f))):
            name = str(file.relative_to(self._folder))
            with contextlib.suppress(OSError):  # removed meanwhile
                stamp = _stamp(file)
                if self._there.get(name) != stamp:
                    into = states if file.name in STATE else others
                    into[name] = file.read_bytes()
                    self._stamps[name] = stamp
        files = {**others, **states}
        if not files:
            names = {str(file.relative_to(self._folder)) for file in present}
            self._gone = [name for name in self._there if name not in names]
        if files or self._gone:
            self._parcel = self._desk.save.remote(self._run, files, self._gone)


def _get(reference: Any) -> Any:
    """Waits for an object, and keeps the cores of this task meanwhile."""
    import ray

    return _aside(lambda: ray.get(reference))


def _aside(wait: Callable[[], Any]) -> Any:
    """Waits in another thread.

    If the main thread of a task waits, Ray starts another task on the same cores.
    """
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(wait())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    while not future.done():  # short waits, so that Ray can cancel the task
        futures.wait([future], timeout=SHIP_SECONDS)
    return future.result()


def _stamp(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_mtime_ns, stat.st_size


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(content)
    aside.replace(path)
