"""Files of robomimic: HDF5 with a group for each demonstration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dp_bench.demos import HDF5_SIGNATURE, starts_with
from dp_bench.errors import BadInput
from dp_bench.readers.rows import damaged

ENV_ARGS, MODEL = "env_args", "model_file"  # attributes: of all, of a demonstration


def matches(path: Path) -> bool:
    """Whether `path` is HDF5 with episodes that say what environment they are of."""
    if not starts_with(path, HDF5_SIGNATURE):
        return False
    import h5py

    try:
        with h5py.File(path) as file:
            return "data" in file and ENV_ARGS in file["data"].attrs
    except OSError:
        return False


def read_arrays(
    path: str | Path, names: tuple[str, ...], mask: str | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads rows and attributes; pictures and other datasets are not touched.

    Args:
        path: The file.
        names: Datasets of a demonstration, "actions" or "obs/object" say; or the
            attributes "model_file", texts of MuJoCo's XML, and "env_args", JSON.
        mask: Name of a list of demonstrations under `mask`; None for all there are.

    Returns:
        The arrays by name, datasets `(N, ...)`, "model_file" `(E,)` with "" where there
        is none, and "env_args" `()`; and one past the last row of each episode, `(E,)`.

    Raises:
        BadInput: When the file is truncated or damaged, or lacks an array or the mask.
    """
    import h5py

    path = Path(path)
    try:
        with h5py.File(path) as file:
            episodes = [file["data"][name] for name in _chosen(file, mask)]
            arrays = {name: _read(file["data"], episodes, name) for name in names}
            lengths = [len(episode["actions"]) for episode in episodes]
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    except Exception as error:  # h5py raises whatever its library says
        raise damaged(path, error) from error
    ends = np.cumsum(lengths)
    for name, array in arrays.items():
        if name not in (ENV_ARGS, MODEL) and len(array) != ends[-1]:
            raise BadInput(
                f"{path}: {name} have {len(array)} rows in all, and actions {ends[-1]}"
            )
    return arrays, ends


_DEMO = re.compile(r"demo_(\d+)")


def _chosen(file: Any, mask: str | None) -> list[str]:
    """Names of demonstrations, by their numbers."""
    if mask is None:
        names = [name for name in file["data"] if _DEMO.fullmatch(name)]
    else:
        masks = sorted(file["mask"]) if "mask" in file else []
        if mask not in masks:
            raise BadInput(f"no mask {mask!r}; it has {', '.join(masks) or 'none'}")
        names = [bytes(name).decode() for name in file["mask"][mask][:]]
    if not names:
        raise BadInput(f"no demonstrations{f' in mask {mask!r}' if mask else ''}")
    for name in names:
        if not _DEMO.fullmatch(name) or name not in file["data"]:
            raise BadInput(f"mask {mask!r} names {name!r}, which is not in the file")
    return sorted(names, key=lambda name: int(name.split("_")[1]))


def _read(data: Any, episodes: Sequence[Any], name: str) -> np.ndarray:
    if name == ENV_ARGS:
        return np.array(data.attrs.get(ENV_ARGS, "{}"))
    if name == MODEL:
        return np.array([e.attrs.get(MODEL, "") for e in episodes], dtype=object)
    for episode in episodes:
        if name not in episode:
            group = name.rpartition("/")[0]
            there = sorted(episode.get(group, episode))
            raise BadInput(
                f"{episode.name.split('/')[-1]} has no {name!r}; it has "
                f"{', '.join(there) or 'nothing'}"
            )
    return np.concatenate([episode[name][:] for episode in episodes])
