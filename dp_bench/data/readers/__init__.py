"""Reading demonstrations in any known form; one file here per foreign format."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dp_bench import references
from dp_bench.data import hdf5, signatures
from dp_bench.data.demos import Demos
from dp_bench.data.readers import minari, npz, replay_zarr, robomimic
from dp_bench.errors import BadInput
from dp_bench.task import Task


class Reader(NamedTuple):
    """How to read one foreign format.

    Attributes:
        about: What it is, for a person.
        matches: Whether a path looks like it.
        read_arrays: `(path, names) -> (arrays by name (N, ...), episode_ends (E,))`.
        chooses: Whether `read_arrays` also takes `mask`, the name of a list of episodes
            in the file, and `images`, names of what may be larger than memory.
    """

    about: str
    matches: Callable[[Path], bool]
    read_arrays: Callable[..., tuple[dict[str, np.ndarray], np.ndarray]]
    chooses: bool = False


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
    Reader(  # after Minari: a cut HDF5 file looks like one
        about="HDF5 of robomimic",
        matches=robomimic.matches,
        read_arrays=robomimic.read_arrays,
        chooses=True,
    ),
)


def read(
    path: str | Path,
    task: Task,
    source: str | None = None,
    mask: str | None = None,
) -> Demos:
    """Reads demonstrations of a task: our own HDF5, or a foreign form.

    Args:
        path: File or folder; its content tells what it is.
        task: Whose demonstrations these must be.
        source: Which of the task's demonstrations these are. None: what our own file
            says, and the task's first source for a foreign form.
        mask: Which episodes, by the name of a list in a file of robomimic; None for
            all.

    Raises:
        BadInput: When the file is missing, damaged, of no known form, of another task
            or source, or without the mask.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path} does not exist: name a file of demonstrations")
    if signatures.starts_with(path, signatures.HDF5) and hdf5.is_ours(path):
        demos = hdf5.load(path)
        if demos.task != task.name:
            raise BadInput(
                f"{path} holds demonstrations of {demos.task!r}, not of {task.name!r}"
            )
        if source not in (None, demos.source):
            raise BadInput(
                f"{path} holds {demos.source!r} demonstrations, not {source!r}"
            )
        if mask is not None:
            raise _no_masks(path, "HDF5 that dp-bench wrote")
        return demos
    for reader in READERS:
        if reader.matches(path):
            return _convert(reader, path, task, source, mask)
    forms = "; ".join(["HDF5 that dp-bench wrote", *(r.about for r in READERS)])
    raise BadInput(f"{path} is in no form that can be read; those are: {forms}")


def _no_masks(path: Path, about: str) -> BadInput:
    return BadInput(
        f"{path} is {about}, which has no masks; files of robomimic have them"
    )


def _convert(
    reader: Reader, path: Path, task: Task, source: str | None, mask: str | None
) -> Demos:
    task.check(source=source)
    source = source or task.default_source
    recipe = task.sources[source].convert if source else None
    if recipe is None:
        others = [name for name, made in task.sources.items() if made.convert]
        remedy = (
            f"say whose they are, as with `--source {others[0]}`"
            if others
            else "save them with `dp_bench.data.hdf5.save`"
        )
        raise BadInput(
            f"{path} is {reader.about}, and task {task.name!r} has no converter for "
            f"its {source or 'missing'} demonstrations: {remedy}"
        )
    options = {}
    if reader.chooses:
        options = {"mask": mask, "images": task.sources[source].images}
    elif mask is not None:
        raise _no_masks(path, reader.about)
    arrays, ends = reader.read_arrays(path, task.sources[source].arrays, **options)
    try:
        demos = references.load(recipe)(arrays, ends)
        return dataclasses.replace(demos, task=task.name, source=source)
    except BadInput as error:
        raise BadInput(f"{path} cannot be used, {error}") from error
