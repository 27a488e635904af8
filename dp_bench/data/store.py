"""Getting demonstrations: from where they are published, or from a file at hand."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from dp_bench import registry
from dp_bench.data import hdf5, readers
from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput
from dp_bench.task import DemoSource, Task
from dp_bench.util import progress
from dp_bench.util.files import is_plain, locked

TIMEOUT = 30.0  # without any answer [s]
BLOCK = 1 << 16  # read at a time [bytes]


def data_folder() -> Path:
    """Where imported demonstrations lie: `DP_BENCH_DATA`, or the user's cache."""
    named = os.environ.get("DP_BENCH_DATA")
    return Path(named).expanduser() if named else _cache_folder()


def _cache_folder() -> Path:
    if sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "dp-bench" / "demos"


def demos_path(task_name: str, source: str) -> Path:
    """Where the imported demonstrations of a source lie, or would.

    Raises:
        BadInput: When a name could not be part of a file name.
    """
    for name in (task_name, source):
        if not is_plain(name):
            raise BadInput(
                f"{name!r} cannot name a file: use letters, digits, '_', '-' and '.'"
            )
    return data_folder() / f"{task_name}-{source}.hdf5"


def find(
    task_name: str, source: str | None = None, path: str | Path | None = None
) -> Path | None:
    """The file that `load_demos` would read: `path` if given, else what was imported.

    Args:
        task_name: A task.
        source: Which of its demonstrations; None for the task's first.
        path: Any readable form.

    Returns:
        None when nothing was imported yet.

    Raises:
        BadInput: When there is no such task or it has no demonstrations.
    """
    if path is not None:
        return Path(path)
    target = demos_path(task_name, _source_name(registry.task(task_name), source))
    places = (target, _cache_folder() / target.name)
    return next((place for place in places if place.is_file()), None)


def load_demos(
    task_name: str, source: str | None = None, path: str | Path | None = None
) -> Demos:
    """Loads demonstrations of this machine; makes those of a script where need be.

    Args:
        task_name: A task.
        source: Which of its demonstrations; None for the task's first, or for what
            the file at `path` says.
        path: Read this instead of what was imported; any readable form.

    Raises:
        BadInput: When there are none, or the file cannot be used.
    """
    task = registry.task(task_name)
    found = find(task_name, source, path)
    if found is None:
        task.check(source=source)
        if task.source_named(source).script:
            return readers.read(obtain(task_name, source), task, source)
        option = f" --source {source}" if source else ""
        raise BadInput(
            f"there are no demonstrations of {task_name} in {data_folder()}: get them "
            f"with `dp-bench demos {task_name}{option}`"
        )
    return readers.read(found, task, source)


def obtain(
    task_name: str,
    source: str | None = None,
    from_path: str | Path | None = None,
    mask: str | None = None,
) -> Path:
    """Imports demonstrations, or makes those of a script, unless that was done before.

    Args:
        task_name: A task.
        source: Which of its demonstrations; None for the task's first.
        from_path: Import this file (any readable form) instead of downloading; what
            was imported before is replaced.
        mask: With `from_path`: which episodes, by the name of a list in the file.

    Returns:
        The imported file.

    Raises:
        BadInput: When the file cannot be had, cannot be used, or is not what was
            published.
    """
    task = registry.task(task_name)
    if from_path is not None:
        demos = readers.read(from_path, task, source, mask)
        try:
            _check_digest(demos, task)
        except BadInput as error:
            raise BadInput(
                f"{from_path} cannot be imported, {error} (demonstrations of your own "
                f"need a `source` of their own)"
            ) from error
        return _keep(demos)
    source = _source_name(task, source)
    target = demos_path(task.name, source)
    there = find(task.name, source)
    if there is not None:
        return there
    task.check(source=source)
    if task.sources[source].script:
        from dp_bench.data import scripted

        with locked(target.with_suffix(".lock"), wait=True):
            there = find(task.name, source)  # somebody else made them
            return there or _keep(scripted.make(task, source))
    published = task.sources[source]
    url = published.url
    if published.minari or published.hub:
        demos = readers.read(_through_client(published, source), task, source)
        _check_digest(demos, task)
        return _keep(demos)
    if url is None:
        raise BadInput(
            f"the {source} demonstrations of {task.name} cannot be downloaded: import "
            f"a file with `dp-bench demos {task.name} --from PATH`"
        )
    part = target.with_suffix(".part")
    _download(url, part, f"{task.name} demonstrations")
    try:
        demos = readers.read(part, task, source)
        _check_digest(demos, task)
    except BadInput as error:
        part.unlink(missing_ok=True)
        raise BadInput(f"what {url} sends is not as expected: {error}") from error
    kept = _keep(demos)
    part.unlink(missing_ok=True)
    return kept


def _check_digest(demos: Demos, task: Task) -> None:
    published = task.sources.get(demos.source)
    if published and published.digest not in (None, demos.digest):
        raise BadInput(
            f"these are not the published {demos.source} demonstrations of "
            f"{task.name}: their digest is {demos.digest[:12]}, and not "
            f"{str(published.digest)[:12]}"
        )


