"""Where demonstrations lie on this machine: finding, loading and importing them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from dp_bench import registry
from dp_bench.data import frames, hdf5, image_sources, learned, readers
from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput
from dp_bench.task import Task
from dp_bench.util.files import is_plain, locked, remove_stale_parts


def data_folder() -> Path:
    """Returns the folder of imported demonstrations.

    This is `DP_BENCH_DATA`, or else the user's cache folder: on Linux
    `$XDG_CACHE_HOME/dp-bench/demos`, or `~/.cache/dp-bench/demos`.
    """
    folder = os.environ.get("DP_BENCH_DATA")
    return Path(folder).expanduser() if folder else _cache_folder()


def _cache_folder() -> Path:
    cache = platformdirs.user_cache_path("dp-bench", appauthor=False, opinion=False)
    return cache / "demos"


def demos_path(task_name: str, source: str) -> Path:
    """Returns the path of the imported demonstrations of a source, there or not.

    Raises:
        BadInput: When a name cannot be part of a file name.
    """
    for name in (task_name, source):
        if not is_plain(name):
            raise BadInput(
                f"{name!r} cannot name a file: use letters, digits, '_', '-' and '.'"
            )
    return data_folder() / f"{task_name}-{source}.hdf5"


def find(
    task: Task | str, source: str | None = None, path: str | Path | None = None
) -> Path | None:
    """Returns the file that `load_demos` would read: `path`, or else the imported file.

    Args:
        task: The task, or its name.
        source: Which demonstrations of the task; None for its default source.
        path: A file in any format that `readers` knows.

    Returns:
        None when these demonstrations have not been imported yet.

    Raises:
        BadInput: When the task does not exist or has no demonstrations.
    """
    if path is not None:
        return Path(path)
    task = _task(task)
    target = demos_path(task.name, _source_name(task, source))
    candidates = (target, _cache_folder() / target.name)
    return next((file for file in candidates if file.is_file()), None)


def frames_path(task_name: str, source: str) -> Path:
    """Returns the path of the images of imported demonstrations, there or not.

    Raises:
        BadInput: When a name cannot be part of a file name.
    """
    return frames.path_of(demos_path(task_name, source))


def load_demos(
    task: Task | str,
    source: str | None = None,
    path: str | Path | None = None,
    images: Sequence[str] = (),
) -> Demos:
    """Loads demonstrations from this machine; plays those of a script if necessary.

    Args:
        task: The task, or its name.
        source: Which demonstrations of the task. None for its default source or, with
            `path`, for the source that the file names.
        path: A file to read instead of the imported one, in any format that `readers`
            knows.
        images: Keys of images. Those that the file does not hold come from a frames
            file, which is made if necessary; no image is read from it.

    Raises:
        BadInput: When the demonstrations are missing, or their file cannot be used, or
            there are no images.
    """
    task = _task(task)
    file = find(task, source, path)
    if file is None:
        if not task.source_named(source).script:
            option = f" --source {source}" if source else ""
            raise BadInput(
                f"the demonstrations of {task.name} are not in {data_folder()}: get "
                f"them with `dp-bench demos get {task.name}{option}`"
            )
        file = obtain(task, source)
    demos = readers.read(file, task, source)
    return with_images(task, demos, images, path)


def with_images(
    task: Task, demos: Demos, keys: Sequence[str], path: str | Path | None = None
) -> Demos:
    """Adds images to demonstrations, and makes them if necessary.

    Args:
        task: The task.
        demos: The demonstrations, as `load_demos` reads them.
        keys: Keys of images; those that `demos` hold stay.
        path: The file that they were read from; None for an import.

    Raises:
        BadInput: When there are no images.
    """
    if not keys:
        return demos
    places = frames_places(demos, is_imported=path is None)
    file = None if path is None else Path(path)
    return image_sources.with_images(task, demos, keys, places, file)


def has_images(
    task: Task, demos: Demos, keys: Sequence[str], path: str | Path | None = None
) -> bool:
    """Tells whether `with_images` has nothing to make; see there."""
    missing = [key for key in keys if key not in demos.obs]
    places = frames_places(demos, is_imported=path is None)
    return not missing or image_sources.find(demos, missing, places) is not None


def frames_places(demos: Demos, *, is_imported: bool) -> list[Path]:
    """Lists where the images of demonstrations may lie; they are made at the first.

    Args:
        demos: The demonstrations.
        is_imported: Whether they were imported. Others do not replace the images of
            an import of the same name.
    """
    imported = frames_path(demos.task, demos.source)
    places = [imported, _cache_folder() / imported.name]
    if not is_imported:
        file = demos_path(demos.task, demos.source)
        places.insert(0, frames.path_of(file, demos.digest))
    return places


def obtain(
    task: Task | str,
    source: str | None = None,
    from_path: str | Path | None = None,
    mask: str | None = None,
    images: Sequence[str] = (),
) -> Path:
    """Imports demonstrations from a file, from their publisher or from their script.

    Demonstrations that have been imported before are neither downloaded nor played
    again. A file is imported every time, and replaces an earlier import.

    Args:
        task: The task, or its name.
        source: Which demonstrations of the task; None for its default source.
        from_path: File to import, in any format that `readers` knows.
        mask: With `from_path`, the name of a list of episodes in that file; None for
            all episodes.
        images: Keys of images that must be there, too; see `load_demos`.

    Returns:
        The imported file.

    Raises:
        BadInput: When the demonstrations cannot be downloaded, played or read, or their
            digest differs from the published one.
    """
    task = _task(task)
    remove_stale_parts(data_folder())
    if from_path is not None:
        file = _import_file(task, source, from_path, mask)
    else:
        name = _source_name(task, source)
        imported = find(task, name)
        if imported is None:
            file = _fetch(task, name)
        elif images and _can_download_images(task, name):
            file = _fetch_images(task, name)
        else:
            file = imported
    if images:
        with_images(task, readers.read(file, task, source), images)
    return file


def _can_download_images(task: Task, source: str) -> bool:
    """Tells whether recorded images were published that were not imported yet."""
    known = task.sources.get(source)
    published = known is not None and known.url is not None and known.recorded_images
    return bool(published) and not frames_path(task.name, source).is_file()


def _fetch_images(task: Task, source: str) -> Path:
    """Downloads demonstrations again, for the images that were published with them.

    Raises:
        BadInput: When that fails; it says what works without a network.
    """
    try:
        return _fetch(task, source, images=True)
    except BadInput as error:
        raise BadInput(
            f"{error}; or draw images of the demonstrations that are here with "
            f"`dp-bench demos render {task.name} --source {source}`"
        ) from error


def _fetch(task: Task, source: str, *, images: bool = False) -> Path:
    """Plays a script or downloads, unless another process has done so meanwhile."""
    from dp_bench.data import scripted

    lock = demos_path(task.name, source).with_suffix(".lock")
    with locked(lock, wait=True):
        imported = find(task, source)
        if imported and not (images and _can_download_images(task, source)):
            return imported
        if task.source_named(source).script:
            return _save(scripted.make(task, source))
        return _download(task, source)


def _import_file(
    task: Task, source: str | None, path: str | Path, mask: str | None
) -> Path:
    demos = readers.read(path, task, source, mask)
    try:
        _checked(demos, task, Path(path))
    except BadInput as error:
        raise BadInput(
            f"{path} cannot be imported, {error} (demonstrations of your own need a "
            f"`source` of their own)"
        ) from error
    target = frames_path(demos.task, demos.source)
    image_sources.import_recorded(task, demos, Path(path), target)
    return _save(demos)


def _download(task: Task, source: str) -> Path:
    from dp_bench.data import download

    published = task.sources[source]
    if published.minari or published.hub:
        if published.minari:
            file = download.from_minari(published.minari, source)
        else:
            assert published.hub is not None
            file = download.from_hub(*published.hub, source)
        return _save_download(readers.read(file, task, source), task, file)
    if published.url is None:
        raise BadInput(
            f"the {source} demonstrations of {task.name} cannot be downloaded: import "
            f"a file with `dp-bench demos get {task.name} --from PATH`"
        )
    part = demos_path(task.name, source).with_suffix(".part")
    download.from_url(published.url, part, f"{task.name} demonstrations")
    try:
        demos = _checked(readers.read(part, task, source), task, part)
        image_sources.import_recorded(task, demos, part, frames_path(task.name, source))
    except BadInput as error:
        part.unlink(missing_ok=True)
        raise BadInput(
            f"the download from {published.url} is not as expected: {error}"
        ) from error
    file = _save_download(demos, task, part)
    part.unlink(missing_ok=True)
    return file


def _save_download(demos: Demos, task: Task, file: Path) -> Path:
    """Saves demonstrations of a download, and remembers it if it is the first.

    Raises:
        BadInput: When it differs from what is published or remembered.
    """
    target = _save(_checked(demos, task, file))
    learned.remember(demos, task, file, _record(task, demos.source))
    return target


def difference(demos: Demos, task: Task, path: Path) -> str:
    """Says how demonstrations differ from those that their publisher gave.

    Returns:
        Both digests; "" where they are equal or nothing is known.
    """
    if not is_plain(demos.source):
        return ""
    return learned.difference(demos, task, path, _record(task, demos.source))


def _record(task: Task, source: str) -> Path:
    """Names the file that remembers the first download of a source."""
    return demos_path(task.name, source).with_suffix(learned.SUFFIX)


def _checked(demos: Demos, task: Task, path: Path) -> Demos:
    """Refuses demonstrations that differ from what is published or remembered."""
    fault = difference(demos, task, path)
    if fault:
        raise BadInput(fault)
    return demos


def _save(demos: Demos) -> Path:
    """Saves demonstrations where `find` looks for them."""
    target = demos_path(demos.task, demos.source)
    hdf5.save(demos, target)
    return target


def _task(task: Task | str) -> Task:
    """Looks a task up unless the caller has done so."""
    return registry.task(task) if isinstance(task, str) else task


def _source_name(task: Task, source: str | None) -> str:
    """The source itself, which a file may bring along, or the task's default."""
    if not (source or task.default_source):
        raise BadInput(f"task {task.name!r} has no demonstrations")
    return source or task.default_source
