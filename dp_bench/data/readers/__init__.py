"""Reading demonstrations in any known format; each foreign format has a file here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dp_bench import references, registry
from dp_bench.data import hdf5, signatures
from dp_bench.data.demos import Demos
from dp_bench.data.images import LazyImages
from dp_bench.data.readers import minari, npz, replay_zarr, robomimic
from dp_bench.data.readers.rows import as_images, by_episode, check_finite
from dp_bench.errors import BadInput
from dp_bench.task import DemoSource, Task


class Reader(NamedTuple):
    """How to read one foreign format.

    Attributes:
        about: The format in a few words, for errors.
        matches: Tells from a path whether its content has this format.
        read_arrays: `(path, names) -> (arrays by name (N, ...), episode_ends (E,))`.
        has_masks: Whether `read_arrays` also takes `mask`, the name of a list of
            episodes in the file, and `images`, names of arrays that stay in the file.
        read_blocks: `(path, name) -> blocks of rows (n, ...)` of an array that may
            exceed memory, or None if the file lacks it; None if the reader cannot.
    """

    about: str
    matches: Callable[[Path], bool]
    read_arrays: Callable[..., tuple[Mapping[str, np.ndarray | LazyImages], np.ndarray]]
    has_masks: bool = False
    read_blocks: Callable[[Path, str], Iterator[np.ndarray] | None] | None = None


# npz goes before zarr, whose reader takes any zip for a replay buffer.
READERS = (
    Reader(
        about="arrays that numpy saved in one file (.npz)",
        matches=npz.matches,
        read_arrays=npz.read_arrays,
    ),
    Reader(
        about="a replay buffer in zarr (a folder, or a zip of one)",
        matches=replay_zarr.matches,
        read_arrays=replay_zarr.read_arrays,
        read_blocks=replay_zarr.read_blocks,
    ),
    Reader(
        about="a Minari data set in HDF5 (its folder, or the file in it)",
        matches=minari.matches,
        read_arrays=minari.read_arrays,
    ),
    Reader(
        about="HDF5 of robomimic",
        matches=robomimic.matches,
        read_arrays=robomimic.read_arrays,
        has_masks=True,
    ),
)


def read(
    path: str | Path,
    task: Task,
    source: str | None = None,
    mask: str | None = None,
) -> Demos:
    """Reads demonstrations of a task from our own HDF5 or from a foreign format.

    Args:
        path: File or folder, whose content decides the format.
        task: The task that the demonstrations must belong to.
        source: Which demonstrations of the task. None for the source that our own file
            names or, with a foreign format, for the task's default source.
        mask: Name of a list of episodes in a robomimic file; None for all episodes.

    Raises:
        BadInput: When the file is missing or damaged, when its format is unknown, when
            it belongs to another task or source, or when it lacks the mask.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path} does not exist: name a file of demonstrations")
    if signatures.starts_with(path, signatures.HDF5) and hdf5.is_ours(path):
        if mask is not None:
            raise _no_masks(path, "HDF5 that dp-bench wrote")
        return _read_ours(path, task, source)
    matching = [reader for reader in READERS if reader.matches(path)]
    if path.is_dir() and len(matching) > 1:
        formats = "; ".join(reader.about for reader in matching)
        raise BadInput(f"{path} holds several data sets ({formats}): name one of them")
    if matching:
        return _read_foreign(matching[0], path, task, source, mask)
    formats = "; ".join(["HDF5 that dp-bench wrote", *(r.about for r in READERS)])
    raise BadInput(f"{path} has an unknown format; dp-bench reads: {formats}")


def _read_ours(path: Path, task: Task, source: str | None) -> Demos:
    demos = hdf5.load(path)
    if demos.task != task.name:
        raise BadInput(
            f"{path} holds demonstrations of {demos.task!r}, not of {task.name!r}"
        )
    if source not in (None, demos.source):
        raise BadInput(f"{path} holds {demos.source!r} demonstrations, not {source!r}")
    return demos


