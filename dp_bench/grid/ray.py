"""Running the cells of a grid on a Ray cluster.

Each cell is one task of Ray Core, which runs the child process that `local` runs. Ray
starts it again where a worker or a node dies, and it goes on from its last state.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import io
import logging
import os
import signal
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from dp_bench.errors import BadInput
from dp_bench.grid import ray_worker
from dp_bench.grid.cell import Cell, ResolvedCell, resolve
from dp_bench.grid.local import MEMORY, Finished, told
from dp_bench.grid.progress import GridProgress, shown
from dp_bench.grid.ray_worker import DataFile, Desk, Job
from dp_bench.runs.provenance import COMMIT, commit, versions
from dp_bench.util.processes import LAST_WORDS
from dp_bench.util.threads import cores

TRIES = 3  # of a cell whose worker, node or child process dies
APART = "DP_BENCH_RAY_APART"  # environment variable: nodes share no folders
PACKAGES = ("dp_bench", "dp_bench.envs", "dp_bench.baselines")  # apart in a checkout
LOCAL = "local"  # in place of an address: a cluster of this machine alone


@dataclass(frozen=True)
class Cluster:
    """Where cells run.

    Attributes:
        address: Of the cluster, "auto" for the one of this machine, or "local" for a
            new one.
        per_gpu: Number of cells that share a GPU.
    """

    address: str = "auto"
    per_gpu: int = 1


def refuse_without_ray() -> None:
    """Refuses before anything runs if Ray is not installed.

    Raises:
        BadInput: With what to type.
    """
    if importlib.util.find_spec("ray") is None:
        raise BadInput("--ray needs Ray: pip install 'dp-bench[ray]'")


def run_cells(
    cells: Sequence[Cell],
    cluster: Cluster,
    *,
    finished: Callable[[Finished], None] = lambda _: None,
) -> list[Finished]:
    """Runs every cell as a task of Ray; one that fails does not stop others.

    Args:
        cells: Of one task and its demonstrations, which are on this disk.
        cluster: Where they run.
        finished: Called after each cell.

    Returns:
        How each cell ended, in the order of `cells`.

    Raises:
        BadInput: When the cluster cannot be reached.
    """
    import ray
    from ray.exceptions import RayError

    resolved = resolve(cells)
    ends: dict[int, Finished] = {}
    with _connected(cluster.address), _token(resolved[0]) as token:
        jobs = _jobs(resolved, token, cluster)
        _refuse_other_nodes(jobs[0])
        desk = _desk(resolved[0])
        tasks = [_task(cell, cluster) for cell in resolved]
        refs = {
            task.remote(job, desk): k
            for k, (task, job) in enumerate(zip(tasks, jobs, strict=True))
        }
        with shown(len(cells)) as view:
            try:
                while len(ends) < len(cells):
                    left = [ref for ref, k in refs.items() if k not in ends]
                    done, _ = ray.wait(left, timeout=0.2)
                    _show(desk, view)
                    for ref in done:
                        end = told(_ended(ref, cells[refs[ref]]), finished)
                        ends[refs[ref]] = end
                        view.cell_done(end.cell.title, end.error, stopped=end.stopped)
            except (KeyboardInterrupt, RayError) as error:
                _cancel([ref for ref, k in refs.items() if k not in ends])
                if isinstance(error, RayError):
                    reason = " ".join(str(error).split())[:200]
                    raise BadInput(
                        f"the connection to the Ray cluster was lost ({reason}); the "
                        "same command resumes"
                    ) from None
                raise
    return [ends[k] for k in range(len(cells))]


@contextlib.contextmanager
def _connected(address: str) -> Iterator[None]:
    """Connects to a cluster, or starts one of this machine alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray
    from ray import cloudpickle

    if address.startswith("ray://"):
        raise BadInput(
            f"--ray {address} is a Ray client; give the command on a node of the "
            "cluster, with --ray auto"
        )
    cloudpickle.register_pickle_by_value(ray_worker)
    here: dict[str, Any] = {"num_cpus": cores()} if address == LOCAL else {}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address,
            **here,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if address == LOCAL else None,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise BadInput(
            f"--ray {address}: could not connect to a Ray cluster "
            f"({' '.join(str(error).split())[:200]}); start one as the page 'More than "
            "one machine' of the manual says, or use --ray local"
        ) from None
    try:
        # Ray's own handler would end this process before the states are saved.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _token(cell: ResolvedCell) -> Iterator[Path]:
    """Makes a file in the folder of runs that tells nodes whether they see it."""
    runs = Path(cell.names.runs).resolve()
    runs.mkdir(parents=True, exist_ok=True)
    token = runs / f".ray-{uuid.uuid4().hex}"
    token.touch()
    try:
        yield token
    finally:
        token.unlink(missing_ok=True)


