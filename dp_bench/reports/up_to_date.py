"""Tells whether tables, figures and page of a task show what they were made from.

<folder>/.made.json   a digest of what that was, and the names of what was made
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

from dp_bench import registry
from dp_bench.reports import published
from dp_bench.reports.results_folder import PAGE
from dp_bench.util.files import atomic_write_text, whole_files

MARK = ".made.json"
READ = ("*.jsonl", "*/*.jsonl", "runs/*.json")  # in the folder of a task
MADE = ("table.*", "*.png", "*.md", "*.csv", PAGE)
OURS = ("dp_bench", "dp_bench.envs", "dp_bench.baselines")


def digest(folder: Path) -> str:
    """Returns a digest of all that tables, figures and page of a task are made from.

    These are the files of its folder, published values, the code of this package, and
    the versions of packages that add tasks or methods.
    """
    known = hashlib.sha256()
    for file in _read(folder):
        known.update(f"{file.name} {_hash(file)}\n".encode())
    for file in _code():
        try:
            known.update(f"{file} {file.stat().st_mtime_ns}\n".encode())
        except FileNotFoundError:  # an editor's
            continue
    for kind in ("tasks", "methods"):
        for point in registry.entry_points(group=f"dp_bench.{kind}"):
            version = point.dist.version if point.dist else ""
            known.update(f"{point.value} {version}\n".encode())
    return known.hexdigest()


def is_marked(folder: Path, made_from: str) -> bool:
    """Tells whether `mark` was called with this digest, and nothing was deleted since.

    Args:
        folder: Of a task.
        made_from: As of `digest`.
    """
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
        return mark["digest"] == made_from and all(
            (folder / name).is_file() for name in mark["made"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def mark(folder: Path, made_from: str) -> None:
    """Notes what the tables, figures and page of a task were made from.

    Args:
        folder: Of a task.
        made_from: As of `digest`, before anything was read.
    """
    made = {file.name for pattern in MADE for file in folder.glob(pattern)}
    text = json.dumps({"digest": made_from, "made": sorted(made)})
    atomic_write_text(folder / MARK, text + "\n")


def _read(folder: Path) -> Iterator[Path]:
    """Yields the files of a task from which tables, figures and page are made."""
    for pattern in READ:
        yield from whole_files(folder.glob(pattern))
    for place in (folder, *folder.resolve().parents[:3]):
        yield place / published.FILE


def _hash(file: Path) -> str:
    """Returns a digest of a file, or "" where there is none."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def _code() -> list[Path]:
    """Lists the files of this package that make tables, figures and pages."""
    found: list[Path] = []
    for name in OURS:
        spec = importlib.util.find_spec(name)
        for place in (spec and spec.submodule_search_locations) or ():
            found += [*Path(place).rglob("*.py"), *Path(place).rglob("templates/*")]
    return sorted(found)