def _read_foreign(
    reader: Reader, path: Path, task: Task, source: str | None, mask: str | None
) -> Demos:
    task.check(source=source)
    source = source or task.default_source
    convert = task.sources[source].convert if source else None
    if convert is None:
        _refuse_file_of_another(reader, path, task)
        raise _without_converter(reader, path, task, source, mask)
    options = {}
    if reader.has_masks:
        options = {"mask": mask, "images": task.sources[source].images}
    elif mask is not None:
        raise _no_masks(path, reader.about)
    try:
        arrays, ends = reader.read_arrays(path, task.sources[source].arrays, **options)
    except BadInput:
        _refuse_file_of_another(reader, path, task)
        raise
    try:
        check_finite(arrays, ends)
        demos = references.load(convert)(arrays, ends)
        return dataclasses.replace(demos, task=task.name, source=source)
    except BadInput as error:
        raise BadInput(f"{path} cannot be used, {error}") from error


def recorded_images(
    path: str | Path, task: Task, demos: Demos
) -> Iterator[dict[str, np.ndarray]] | None:
    """Reads the images that a foreign file holds beside its demonstrations.

    Args:
        path: The file, as for `read`.
        task: `DemoSource.recorded_images` names the arrays that hold images.
        demos: The demonstrations in the file.

    Returns:
        The images of one episode after the other by key, uint8 `(L, H, W, 3)`; None
        if the file holds none.

    Raises:
        BadInput: At a damaged block, or one that holds no images.
    """
    source = task.sources.get(demos.source)
    reader = next((r for r in READERS if r.matches(Path(path))), None)
    if (
        source is None
        or not source.recorded_images
        or reader is None
        or not reader.read_blocks
    ):
        return None
    parts: dict[str, Iterator[np.ndarray]] = {}
    for name, key in source.recorded_images.items():
        blocks = reader.read_blocks(Path(path), name)
        if blocks is None:
            return None
        subject = f"{path}: array {name!r}"
        parts[key] = by_episode(as_images(blocks, subject), demos.lengths, subject)
    return (
        dict(zip(parts, episode, strict=True))
        for episode in zip(*parts.values(), strict=True)
    )


def _without_converter(
    reader: Reader, path: Path, task: Task, source: str | None, mask: str | None
) -> BadInput:
    """Returns the error about a source without a converter; it advises what works."""
    fault = (
        f"{path} is {reader.about}, and task {task.name!r} has no converter for its "
        f"{source or 'missing'} demonstrations"
    )
    misfits = []
    for name, known in task.sources.items():
        if known.convert is None:
            continue
        reason = _misfit(reader, path, known, mask)
        if not reason:
            return BadInput(f"{fault}: name their source, as with `--source {name}`")
        misfits.append(f", nor does the file fit source {name!r} ({reason})")
    first = "".join(misfits[:1])
    return BadInput(f"{fault}{first}: save them with `dp_bench.data.hdf5.save`")


def _refuse_file_of_another(reader: Reader, path: Path, task: Task) -> None:
    """Refuses a file with all arrays that another task needs.

    Raises:
        BadInput: With the names of the tasks that the file fits.
    """
    fitting = {
        name
        for name, other in registry.tasks().items()
        for source in other.sources.values()
        if other.name != task.name and source.convert and _fits(reader, path, source)
    }
    if fitting:
        names = sorted(fitting)
        raise BadInput(
            f"{path} is {reader.about} with the arrays of task "
            f"{' or '.join(map(repr, names))}, not of {task.name!r}: name that task, "
            f"as with `--task {names[0]}`, or another file"
        )


def _fits(reader: Reader, path: Path, source: DemoSource) -> bool:
    """Tells whether a file has the arrays of a source, and they can be converted."""
    return bool(source.arrays) and not _misfit(reader, path, source)


def _misfit(
    reader: Reader, path: Path, source: DemoSource, mask: str | None = None
) -> str:
    """Says why a file cannot be read as a source of demonstrations; "" if it can."""
    assert source.convert is not None
    options = {"mask": mask} if reader.has_masks else {}
    try:
        arrays, ends = reader.read_arrays(path, source.arrays, **options)
        check_finite(arrays, ends)
        references.load(source.convert)(arrays, ends)
    except BadInput as error:
        return str(error).removeprefix(str(path)).strip(" :")
    return ""


def _no_masks(path: Path, about: str) -> BadInput:
    return BadInput(
        f"{path} is {about}, which has no masks; only robomimic files have them"
    )