def _keep(demos: Demos) -> Path:
    """Saves demonstrations where they are looked for."""
    target = demos_path(demos.task, demos.source)
    hdf5.save(demos, target)
    return target


def _source_name(task: Task, source: str | None) -> str:
    """The name of a source, which the task need not know: files bring their own."""
    if not (source or task.default_source):
        raise BadInput(f"task {task.name!r} has no demonstrations")
    return source or task.default_source


def _through_client(published: DemoSource, source: str) -> Path:
    """What is published where a library knows how to get it."""
    if published.minari:
        return _through_minari(published.minari, source)
    assert published.hub
    return _from_hub(*published.hub, source)


def _from_hub(repository: str, name: str, source: str) -> Path:
    """A file of a dataset on the Hugging Face hub; it goes on where it stopped.

    Raises:
        BadInput: When huggingface_hub is not installed, or cannot get it.
    """
    what = f"{name} of {repository} on the Hugging Face hub"
    try:
        import huggingface_hub
    except ImportError as error:
        raise BadInput(
            f"{what} needs a client: pip install huggingface_hub, or get the file "
            f"elsewhere and name it with `dp-bench demos TASK --source {source} --from "
            f"PATH`"
        ) from error
    print(f"Asking the Hugging Face hub for {name}", file=sys.stderr, flush=True)
    logging.disable(logging.WARNING)  # else the client tells of every try
    try:
        found = huggingface_hub.hf_hub_download(repository, name, repo_type="dataset")
    except Exception as error:  # of whichever client fetches it
        raise _unreachable(what, error, f" --source {source}") from error
    finally:
        logging.disable(logging.NOTSET)
    return Path(found)


def _through_minari(dataset: str, source: str) -> Path:
    """The folder of a dataset among the user's own of Minari, fetched if need be.

    Raises:
        BadInput: When minari is not installed, or cannot get it.
    """
    try:
        import minari
        from minari.storage.datasets_root_dir import get_dataset_path
    except ImportError as error:
        raise BadInput(
            f"{dataset} is published through Minari: pip install 'minari[hf]', or get "
            f"the file elsewhere and name it with `dp-bench demos TASK --source "
            f"{source} --from PATH`"
        ) from error
    folder = Path(get_dataset_path(dataset))
    if (folder / "data" / "main_data.hdf5").is_file():
        return folder
    print(f"Asking Minari for {dataset}", file=sys.stderr, flush=True)
    logging.disable(logging.WARNING)  # else the client tells of every try
    try:
        with contextlib.redirect_stdout(sys.stderr):
            minari.download_dataset(dataset, force_download=True)  # parts may be there
    except Exception as error:  # of whichever client fetches it
        what = f"{dataset} through Minari"
        raise _unreachable(what, error, f" --source {source}") from error
    finally:
        logging.disable(logging.NOTSET)
    return folder


def _download(url: str, part: Path, what: str) -> None:
    """Downloads to `part`, going on where an earlier try stopped.

    Raises:
        BadInput: When the network or the disk fails; `part` keeps what has come.
    """
    have = part.stat().st_size if part.is_file() else 0
    try:
        response = _open(url, have)
    except urllib.error.HTTPError as error:
        gone = error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        if not (have and gone):
            raise _unreachable(url, error) from error
        part.unlink(missing_ok=True)
        _download(url, part, what)
        return
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(url, error) from error
    with response:
        start = _range_start(response)
        if start > have:
            raise _unreachable(url, f"asked from byte {have}, it sent from {start}")
        have = start  # 0 where the server ignores the wish for a range
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else 0
        done = have
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            with part.open("r+b" if have else "wb") as file:
                file.truncate(have)
                file.seek(have)
                with progress.bar(f"{what} [bytes]", total, done=have) as bar:
                    while block := _receive(response, url):
                        file.write(block)
                        done += len(block)
                        bar.advance(len(block))
        except OSError as error:
            raise BadInput(f"cannot write {part}: {error.strerror or error}") from error
    if done < total:
        raise _unreachable(url, f"it ended after {done} of {total} bytes")


def _open(url: str, start: int) -> Any:
    headers = {"User-Agent": "dp-bench"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    return urllib.request.urlopen(request, timeout=TIMEOUT)


def _receive(response: Any, url: str) -> bytes:
    try:
        return response.read(BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(url, error) from error


def _range_start(response: Any) -> int:
    """First byte that a response holds."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else 0


def _unreachable(url: str, reason: object, option: str = "") -> BadInput:
    reason = " ".join(str(getattr(reason, "reason", "") or reason).split())
    return BadInput(
        f"the download of {url} failed ({reason or 'no answer'}): try again, or get "
        f"the file elsewhere and name it: `DEMOS=PATH` with make, `--demos PATH"
        f"{option}` to train and compare, or `dp-bench demos TASK{option} --from PATH` "
        f"to keep it"
    )
