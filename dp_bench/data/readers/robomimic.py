"""Reader of robomimic's HDF5 files.

The group `data` has a group `demo_<number>` for each episode, with arrays `actions`,
`states`, `obs/*` and so on, and attributes that describe the environment. The group
`mask` has lists of episodes by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dp_bench.data import signatures
from dp_bench.data.hdf5 import DEMO_NAME, demo_number
from dp_bench.data.hdf5_files import Unusable, opened
from dp_bench.data.images import LazyImages, lazy_images, row_shape
from dp_bench.data.readers.rows import damaged
from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import h5py

ENV_ARGS = "env_args"  # attribute of `data`: the arguments of the environment, JSON
MODEL = "model_file"  # attribute of an episode: MuJoCo XML


def matches(path: Path) -> bool:
    """Tells whether `path` is HDF5 that describes the environment of its episodes."""
    if not signatures.starts_with(path, signatures.HDF5):
        return False
    try:
        with opened(path) as file:
            return "data" in file and ENV_ARGS in file["data"].attrs
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
        last row of each episode, `(E,)`.

    Raises:
        BadInput: When the file is truncated or damaged, or when an array or the mask is
            missing.
    """
    path = Path(path)
    try:
        with opened(path) as file:
            episodes = [file["data"][name] for name in _chosen(file, mask)]
            present = [n for n in images if any(n in e for e in episodes)]
            lengths = [_length(episode, (*names, *present)) for episode in episodes]
            arrays: dict[str, np.ndarray | LazyImages] = {
                name: _read(file["data"], episodes, name) for name in names
            }
            arrays |= {name: lazy_images(path, episodes, name) for name in present}
    except Unusable:
        raise
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    except Exception as error:  # h5py raises errors of many types
        raise damaged(path, error) from error
    return arrays, np.cumsum(lengths)


def _chosen(file: h5py.File, mask: str | None) -> list[str]:
    """Names of the groups of the episodes to read, ordered by number."""
    if mask is None:
        names = [name for name in file["data"] if DEMO_NAME.fullmatch(name)]
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
    for name, length in lengths.items():
        if length != lengths["actions"] or not length:
            raise BadInput(
                f"{name} of {group} have {length} rows, and its actions "
                f"{lengths['actions']}: all must have the same number, at least 1"
            )
    return lengths["actions"]


def _read(data: h5py.Group, episodes: Sequence[h5py.Group], name: str) -> np.ndarray:
    if name == ENV_ARGS:
        return np.array(_text(data, ENV_ARGS, "{}"))
    if name == MODEL:
        return np.array([_text(e, MODEL, "") for e in episodes], dtype=object)
    row_shape(episodes, name)  # refuses more than one
    return np.concatenate([episode[name][:] for episode in episodes])


def _text(group: h5py.Group, name: str, missing: str) -> str:
    """Reads an attribute that is text, which HDF5 may store as bytes."""
    text = group.attrs.get(name, missing)
    if isinstance(text, bytes):
        return text.decode()
    if not isinstance(text, str):
        kind = type(text).__name__
        raise BadInput(f"attribute {name!r} of {group.name} must be text, got {kind}")
    return str(text)
