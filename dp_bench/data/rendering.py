"""Rendering the images of demonstrations from their states, in parallel."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dp_bench import references, registry
from dp_bench.data import frames
from dp_bench.data.demos import Demos
from dp_bench.data.env_arguments import check_arguments
from dp_bench.data.hdf5_files import opened
from dp_bench.data.images import LazyImages, is_images
from dp_bench.data.replay import start_of
from dp_bench.errors import BadInput
from dp_bench.task import Task
from dp_bench.util import progress, workers
from dp_bench.util.files import atomic_write
from dp_bench.util.shard import WHOLE, Shard

if TYPE_CHECKING:
    from dp_bench.util.types import Env, JsonObject

SUFFIX = ".rendering"  # of the folder with the episodes that are finished


class Rendered(NamedTuple):
    """The result of rendering.

    Attributes:
        steps: Steps that were rendered now; episodes from an earlier attempt are not
            counted.
        seconds: Time that they took.
        processes: Number of processes that took this time.
        digest: Digest of the frames file.
    """

    steps: int
    seconds: float
    processes: int
    digest: str


def render(
    task: Task,
    demos: Demos,
    target: Path,
    obs_kind: str,
    keys: Sequence[str],
    *,
    processes: int | None = None,
) -> Rendered:
    """Draws every state of demonstrations, and writes the frames file.

    Finished episodes lie in a folder beside the target until all are finished; a killed
    process leaves them, and the next one goes on from there. The number of processes
    changes nothing.

    Args:
        task: Its environment has a method `images(state) -> {key: image}`.
        demos: All demonstrations of a file.
        target: The frames file. Other images of the same demonstrations stay in it.
        obs_kind: Kind of observation that the environment has.
        keys: Keys of the images.
        processes: Number of processes; None for one a core.

    Raises:
        BadInput: When the environment cannot draw states, there are no states, or there
            is no OpenGL.
    """
    drawn = draw(task, demos, target, obs_kind, keys, processes=processes)
    parts = _parts(demos, target, obs_kind)
    digest = frames.save(target, demos, _episodes(demos, target, parts))
    for part in parts:
        part.unlink()
    with contextlib.suppress(OSError):  # something else lies there
        parts[0].parent.rmdir()
    return drawn._replace(digest=digest)


def draw(
    task: Task,
    demos: Demos,
    target: Path,
    obs_kind: str,
    keys: Sequence[str],
    *,
    processes: int | None = None,
    shard: Shard = WHOLE,
) -> Rendered:
    """Draws the episodes of a shard, one file each, and does not join them.

    Args:
        task: See `render`.
        demos: See `render`.
        target: See `render`.
        obs_kind: See `render`.
        keys: See `render`.
        processes: See `render`.
        shard: Which episodes; other processes draw the others.

    Returns:
        With the digest "".
    """
    _check(task, demos)
    parts = _parts(demos, target, obs_kind)
    jobs = [
        _Job(demos.states[demos.episode(k)], *start_of(demos, k), part)
        for k, part in enumerate(parts)
        if shard.has(k) and not _is_finished(part, keys, int(demos.lengths[k]))
    ]
    steps = sum(len(job.states) for job in jobs)
    processes = workers.count(processes, len(jobs))
    begin = time.monotonic()
    make = functools.partial(
        _Renderer, task, demos.env_kwargs | {"obs": obs_kind}, tuple(keys)
    )
    total = sum(int(n) for k, n in enumerate(demos.lengths) if shard.has(k))
    title = f"Rendering images of {task.name} [steps]"
    with progress.bar(title, total, done=total - steps) as bar:
        results = workers.in_order(
            make,
            _Renderer.render,
            jobs,
            processes=processes,
            on_progress=bar.advance,
        )
        with contextlib.closing(results):
            for _ in results:
                pass
    return Rendered(steps, time.monotonic() - begin, processes, "")


def is_drawn(demos: Demos, target: Path, obs_kind: str, keys: Sequence[str]) -> bool:
    """Tells whether all episodes are drawn, by whichever shards."""
    parts = _parts(demos, target, obs_kind)
    lengths = demos.lengths
    return all(_is_finished(p, keys, int(lengths[k])) for k, p in enumerate(parts))


def _parts(demos: Demos, target: Path, obs_kind: str) -> list[Path]:
    """Names the files of single episodes, beside the target."""
    folder = target.with_name(f"{target.name}.{demos.digest[:12]}-{obs_kind}{SUFFIX}")
    return [folder / f"episode_{k}.hdf5" for k in range(demos.num_episodes)]


def image_kind(task: Task, keys: Sequence[str] = ()) -> str:
    """Returns the first kind of observation with images that has these keys.

    Raises:
        BadInput: When the task has none.
    """
    for kind in task.image_kinds:
        if kind in task.obs_kinds and set(keys) <= set(task.obs_keys.get(kind, keys)):
            return kind
    wanted = f" {', '.join(keys)}" if keys else ""
    raise BadInput(
        f"task {task.name!r} has no observation with images{wanted}; it observes "
        f"{', '.join(task.obs_kinds)}"
    )


class _Job(NamedTuple):
    """An episode to render.

    Attributes:
        states: `(L, S)`.
        env_seed: Seed of its start; None if it is unknown.
        model: MuJoCo XML to load; "" to keep the environment's own model.
        part: Where its images go.
    """

    states: np.ndarray
    env_seed: int | None
    model: str
    part: Path


class _Renderer:
    """An environment that draws states, one for each process."""

    def __init__(self, task: Task, env_kwargs: JsonObject, keys: tuple[str, ...]):
        registry.tasks()  # imports the packages of tasks, in a fresh process too
        self.task, self.keys = task, keys
        self.env: Env = task.make_env(**env_kwargs)
        bare: Any = self.env.unwrapped
        bare.draws_images = False  # those that `reset` observes

    def render(self, job: _Job, tick: Callable[[], None]) -> None:
        """Draws the states of an episode, and calls `tick` after each."""
        model = {"model": job.model} if job.model else {}
        self.env.reset(seed=job.env_seed, options={"state": job.states[0], **model})
        draw = _drawing(self.env, self.task)
        images: dict[str, list[np.ndarray]] = {key: [] for key in self.keys}
        for state in job.states:
            drawn = draw(state)
            for key in self.keys:
                if key not in drawn:
                    raise BadInput(
                        f"the environment of {self.task.name} draws no {key!r}; its "
                        f"images() gives {', '.join(drawn) or 'nothing'}"
                    )
                images[key].append(np.asarray(drawn[key]))
            tick()
        _write_part(job.part, {key: np.array(each) for key, each in images.items()})

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()


def _check(task: Task, demos: Demos) -> None:
    """Refuses what cannot be rendered, before any process begins."""
    check_arguments(task, demos.env_kwargs)
    env = references.load(task.entry_point)
    if isinstance(env, type) and not hasattr(env, "images"):
        raise _no_images(task)
    if not demos.states.size:
        raise BadInput(
            f"demonstrations {demos.task}/{demos.source} hold no states to render"
        )


def _drawing(env: Env, task: Task) -> Callable[[np.ndarray], Mapping[str, np.ndarray]]:
    draw: Callable[[np.ndarray], Mapping[str, np.ndarray]] | None
    draw = getattr(env.unwrapped, "images", None)
    if draw is None:
        raise _no_images(task)
    return draw


def _no_images(task: Task) -> BadInput:
    return BadInput(
        f"the environment of {task.name} cannot draw recorded states: it has no method "
        f"images(state); put the images into the demonstrations themselves"
    )


def _write_part(part: Path, images: Mapping[str, np.ndarray]) -> None:
    import h5py

    for key, array in images.items():
        if not is_images(array):
            raise BadInput(
                f"images {key!r} must be uint8 (height, width, 3), got {array.dtype} "
                f"{array.shape[1:]}"
            )
    with atomic_write(part) as aside, h5py.File(aside, "w") as file:
        for key, array in images.items():
            file.create_dataset(key, data=array, **frames.COMPRESSION)


def _is_finished(part: Path, keys: Sequence[str], steps: int) -> bool:
    """Tells whether an episode was rendered before; a damaged one was not."""
    try:
        return all(len(_read_part(part)[key]) == steps for key in keys)
    except (OSError, RuntimeError, KeyError, BadInput):
        return False


def _read_part(part: Path) -> dict[str, np.ndarray]:
    with opened(part) as file:
        return {key: np.asarray(file[key][:]) for key in file}


def _episodes(
    demos: Demos, target: Path, parts: Sequence[Path]
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the images of each episode, with those that the target holds already."""
    others: dict[str, LazyImages] = {}
    if target.is_file():
        known = frames.about(target)
        if known.demos == demos.digest:
            seen = frames.attach(demos, target, known.keys).obs
            others = {k: a for k, a in seen.items() if isinstance(a, LazyImages)}
            others = {key: others[key] for key in known.keys}
    for k, part in enumerate(parts):
        old = {key: images.read_episode(k) for key, images in others.items()}
        yield {**old, **_read_part(part)}