def _jobs(cells: Sequence[ResolvedCell], token: Path, cluster: Cluster) -> list[Job]:
    """Puts code and demonstrations into Ray's object store, and lists the jobs."""
    import numpy as np
    import ray

    code = _code()
    packed = (hashlib.sha256(code).hexdigest()[:16], ray.put(code))
    files = _data(cells[0])
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + _sha256(file))
    data = tuple(
        DataFile(
            path=str(file),
            size=file.stat().st_size,
            changed=file.stat().st_mtime_ns,
            digest=digest.hexdigest()[:16],
            content=ray.put(np.fromfile(file, np.uint8)),
        )
        for file in files
    )
    on_gpu = _wants_gpu(cells[0])
    device = "cuda" if on_gpu else cells[0].names.device
    return [
        Job(
            title=cell.title,
            # Ray shows each task its own GPU, which has the number 0 there.
            cell=dataclasses.replace(cell.names, device=device).to_json(),
            runs=str(token.parent),
            token=str(token),
            code=packed,
            data=data,
            apart=bool(os.environ.get(APART)),
            versions=versions(),
            environment={COMMIT: commit()},
            per_gpu=cluster.per_gpu if on_gpu else 0,
        )
        for cell in cells
    ]


def _data(cell: ResolvedCell) -> list[Path]:
    """Lists the files that a node needs to read the demonstrations of a cell."""
    from dp_bench.data import image_sources, store

    file = store.find(cell.task, cell.names.source, cell.names.demos)
    assert file is not None
    if file.is_dir():
        raise BadInput(
            f"--demos {file} is a folder, which cannot travel to the nodes; import it "
            f"with `dp-bench demos get {cell.task.name} --from {file}`, and leave "
            "--demos out"
        )
    demos = cell.demos.without_images
    keys = cell.task.image_keys_of(cell.obs_kind)
    missing = [key for key in keys if key not in demos.obs]
    files = [file.resolve()]
    if missing:
        places = store.frames_places(demos, is_imported=cell.names.demos is None)
        images = image_sources.find(demos, missing, places)
        assert images is not None  # `obtain` has made them
        files.append(images.resolve())
    return files


def _sha256(file: Path) -> bytes:
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.digest()


def _code() -> bytes:
    """Packs the code of this package, and what says its version, into a zip."""
    packed = io.BytesIO()
    distribution = metadata.distribution("dp-bench")
    groups: dict[str, list[str]] = {}
    for point in distribution.entry_points:
        groups.setdefault(point.group, []).append(f"{point.name} = {point.value}")
    lines = [f"[{group}]\n" + "\n".join(groups[group]) for group in sorted(groups)]
    facts = {
        "METADATA": f"Name: dp-bench\nVersion: {distribution.version}\n",
        "entry_points.txt": "\n\n".join(lines),
    }
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        written: set[str] = set()
        for package in PACKAGES:
            name, root = package.replace(".", "/"), _folder_of(package)
            for file in sorted(root.rglob("*")):
                inside = f"{name}/{file.relative_to(root).as_posix()}"
                if file.is_file() and file.suffix != ".pyc" and inside not in written:
                    written.add(inside)
                    _add(archive, inside, file.read_bytes())
        for name, text in facts.items():
            folder = f"dp_bench-{distribution.version}.dist-info"
            _add(archive, f"{folder}/{name}", text.encode())
    return packed.getvalue()


