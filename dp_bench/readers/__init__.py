"""Reading demonstrations in any known form; one file here per foreign format."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dp_bench import demos as _demos
from dp_bench import plugins
from dp_bench.demos import Demos
from dp_bench.errors import BadInput
from dp_bench.readers import minari, npz, replay_zarr
from dp_bench.task import Task


class Reader(NamedTuple):
    """How to read one foreign format.

    Attributes:
        about: What it is, for a person.
        matches: Whether a path looks like it.
        read_arrays: `(path, names) -> (arrays by name (N, ...), episode_ends (E,))`.
    """

    about: str
    matches: Callable[[Path], bool]
    read_arrays: Callable[
        [Path, tuple[str, ...]], tuple[dict[str, np.ndarray], np.ndarray]
    ]


READERS = (
    Reader(  # before zarr, to which any zip looks like one
        about="arrays that numpy saved in one file (.npz)",
        matches=npz.matches,
        read_arrays=npz.read_arrays,
    ),
    Reader(
        about="a replay buffer in zarr (a folder, or a zip of one)",
        matches=replay_zarr.matches,
        read_arrays=replay_zarr.read_arrays,
    ),
    Reader(
        about="a dataset of Minari in HDF5 (its folder, or the file in it)",
        matches=minari.matches,
        read_arrays=minari.read_arrays,
    ),
)


def read(path: str | Path, task: Task, source: str | None = None) -> Demos:
    """Reads demonstrations of a task: our own HDF5, or a foreign form.

    Args:
        path: File or folder; its content tells what it is.
        task: Whose demonstrations these must be.
        source: Which of the task's demonstrations these are. None: what our own file
            says, and the task's first source for a foreign form.

    Raises:
        BadInput: When the file is missing, damaged, of no known form or of another
            task or source.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path} does not exist: name a file of demonstrations")
    if _demos.starts_with(path, _demos.HDF5_SIGNATURE) and _demos.is_ours(path):
        demos = _demos.load(path)
        if demos.task != task.name:
            raise BadInput(
                f"{path} holds demonstrations of {demos.task!r}, not of {task.name!r}"
            )
        if source not in (None, demos.source):
            raise BadInput(
                f"{path} holds {demos.source!r} demonstrations, not {source!r}"
            )
        return demos
    for reader in READERS:
        if reader.matches(path):
            return _convert(reader, path, task, source)
    forms = "; ".join(["HDF5 that dp-bench wrote", *(r.about for r in READERS)])
    raise BadInput(f"{path} is in no form that can be read; those are: {forms}")


def _convert(reader: Reader, path: Path, task: Task, source: str | None) -> Demos:
    source = source or next(iter(task.sources), None)
    task.check(source=source)
    recipe = task.sources[source].convert if source else None
    if source is None or recipe is None:
        others = [name for name, made in task.sources.items() if made.convert]
        remedy = (
            f"say whose they are, as with `--source {others[0]}`"
            if others
            else "save them with `dp_bench.demos.save`"
        )
        raise BadInput(
            f"{path} is {reader.about}, and task {task.name!r} has no converter for "
            f"its {source or 'missing'} demonstrations: {remedy}"
        )
    arrays, ends = reader.read_arrays(path, task.sources[source].arrays)
    try:
        demos = plugins.load(recipe)(arrays, ends)
        return dataclasses.replace(demos, task=task.name, source=source)
    except BadInput as error:
        raise BadInput(f"{path} cannot be used, {error}") from error
