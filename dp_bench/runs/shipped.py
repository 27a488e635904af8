"""Trained policies that come with the package: `pusht/dp_c`, say.

They lie in `dp_bench/shipped/<task>/<method>/`. `dp-bench pack` makes them from runs
whose records are in `results/`, so their weights are in half precision.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from dp_bench.errors import BadInput
from dp_bench.runs.folder import RunFolder
from dp_bench.util.files import atomic_write

FOLDER = Path(str(resources.files("dp_bench"))) / "shipped"
COPIES = "shipped"  # folder below `runs/`


def names() -> list[str]:
    """Lists the trained policies of this package, `<task>/<method>`."""
    files = FOLDER.glob("*/*/run.json")
    return sorted(f"{file.parent.parent.name}/{file.parent.name}" for file in files)


def folder_of(run: Path | str) -> Path:
    """Finds the folder of a run, or of a trained policy of this package.

    Args:
        run: A run folder, or the name of a shipped policy. An existing folder wins.

    Returns:
        The folder. Nothing may be written to a shipped one; see `playable`.
    """
    path = Path(run)
    return FOLDER / path if not path.exists() and _is_shipped(path) else path


def playable(runs: Sequence[Path], copies: Path = Path("runs")) -> list[Path]:
    """Finds run folders to which records can be added.

    A policy of this package is first copied to `<copies>/shipped/<task>/<run>`.

    Args:
        runs: Run folders, and names of shipped policies.
        copies: Where the copies go.
    """
    return [
        _copied(path, copies) if not path.exists() and _is_shipped(path) else path
        for path in runs
    ]


def _is_shipped(path: Path) -> bool:
    """Tells whether a path that does not exist names a policy of this package."""
    known = names()
    if path.as_posix() in known:
        return True
    if path.parts and path.parts[0] in {name.split("/")[0] for name in known}:
        raise BadInput(
            f"{path} is neither a run folder nor a trained policy of this package, "
            f"which has {', '.join(known)}"
        )
    return False


def _copied(name: Path, copies: Path) -> Path:
    """Copies a shipped policy; one that is already there stays, with its records."""
    source = FOLDER / name
    info = RunFolder(source).info()
    target = copies / COPIES / info.task / info.name
    for file in ("weights.safetensors", "run.json"):  # the run is there with the last
        if not (target / file).is_file():
            with atomic_write(target / file) as part:
                shutil.copyfile(source / file, part)
    return target
