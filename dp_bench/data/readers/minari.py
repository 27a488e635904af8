"""Datasets of Minari in HDF5: a group for each episode."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from dp_bench.data import signatures
from dp_bench.data.readers.rows import damaged
from dp_bench.errors import BadInput

MAIN_FILE = "main_data.hdf5"
NAMES = {"state": "observations", "action": "actions", "reward": "rewards"}
WITHOUT_GOAL = "observation"  # member of observations that come with a goal


def matches(path: Path) -> bool:
    """Whether `path` is a dataset's folder, its `data`, or the file in there."""
    file = _file(path)
    if file is None or not signatures.starts_with(file, signatures.HDF5):
        return False
    if file.name == MAIN_FILE:
        return True
    import h5py

    try:
        with h5py.File(file) as data:
            return "episode_0/actions" in data
    except OSError:
        return False


def read_arrays(
    path: str | Path, names: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads what was seen, done and earned; the last observation leads to no action.

    Args:
        path: A dataset's folder, its `data`, or the file in there.
        names: Of "state", observations without their goal; "action"; "reward".

    Returns:
        The arrays by name, each `(N, ...)`, and one past the last row of each episode,
        `(E,)`.

    Raises:
        BadInput: When the file is truncated or damaged, or lacks an array.
    """
    import h5py

    path = Path(path)
    for name in names:
        if name not in NAMES:
            raise BadInput(
                f"{path} is a dataset of Minari, which has no {name!r}; it has "
                f"{', '.join(NAMES)}"
            )
    columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
    lengths = []
    try:
        with h5py.File(_file(path)) as data:
            numbers = sorted(
                int(match[1]) for key in data if (match := _EPISODE.fullmatch(key))
            )
            for number in numbers:
                episode = data[f"episode_{number}"]
                lengths.append(len(episode["actions"]))
                for name, rows in columns.items():
                    rows.append(_rows(episode, NAMES[name], lengths[-1]))
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    except Exception as error:  # h5py raises whatever its library says
        raise damaged(path, error) from error
    if not lengths:
        raise BadInput(f"{path} has no episodes: it must hold 'episode_0' and so on")
    arrays = {name: np.concatenate(rows) for name, rows in columns.items()}
    return arrays, np.cumsum(lengths)


_EPISODE = re.compile(r"episode_(\d+)")


def _rows(episode: Any, name: str, length: int) -> np.ndarray:
    array = episode[name]
    if hasattr(array, "keys"):
        array = array[WITHOUT_GOAL]
    wanted = length + (name == "observations")
    if len(array) != wanted:
        raise BadInput(
            f"{name} of {episode.name[1:]} have {len(array)} rows, and must have "
            f"{wanted} with its {length} actions"
        )
    return np.asarray(array[:length])


def _file(path: Path) -> Path | None:
    """The file with the episodes; None where there is none."""
    if path.is_file():
        return path
    places = (path / "data" / MAIN_FILE, path / MAIN_FILE)
    return next((place for place in places if place.is_file()), None)