def _folder_of(package: str) -> Path:
    """Finds the folder of a package, wherever the checkout maps it."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)))


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Adds a file without its time, so that equal code gives an equal zip."""
    archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def _desk(cell: ResolvedCell) -> Any:
    """Starts the actor that takes messages and states, on this node."""
    import ray

    actor = ray.remote(Desk).options(
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=-1,
        scheduling_strategy=_on(ray.get_runtime_context().get_node_id()),
    )
    return actor.remote(str(Path(cell.names.runs).resolve()))


def _on(node: str) -> Any:
    """Places work on one node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id=node, soft=False)


def _refuse_other_nodes(job: Job) -> None:
    """Refuses a cluster that has a node with other versions.

    Raises:
        BadInput: With the node and the packages.
    """
    import ray
    from ray.exceptions import RayError

    task = ray.remote(ray_worker.versions_here)
    asked = {
        node["NodeID"]: task.options(
            num_cpus=0, scheduling_strategy=_on(node["NodeID"])
        ).remote(job.code)
        for node in ray.nodes()
        if node["Alive"]
    }
    for node, ref in asked.items():
        try:
            differences = ray_worker.differ(ray.get(ref), job.versions)
        except RayError as error:  # a package is missing, say
            differences = " ".join(str(error).split())[-200:]
        if differences:
            raise BadInput(
                f"node {node[:12]} of the cluster has {differences}; "
                f"{ray_worker.REMEDY}, or stop Ray there"
            )


def _wants_gpu(cell: ResolvedCell) -> bool:
    """Tells whether cells run on GPUs: where the cluster has some, or by --device."""
    import ray

    has = any(node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"])
    wanted = cell.names.device
    if wanted.startswith("cuda") and not has:
        raise BadInput(f"--device {wanted}: no node of the Ray cluster has a GPU")
    return has and wanted != "cpu"


def _task(cell: ResolvedCell, cluster: Cluster) -> Any:
    """Makes the task of a cell: what it needs, and how often it is tried.

    Raises:
        BadInput: When no node has that.
    """
    import ray

    on_gpu = _wants_gpu(cell)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    able = [node for node in nodes if node.get("GPU", 0) or not on_gpu]
    most = int(max(node.get("CPU", 0) for node in able))
    if most < 1:
        kind = "node with a GPU" if on_gpu else "node"
        raise BadInput(f"no {kind} of the Ray cluster offers a CPU for a training")
    threads = min(cell.settings.training.threads, most)
    able = [node for node in able if node.get("CPU", 0) >= threads]
    memory = int(min(MEMORY, max(node.get("memory", 0) for node in able)))
    return ray.remote(ray_worker.work).options(
        num_cpus=threads,
        num_gpus=1 / cluster.per_gpu if on_gpu else 0,
        memory=memory or None,
        max_retries=TRIES - 1,
        retry_exceptions=[ray_worker.Again],
        scheduling_strategy="SPREAD",
    )


def _show(desk: Any, view: GridProgress) -> None:
    """Shows the messages of all cells since the last call."""
    import ray

    for title, message in ray.get(desk.take.remote()):
        view.show(title, message)


def _ended(ref: Any, cell: Cell) -> Finished:
    """Says how a task ended."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    run = ""
    try:
        run, error, stopped = ray.get(ref)
    except RayTaskError as failure:  # what our code raised on the node
        error, stopped = " ".join(str(failure.cause).split()), False
        if isinstance(failure.cause, ray_worker.Again):
            error = f"failed {TRIES} times: {error}"
    except RayError as failure:
        reason = " ".join(str(failure).split())[:300]
        error, stopped = f"its worker died {TRIES} times: {reason}", False
    folder = Path(cell.runs) / run
    return Finished(cell, None if error else folder, error, stopped)


def _cancel(refs: Sequence[Any]) -> None:
    """Asks tasks to save their state and end; waits for them, but not for long."""
    import ray

    for ref in refs:
        ray.cancel(ref, force=False, recursive=False)  # parcels still travel
    deadline = time.monotonic() + 2 * LAST_WORDS
    while refs and time.monotonic() < deadline:
        _, refs = ray.wait(list(refs), num_returns=len(refs), timeout=0.5)
