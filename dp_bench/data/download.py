"""Downloading demonstrations: by HTTP, through Minari, from the Hugging Face hub."""

from __future__ import annotations

import contextlib
import http.client
import logging
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.errors import BadInput
from dp_bench.util import progress

if TYPE_CHECKING:
    from http.client import HTTPResponse

TIMEOUT = 30.0  # without any answer [s]
BLOCK = 1 << 16  # bytes to read at a time


def from_url(url: str, part: Path, title: str) -> None:
    """Downloads to the file `part`; resumes an earlier download that was interrupted.

    Args:
        url: Address of the file.
        part: Where the content goes. It stays there when the download fails.
        title: Title of the progress bar.

    Raises:
        BadInput: When the network or the disk fails.
    """
    present = part.stat().st_size if part.is_file() else 0
    try:
        response = _open(url, present)
    except urllib.error.HTTPError as error:
        past_end = error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        if not (present and past_end):
            raise _failure(url, error) from error
        part.unlink(missing_ok=True)
        from_url(url, part, title)
        return
    except (OSError, http.client.HTTPException) as error:
        raise _failure(url, error) from error
    with response:
        start = _range_start(response)
        if start > present:
            raise _failure(
                url, f"the server sent bytes from {start}, we asked from {present}"
            )
        _receive(response, url, part, start, title)


def _receive(
    response: HTTPResponse, url: str, part: Path, start: int, title: str
) -> None:
    """Writes the body of a response to `part` from byte `start` on."""
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else 0
    done = start
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("r+b" if start else "wb") as file:
            file.truncate(start)
            file.seek(start)
            if start:
                progress.note(f"{title}: the download resumes after {start:,} bytes")
            with progress.bar(f"{title} [bytes]", total, done=start) as bar:
                while block := _read_block(response, url):
                    file.write(block)
                    done += len(block)
                    bar.advance(len(block))
    except OSError as error:
        raise BadInput(f"cannot write {part}: {error.strerror or error}") from error
    if done < total:
        raise _failure(url, f"it ended after {done} of {total} bytes")


def _open(url: str, start: int) -> HTTPResponse:
    headers = {"User-Agent": "dp-bench"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)
    return response


def _read_block(response: HTTPResponse, url: str) -> bytes:
    try:
        return response.read(BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _failure(url, error) from error


def _range_start(response: HTTPResponse) -> int:
    """First byte of a response; 0 if the server ignored the requested range."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else 0


def from_hub(repository: str, name: str, source: str) -> Path:
    """Returns a file of a data set on the Hugging Face hub, downloaded if necessary.

    The client resumes an interrupted download.

    Args:
        repository: Repository of the data set.
        name: Name of the file.
        source: Name of the demonstrations, for errors.

    Raises:
        BadInput: When huggingface_hub is not installed, or the download fails.
    """
    subject = f"{name} of {repository} on the Hugging Face hub"
    try:
        import huggingface_hub
    except ImportError as error:
        raise BadInput(
            f"{subject} needs a client: pip install huggingface_hub, or get the file "
            f"elsewhere and name it with `dp-bench demos get TASK --source {source} "
            f"--from PATH`"
        ) from error
    print(f"Asking the Hugging Face hub for {name}", file=sys.stderr, flush=True)
    with _download_of(subject, source):
        return Path(
            huggingface_hub.hf_hub_download(repository, name, repo_type="dataset")
        )


def from_minari(dataset: str, source: str) -> Path:
    """Returns the folder of a Minari data set of this user, downloaded if necessary.

    Args:
        dataset: Minari's id of the data set.
        source: Name of the demonstrations, for errors.

    Raises:
        BadInput: When minari is not installed, or the download fails.
    """
    try:
        import minari
        from minari.storage.datasets_root_dir import get_dataset_path
    except ImportError as error:
        raise BadInput(
            f"{dataset} is published through Minari: pip install 'minari[hf]', or get "
            f"the file elsewhere and name it with `dp-bench demos get TASK --source "
            f"{source} --from PATH`"
        ) from error
    folder = Path(get_dataset_path(dataset))
    if (folder / "data" / "main_data.hdf5").is_file():
        return folder
    print(f"Asking Minari for {dataset}", file=sys.stderr, flush=True)
    with (
        _download_of(f"{dataset} through Minari", source),
        contextlib.redirect_stdout(sys.stderr),
    ):
        # without force Minari takes an interrupted download for a complete one
        minari.download_dataset(dataset, force_download=True)
    return folder


@contextlib.contextmanager
def _download_of(subject: str, source: str) -> Iterator[None]:
    """Turns errors of a client into ours; hides its reports of every attempt."""
    logging.disable(logging.WARNING)
    try:
        yield
    except Exception as error:  # each client raises errors of its own
        raise _failure(subject, error, f" --source {source}") from error
    finally:
        logging.disable(logging.NOTSET)


def _failure(subject: str, reason: object, option: str = "") -> BadInput:
    """Returns the error about a download, with what to do instead."""
    reason = " ".join(str(getattr(reason, "reason", "") or reason).split())
    return BadInput(
        f"the download of {subject} failed ({reason or 'no answer'}): try again, or "
        f"get the file elsewhere and name it: `DEMOS=PATH` with make, `--demos PATH"
        f"{option}` to train and compare, or `dp-bench demos get TASK{option} "
        f"--from PATH` to keep it"
    )
