"""Which demonstrations a publisher gave: published digests, and remembered ones.

Most publishers name no digest. The first download is remembered then, in a file beside
the imported demonstrations, and later files of the same source are compared with it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput
from dp_bench.task import Task
from dp_bench.util import settings
from dp_bench.util.files import atomic_write_text, read_without_links
from dp_bench.util.json_text import parsed

SUFFIX = ".digests.json"
BLOCK = 1 << 20  # bytes to read at a time


@dataclass(frozen=True)
class Digests:
    """What identifies demonstrations.

    Attributes:
        file: SHA-256 of the file or folder that a publisher gave; "" if unknown.
        demos: Digest of the demonstrations in it (`Demos.digest`).
    """

    file: str
    demos: str

    def __post_init__(self) -> None:
        for name, pattern in (("file", "([0-9a-f]{64})?"), ("demos", "[0-9a-f]{64}")):
            if not re.fullmatch(pattern, getattr(self, name)):
                raise BadInput(f"{name} must be 64 hex digits")


def difference(demos: Demos, task: Task, path: Path, record: Path) -> str:
    """Says how demonstrations differ from those that their publisher gave.

    A file that was packed or saved anew holds the same demonstrations; a list of
    episodes from the same file comes from the same file. Neither differs.

    Args:
        demos: Demonstrations that carry the name of a source.
        task: Their task.
        path: The file or folder they were read from.
        record: File that remembers the first download of the source, there or not.

    Returns:
        Both digests, without a remedy; "" where they are equal or nothing is known.

    Raises:
        BadInput: When the record is damaged.
    """
    source = task.sources.get(demos.source)
    if source is None or source.script:
        return ""
    if source.digest is not None:
        if source.digest == demos.digest:
            return ""
        return (
            f"these are not the published {demos.source} demonstrations of "
            f"{task.name}: their digest is {demos.digest[:12]}, and not "
            f"{source.digest[:12]}"
        )
    known = _recall(record)
    if known is None or known.demos == demos.digest:
        return ""
    digest = file_digest(path)
    if digest == known.file:
        return ""
    return (
        f"these are not the {demos.source} demonstrations of {task.name} that were "
        f"downloaded first: the SHA-256 of their file is {digest[:12]}, and not "
        f"{known.file[:12]}, so one of the two is damaged or the publisher has "
        f"replaced them; delete {record} to take what comes next as the first"
    )


def remember(demos: Demos, task: Task, path: Path, record: Path) -> None:
    """Remembers a first download, unless its digest is published or known.

    Args:
        demos: The demonstrations.
        task: Their task.
        path: The downloaded file or folder.
        record: File that remembers it.
    """
    if task.sources[demos.source].digest is None and _recall(record) is None:
        digests = Digests(file_digest(path), demos.digest)
        text = json.dumps(dataclasses.asdict(digests), indent=2)
        atomic_write_text(record, f"{text}\n")


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file, or of the names and files below a folder."""
    digest = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as content:
            while block := content.read(BLOCK):
                digest.update(block)
        return digest.hexdigest()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(json.dumps(file.relative_to(path).as_posix()).encode())
        digest.update(file_digest(file).encode())
    return digest.hexdigest()


def _recall(record: Path) -> Digests | None:
    """Reads what was remembered; None if nothing was."""
    if not record.exists():
        return None
    try:
        return settings.from_json(Digests, parsed(read_without_links(record)), "it")
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{record}, which remembers a first download, is damaged ({error}): "
            f"delete it"
        ) from None
