"""Reader of robomimic's HDF5 files.

The group `data` has a group `demo_<number>` for each episode, with arrays `actions`,
`states`, `obs/*` and so on, and attributes that describe the environment. The group
`mask` has lists of episodes by name. Recordings of robosuite itself have this layout,
too, but hold states and actions only, and another attribute describes the environment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dp_bench.data import signatures
from dp_bench.data.hdf5 import DEMO_NAME, demo_number
from dp_bench.data.hdf5_files import opened
from dp_bench.data.images import LazyImages, lazy_images, row_shape
from dp_bench.data.readers.rows import check_numbers, read_hdf5
from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import h5py

ENV_ARGS = "env_args"  # attribute of `data`: the arguments of the environment, JSON
ENV_INFO = "env_info"  # the same in recordings of robosuite itself
MODEL = "model_file"  # attribute of an episode: MuJoCo XML


def matches(path: Path) -> bool:
    """Tells whether `path` is HDF5 with an environment or episodes of robomimic."""
    if not signatures.starts_with(path, signatures.HDF5):
        return False
    import h5py

    try:
        with opened(path) as file:
            data = file.get("data")
            if not isinstance(data, h5py.Group):
                return False
            return ENV_ARGS in data.attrs or any(map(_is_episode, data.values()))
    except (OSError, RuntimeError, KeyError):
        return False


def read_arrays(
    path: str | Path,
    names: tuple[str, ...],
    mask: str | None = None,
    images: tuple[str, ...] = (),
) -> tuple[dict[str, np.ndarray | LazyImages], np.ndarray]:
    """Reads named arrays and attributes, and no others.

    Args:
        path: The file.
        names: Names of arrays ("actions", "obs/object", ...) or of the attributes
            "model_file" (MuJoCo XML) and "env_args" (JSON).
        mask: Name of a list of episodes; None for all episodes.
        images: Names of images to refer to if the file holds them. They stay in the
            file, as they may be larger than memory.

    Returns:
        The arrays by name: arrays `(N, ...)`, images as `LazyImages`, "model_file" as
        texts `(E,)`, "" for a missing one, "env_args" as a text `()`. And one past the
        last row of each episode, `(E,)`. From a recording of robosuite itself come
        states and actions alone.

    Raises:
        BadInput: When the file is truncated or damaged, or when an array or the mask is
            missing.
    """
    path = Path(path)
    with read_hdf5(path, path) as file:
        episodes = [file["data"][name] for name in _chosen(file, mask)]
        if _is_recording(file["data"]):
            names = tuple(n for n in names if n != "rewards" and "obs/" not in n)
            images = ()
        present = [n for n in images if any(n in e for e in episodes)]
        lengths = [_length(episode, (*names, *present)) for episode in episodes]
        arrays: dict[str, np.ndarray | LazyImages] = {
            name: _read(file["data"], episodes, name) for name in names
        }
        arrays |= {name: lazy_images(path, episodes, name) for name in present}
    return arrays, np.cumsum(lengths)


def _chosen(file: h5py.File, mask: str | None) -> list[str]:
    """Names of the groups of the episodes to read, ordered by number."""
    if mask is None:
        names = [name for name, item in file["data"].items() if _is_episode(item)]
        for name in names:
            if not DEMO_NAME.fullmatch(name):
                raise BadInput(
                    f"episode {name!r} of data is not called demo_<number>, so that it "
                    f"would be left out: rename the group, or list the episodes that "
                    f"you want in a mask"
                )
    else:
        masks = sorted(file["mask"]) if "mask" in file else []
        if mask not in masks:
            raise BadInput(f"no mask {mask!r}; it has {', '.join(masks) or 'none'}")
        names = [bytes(name).decode() for name in file["mask"][mask][:]]
    if not names:
        raise BadInput(f"no demonstrations{f' in mask {mask!r}' if mask else ''}")
    for name in names:
        if not DEMO_NAME.fullmatch(name) or name not in file["data"]:
            raise BadInput(f"mask {mask!r} names {name!r}, which is not in the file")
    if len(set(names)) < len(names):
        raise BadInput(f"mask {mask!r} names a demonstration twice")
    return sorted(names, key=demo_number)


def _length(episode: h5py.Group, names: Sequence[str]) -> int:
    """Number of steps of an episode; all of its arrays must have as many rows."""
    group = episode.name.split("/")[-1]
    lengths = {}
    for name in ("actions", *names):
        if name in (ENV_ARGS, MODEL):
            continue
        if name not in episode:
            present = sorted(episode.get(name.rpartition("/")[0], episode))
            raise BadInput(
                f"{group} has no {name!r}; it has {', '.join(present) or 'nothing'}"
            )
        lengths[name] = len(episode[name])
    if not lengths["actions"]:
        raise BadInput(
            f"{group} has no steps: delete the group, or list the other episodes in a "
            f"mask"
        )
    for name, length in lengths.items():
        if length != lengths["actions"]:
            raise BadInput(
                f"{name} of {group} have {length} rows, and its actions "
                f"{lengths['actions']}: all must have the same number"
            )
    return lengths["actions"]


def _read(data: h5py.Group, episodes: Sequence[h5py.Group], name: str) -> np.ndarray:
    if name == ENV_ARGS:
        if _is_recording(data):
            return np.array(_env_args_of_recording(data))
        if ENV_ARGS not in data.attrs:
            raise BadInput(
                f"data has no attribute {ENV_ARGS!r}, which says what the actions "
                f"mean: write it as JSON with the env_name and env_kwargs of the "
                f"recorded environment"
            )
        return np.array(_text(data, ENV_ARGS, ""))
    if name == MODEL:
        return np.array([_text(e, MODEL, "") for e in episodes], dtype=object)
    row_shape(episodes, name)  # refuses more than one
    return np.concatenate([_finite(episode, name) for episode in episodes])


def _finite(episode: h5py.Group, name: str) -> np.ndarray:
    """Reads an array of one episode, and names the row that is not finite."""
    rows, group = np.asarray(episode[name][:]), episode.name.split("/")[-1]
    check_numbers(rows, f"{name} of {group}")
    if rows.dtype.kind == "f":
        bad = ~np.isfinite(rows.reshape(len(rows), -1)).all(axis=1)
        if bad.any():
            raise BadInput(
                f"{name} must be finite, and row {int(bad.argmax())} of {group} is "
                f"not: repair the row, or list the other episodes in a mask"
            )
    return rows


def _is_episode(item: object) -> bool:
    """Tells whether an item of `data` is a group with actions."""
    import h5py

    return isinstance(item, h5py.Group) and "actions" in item


def _is_recording(data: h5py.Group) -> bool:
    """Tells whether robosuite itself recorded the file."""
    return ENV_INFO in data.attrs and ENV_ARGS not in data.attrs


def _env_args_of_recording(data: h5py.Group) -> str:
    """Writes what robosuite's attributes say as robomimic's `env_args`, JSON."""
    try:
        kwargs = json.loads(_text(data, ENV_INFO, ""))
        name = kwargs.pop("env_name", None) or _text(data, "env", "")
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise BadInput(f"its attribute {ENV_INFO} is no JSON of robosuite") from error
    version = _text(data, "repository_version", "")
    return json.dumps(
        {"env_name": name, "env_version": version, "type": 1, "env_kwargs": kwargs}
    )


def _text(group: h5py.Group, name: str, missing: str) -> str:
    """Reads an attribute that is text, which HDF5 may store as bytes."""
    text = group.attrs.get(name, missing)
    if isinstance(text, bytes):
        return text.decode()
    if not isinstance(text, str):
        kind = type(text).__name__
        raise BadInput(f"attribute {name!r} of {group.name} must be text, got {kind}")
    return str(text)
