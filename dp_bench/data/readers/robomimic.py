"""Files of robomimic: HDF5 with a group for each demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dp_bench.data import signatures
from dp_bench.data.hdf5 import DEMO_NAME, demo_number
from dp_bench.data.images import LazyImages, lazy_images, row_shape
from dp_bench.data.readers.rows import damaged
from dp_bench.errors import BadInput

ENV_ARGS, MODEL = "env_args", "model_file"  # attributes: of all, of a demonstration


def matches(path: Path) -> bool:
    """Whether `path` is HDF5 with episodes that say what environment they are of."""
    if not signatures.starts_with(path, signatures.HDF5):
        return False
    import h5py

    try:
        with h5py.File(path) as file:
            return "data" in file and ENV_ARGS in file["data"].attrs
    except (OSError, RuntimeError, KeyError):
        return False


def read_arrays(
    path: str | Path,
    names: tuple[str, ...],
    mask: str | None = None,
    images: tuple[str, ...] = (),
) -> tuple[dict[str, Any], np.ndarray]:
    """Reads rows and attributes; other datasets are not touched.

    Args:
        path: The file.
        names: Datasets of a demonstration, "actions" or "obs/object" say; or the
            attributes "model_file", texts of MuJoCo's XML, and "env_args", JSON.
        mask: Name of a list of demonstrations under `mask`; None for all there are.
        images: Datasets that are taken where there are such: they may be larger than
            memory, and stay in the file.

    Returns:
        The arrays by name, datasets `(N, ...)`, "model_file" `(E,)` with "" where there
        is none, "env_args" `()`, and images as `LazyImages`; and one past the last row
        of each episode, `(E,)`.

    Raises:
        BadInput: When the file is truncated or damaged, or lacks an array or the mask.
    """
    import h5py

    path = Path(path)
    try:
        with h5py.File(path) as file:
            episodes = [file["data"][name] for name in _chosen(file, mask)]
            shown = [n for n in images if any(n in episode for episode in episodes)]
            lengths = [_length(episode, (*names, *shown)) for episode in episodes]
            arrays: dict[str, np.ndarray | LazyImages] = {
                name: _read(file["data"], episodes, name) for name in names
            }
            arrays |= {name: lazy_images(path, episodes, name) for name in shown}
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    except Exception as error:  # h5py raises whatever its library says
        raise damaged(path, error) from error
    return arrays, np.cumsum(lengths)


def _chosen(file: Any, mask: str | None) -> list[str]:
    """Names of demonstrations, by their numbers."""
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


def _length(episode: Any, names: Sequence[str]) -> int:
    """Rows of an episode, which all of its datasets have."""
    which = episode.name.split("/")[-1]
    found = {}
    for name in ("actions", *names):
        if name in (ENV_ARGS, MODEL):
            continue
        if name not in episode:
            there = sorted(episode.get(name.rpartition("/")[0], episode))
            raise BadInput(
                f"{which} has no {name!r}; it has {', '.join(there) or 'nothing'}"
            )
        found[name] = len(episode[name])
    for name, length in found.items():
        if length != found["actions"] or not length:
            raise BadInput(
                f"{name} of {which} have {length} rows, and its actions "
                f"{found['actions']}: there must be as many, and at least one"
            )
    return found["actions"]


def _read(data: Any, episodes: Sequence[Any], name: str) -> np.ndarray:
    if name == ENV_ARGS:
        return np.array(_text(data, ENV_ARGS, "{}"))
    if name == MODEL:
        return np.array([_text(e, MODEL, "") for e in episodes], dtype=object)
    row_shape(episodes, name)  # refuses more than one
    return np.concatenate([episode[name][:] for episode in episodes])


def _text(group: Any, name: str, missing: str) -> str:
    """An attribute that is text, whichever way HDF5 has it."""
    found = group.attrs.get(name, missing)
    if isinstance(found, bytes):
        return found.decode()
    if not isinstance(found, str):
        kind = type(found).__name__
        raise BadInput(f"attribute {name!r} of {group.name} must be text, got {kind}")
    return str(found)
