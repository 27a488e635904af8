"""Getting the pictures of demonstrations: recorded ones, or rendered from states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from dp_bench.data import frames, readers
from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput
from dp_bench.task import Task
from dp_bench.util import progress
from dp_bench.util.files import locked


def with_pictures(
    task: Task,
    demos: Demos,
    keys: Sequence[str],
    places: Sequence[Path],
    file: Path | None = None,
) -> Demos:
    """Adds the pictures that demonstrations do not hold themselves.

    A frames file that is missing, or that belongs to demonstrations which an import has
    replaced, is made: from the recorded pictures of `file`, or else from the states.

    Args:
        task: The task.
        demos: All demonstrations of a file.
        keys: Keys of the pictures; what is no key of `demos.obs` lies apart.
        places: Where the frames file may lie; the first is where it is made.
        file: The foreign file that the demonstrations were read from, if any.

    Raises:
        BadInput: When the pictures cannot be had, or a frames file is damaged.
    """
    missing = [key for key in keys if key not in demos.obs]
    if not missing:
        return demos
    path = _belonging(demos, places)
    if path is None:
        with locked(places[0].with_suffix(".lock"), wait=True):
            path = _belonging(demos, places)  # another process may have made it
            if path is None:
                path = places[0]
                _make(task, demos, missing, path, file)
    return frames.attach(demos, path, missing)


def import_recorded(task: Task, demos: Demos, file: Path, target: Path) -> bool:
    """Writes the frames file from pictures that a foreign file holds.

    Args:
        task: The task.
        demos: The demonstrations in the file.
        file: The foreign file.
        target: The frames file.

    Returns:
        Whether the file holds pictures.

    Raises:
        BadInput: When the pictures are damaged.
    """
    episodes = readers.recorded_pictures(file, task, demos)
    if episodes is None:
        return False
    title = f"Importing pictures of {task.name}"
    frames.save(target, demos, _counted(episodes, title, demos.num_episodes))
    return True


def _belonging(demos: Demos, places: Sequence[Path]) -> Path | None:
    """Finds the frames file of demonstrations; one of others does not count."""
    for path in places:
        if path.is_file() and frames.about(path).demos == demos.digest:
            return path
    return None


def _make(
    task: Task, demos: Demos, keys: Sequence[str], target: Path, file: Path | None
) -> None:
    if file is not None and import_recorded(task, demos, file, target):
        return
    source = task.sources.get(demos.source)
    if source is not None and source.pictures:
        raise BadInput(
            f"the recorded pictures of the {demos.source} demonstrations of "
            f"{task.name} are not in {target.parent}: `dp-bench demos get {task.name} "
            f"--source {demos.source} --from FILE` imports them from the published "
            f"file, or `dp-bench demos render {task.name} --source {demos.source}` "
            f"draws the recorded states"
        )
    raise BadInput(f"there are no pictures {', '.join(keys)} of {task.name}")


def _counted(
    episodes: Iterable[Mapping[str, np.ndarray]], title: str, total: int
) -> Iterator[Mapping[str, np.ndarray]]:
    with progress.bar(title, total) as bar:
        for episode in episodes:
            yield episode
            bar.advance()
