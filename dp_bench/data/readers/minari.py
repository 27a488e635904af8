"""Reader of Minari data sets in HDF5.

The file `main_data.hdf5` has a group `episode_<number>` for each episode, with arrays
`observations`, `actions` and `rewards`. Observations have one row more than actions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dp_bench.data import signatures
from dp_bench.data.hdf5_files import opened
from dp_bench.data.readers.rows import checked_ends, read_hdf5
from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import h5py

MAIN_FILE = "main_data.hdf5"
NAMES = {"state": "observations", "action": "actions", "reward": "rewards"}
WITHOUT_GOAL = "observation"  # where observations also hold a goal
EPISODE = re.compile(r"episode_[0-9]{1,18}")


def matches(path: Path) -> bool:
    """Tells whether `path` is a data set: its folder, its `data`, or its file."""
    file = _file(path)
    if file is None or not signatures.starts_with(file, signatures.HDF5):
        return False
    if file.name == MAIN_FILE:
        return True
    try:
        with opened(file) as data:
            return "episode_0/actions" in data
    except (OSError, RuntimeError, KeyError):
        return False


def read_arrays(
    path: str | Path, names: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads states, actions and rewards, without the last observation of an episode.

    Args:
        path: The data set's folder, its subfolder `data`, or its file.
        names: Some of "state" (observations without goals), "action" and "reward".

    Returns:
        The arrays by name, each `(N, ...)`, and one past the last row of each episode,
        `(E,)`.

    Raises:
        BadInput: When the file is truncated or damaged, or an array is missing.
    """
    path = Path(path)
    file = _file(path)
    if file is None:
        raise BadInput(f"{path} holds no {MAIN_FILE}: name the folder of a data set")
    for name in names:
        if name not in NAMES:
            raise BadInput(
                f"{path} is a Minari data set, which has no {name!r}; it has "
                f"{', '.join(NAMES)}"
            )
    with read_hdf5(path, file) as data:
        keys = [key for key in data if EPISODE.fullmatch(key)]
        episodes = [data[key] for key in sorted(keys, key=_number)]
        lengths = [len(episode["actions"]) for episode in episodes]
        pairs = list(zip(episodes, lengths, strict=True))
        arrays = {
            name: _joined([_rows(*pair, NAMES[name]) for pair in pairs], NAMES[name])
            for name in (names if pairs else ())
        }
    if not lengths:
        raise BadInput(f"{path} has no episodes: it must hold 'episode_0' and so on")
    ends = np.cumsum(lengths)
    return arrays, checked_ends(path, "the ends of episodes", ends, arrays)


def _number(key: str) -> int:
    return int(key.removeprefix("episode_"))


def _joined(episodes: Sequence[np.ndarray], name: str) -> np.ndarray:
    """Puts the rows of all episodes end to end.

    Raises:
        BadInput: When their rows differ in shape.
    """
    shapes = {rows.shape[1:]: k for k, rows in enumerate(episodes)}
    if len(shapes) > 1:
        (one, k), (other, j) = list(shapes.items())[:2]
        raise BadInput(
            f"rows of {name} must have one shape, and have {one} in episode {k} and "
            f"{other} in episode {j}"
        )
    return np.concatenate(episodes)


def _rows(episode: h5py.Group, length: int, name: str) -> np.ndarray:
    """Reads the first `length` rows of an array, and checks how many it has."""
    array = episode[name]
    if hasattr(array, "keys"):
        array = array[WITHOUT_GOAL]
    expected = length + (name == "observations")
    if len(array) != expected:
        raise BadInput(
            f"{name} of {episode.name[1:]} have {len(array)} rows, and must have "
            f"{expected} with its {length} actions"
        )
    return np.asarray(array[:length])


def _file(path: Path) -> Path | None:
    """Returns the file with the episodes; None if it does not exist.

    Raises:
        BadInput: When a folder holds two.
    """
    if path.is_file():
        return path
    candidates = (path / "data" / MAIN_FILE, path / MAIN_FILE)
    files = [file for file in candidates if file.is_file()]
    if len(files) > 1:
        raise BadInput(
            f"{path} holds two Minari data sets, data/{MAIN_FILE} and {MAIN_FILE}: "
            f"name one of them"
        )
    return files[0] if files else None
