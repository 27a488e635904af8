"""Getting the images of demonstrations: recorded ones, or rendered from states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from dp_bench.data import frames, readers, rendering
from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput
from dp_bench.task import Task
from dp_bench.util import progress
from dp_bench.util.files import locked
from dp_bench.util.shard import Shard


def with_images(
    task: Task,
    demos: Demos,
    keys: Sequence[str],
    places: Sequence[Path],
    file: Path | None = None,
) -> Demos:
    """Adds the images that demonstrations do not hold themselves.

    A frames file that is missing, or that belongs to demonstrations which an import has
    replaced, is made: from the recorded images of `file`, or else from the states.

    Args:
        task: The task.
        demos: All demonstrations of a file.
        keys: Keys of the images; what is no key of `demos.obs` lies apart.
        places: Where the frames file may lie; the first is where it is made.
        file: The foreign file that the demonstrations were read from, if any.

    Raises:
        BadInput: When the images cannot be had, or a frames file is damaged.
    """
    missing = [key for key in keys if key not in demos.obs]
    if not missing:
        return demos
    path = find_or_make(
        demos, missing, places, lambda path: _make(task, demos, missing, path, file)
    )
    return frames.attach(demos, path, missing)


def find_or_make(
    demos: Demos,
    keys: Sequence[str],
    places: Sequence[Path],
    make: Callable[[Path], None],
) -> Path:
    """Finds a frames file, or makes it, one process at a time.

    Args:
        demos: The demonstrations.
        keys: Keys of the images that the file must hold.
        places: Where the file may lie; the first is where it is made.
        make: Writes the file to a path.

    Returns:
        The path of the file.

    Raises:
        BadInput: When a frames file is damaged, or cannot be made.
    """
    path = find(demos, keys, places)
    if path is None:
        with locked(places[0].with_suffix(".lock"), wait=True):
            path = find(demos, keys, places)  # another process may have made it
            if path is None:
                path = places[0]
                make(path)
    return path


def find(demos: Demos, keys: Sequence[str], places: Sequence[Path]) -> Path | None:
    """Finds the frames file of demonstrations that holds these images.

    A file of other demonstrations does not count.

    Raises:
        BadInput: When a frames file is damaged.
    """
    for path in places:
        if path.is_file():
            known = frames.about(path)
            if known.demos == demos.digest and set(keys) <= set(known.keys):
                return path
    return None


def import_recorded(task: Task, demos: Demos, file: Path, target: Path) -> bool:
    """Writes the frames file from images that a foreign file holds.

    Args:
        task: The task.
        demos: The demonstrations in the file.
        file: The foreign file.
        target: The frames file.

    Returns:
        Whether the file holds images.

    Raises:
        BadInput: When the images are damaged.
    """
    episodes = readers.recorded_images(file, task, demos)
    if episodes is None:
        return False
    title = f"Importing images of {task.name}"
    frames.save(target, demos, _counted(episodes, title, demos.num_episodes))
    return True


def render(
    task: Task,
    demos: Demos,
    keys: Sequence[str],
    target: Path,
    obs_kind: str | None = None,
) -> None:
    """Renders images of demonstrations from their states, and says how long it took.

    Args:
        task: The task.
        demos: All demonstrations of a file.
        keys: Keys of the images.
        target: The frames file.
        obs_kind: Kind of observation with these keys; None to find it.

    Raises:
        BadInput: When they cannot be rendered.
    """
    kind = obs_kind or rendering.image_kind(task, keys)
    progress.note(
        f"rendering the images {', '.join(keys)} of {demos.num_episodes} "
        f"demonstrations of {task.name}, once; they go to {target}"
    )
    _tell_time(rendering.render(task, demos, target, kind, keys), keys)


def render_part(
    task: Task,
    demos: Demos,
    keys: Sequence[str],
    places: Sequence[Path],
    obs_kind: str,
    shard: Shard,
) -> Path | None:
    """Renders the episodes of a shard; the last shard writes the frames file.

    Args:
        task: The task.
        demos: All demonstrations of a file.
        keys: Keys of the images.
        places: See `find_or_make`.
        obs_kind: Kind of observation with these keys.
        shard: Which episodes; other processes render the others.

    Returns:
        The path of the frames file; None while other shards still render.

    Raises:
        BadInput: When they cannot be rendered.
    """
    target = places[0]
    if find(demos, keys, places) is None:
        drawn = rendering.draw(task, demos, target, obs_kind, keys, shard=shard)
        _tell_time(drawn, keys)
        # A shard that came last before this one has written the file by now.
        finished = rendering.is_drawn(demos, target, obs_kind, keys)
        if not finished and find(demos, keys, places) is None:
            return None
    return find_or_make(
        demos, keys, places, lambda path: render(task, demos, keys, path, obs_kind)
    )


def _tell_time(result: rendering.Rendered, keys: Sequence[str]) -> None:
    """Says how long rendering took, if anything was rendered."""
    if result.steps:
        images = result.steps * len(keys)
        time = result.seconds * result.processes / images * 1000
        progress.note(
            f"rendered {images} images in {progress.duration(result.seconds)}: "
            f"{time:.3g} ms an image in each of {result.processes} processes"
        )


def _make(
    task: Task, demos: Demos, keys: Sequence[str], target: Path, file: Path | None
) -> None:
    if file is not None and import_recorded(task, demos, file, target):
        return
    source = task.sources.get(demos.source)
    if source is not None and source.recorded_images:
        raise BadInput(
            f"the recorded images of the {demos.source} demonstrations of "
            f"{task.name} are not in {target.parent}: `dp-bench demos get {task.name} "
            f"--source {demos.source} --from FILE` imports them from the published "
            f"file, or `dp-bench demos render {task.name} --source {demos.source}` "
            f"draws the recorded states"
        )
    render(task, demos, keys, target)


def _counted(
    episodes: Iterable[Mapping[str, np.ndarray]], title: str, total: int
) -> Iterator[Mapping[str, np.ndarray]]:
    with progress.bar(title, total) as bar:
        for episode in episodes:
            yield episode
            bar.advance()
