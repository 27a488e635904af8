"""The HDF5 file of demonstrations, in robomimic's layout."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dp_bench import references, registry
from dp_bench.data import signatures
from dp_bench.data.deferred_errors import DeferredErrorFile
from dp_bench.data.demos import ACTIONS_AS, Demos
from dp_bench.data.hdf5_files import (
    Unusable,
    check_datasets,
    opened,
    opened_unchecked,
)
from dp_bench.data.images import LazyImages, is_images, lazy_images
from dp_bench.errors import BadInput
from dp_bench.task import Layout, Task
from dp_bench.util import settings
from dp_bench.util.files import atomic_write
from dp_bench.util.json_text import parsed_object

if TYPE_CHECKING:
    import h5py

    from dp_bench.util.types import JsonObject

FORMAT, FORMAT_VERSION = "dp_bench.demos", 1  # every file names them
NOTE = "note_"  # precedes the name of a note among the attributes of an episode
DEMO_NAME = re.compile(r"demo_([0-9]{1,18})")
GYM_TYPE = 2  # robomimic's number for a Gymnasium environment
REMEDY = "get or make it again: `dp-bench demos get TASK` does, once it is deleted"


def save(demos: Demos, path: str | Path) -> None:
    """Writes demonstrations to an HDF5 file in robomimic's layout, atomically.

    Each episode is a group `data/demo_k` with `actions, states, rewards, dones, obs/*,
    next_obs/*` and the attribute `model_file`. Further attributes let `load` check
    that the content is what `save` wrote. Images that lie in a frames file
    (`Demos.apart`) stay there.

    Raises:
        BadInput: When the file cannot be written: no space, no permission, ...
    """
    import h5py

    demos = demos.without_apart()
    layout = layout_of(registry.task(demos.task), demos)
    with (
        atomic_write(Path(path)) as aside,
        contextlib.closing(DeferredErrorFile(aside)) as target,
    ):
        with h5py.File(target, "w") as file:
            _write(file.create_group("data"), demos, layout, target)
        target.check()


def load(path: str | Path) -> Demos:
    """Reads a file that `save` wrote, and checks its content; images stay in the file.

    Raises:
        BadInput: When the file is missing, truncated or damaged, or when another
            program or another version wrote it.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path} is not a file: `dp-bench demos get TASK` makes one")
    if not is_ours(path):
        raise BadInput(
            f"{path} is not a file of demonstrations that dp-bench wrote: import it "
            f"with `dp-bench demos get TASK --from PATH`"
        )
    try:
        with opened(path) as file:
            demos = _read(file["data"], path)
            expected = str(file["data"].attrs["checksum"])
        intact = demos.checksum() == expected
    except Unusable:
        raise
    except BadInput as error:
        raise BadInput(f"{path} cannot be used, {error}: {REMEDY}") from error
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInput(
            f"{path} is truncated or damaged ({reason}): {REMEDY}"
        ) from error
    if not intact:
        raise BadInput(f"{path} holds other numbers than were written: {REMEDY}")
    return demos


def is_ours(path: Path) -> bool:
    """Tells whether `save` wrote this file.

    A damaged HDF5 file counts as ours, so that `load` explains the damage.
    """
    if not signatures.starts_with(path, signatures.HDF5):
        return False
    import h5py

    try:
        with opened_unchecked(path) as file:
            if not isinstance(file.get("data", getlink=True), h5py.HardLink):
                check_datasets(path, file)  # a link could lead into another file
            return "data" in file and file["data"].attrs.get("format") == FORMAT
    except (OSError, RuntimeError, KeyError):
        return True


def layout_of(task: Task, demos: Demos) -> Layout:
    """Returns how the file of these demonstrations is laid out."""
    if task.layout is None:
        return Layout(
            {
                "env_name": task.env_id,
                "type": GYM_TYPE,
                "env_kwargs": demos.env_kwargs,
            }
        )
    layout: Layout = references.load(task.layout)(demos)
    return layout


def demo_number(name: str) -> int:
    """Returns the number of an episode from the name of its group, `demo_<number>`.

    Raises:
        ValueError: For another name.
    """
    match = DEMO_NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"group {name!r} is not called demo_<number>")
    return int(match[1])


def _write(
    data: h5py.Group, demos: Demos, layout: Layout, target: DeferredErrorFile
) -> None:
    keys = {kind: list(layout.keys.get(kind, [kind])) for kind in demos.obs}
    data.attrs["total"] = len(demos.actions)
    data.attrs["env_args"] = json.dumps(dict(layout.env_args))
    data.attrs["env_kwargs"] = json.dumps(demos.env_kwargs)
    data.attrs["obs_keys"] = json.dumps(keys)
    data.attrs["format"] = FORMAT
    data.attrs["format_version"] = FORMAT_VERSION
    data.attrs["task"] = demos.task
    data.attrs["source"] = demos.source
    data.attrs["digest"] = demos.digest
    data.attrs["checksum"] = demos.checksum()
    for k in range(demos.num_episodes):
        _write_episode(data.create_group(f"demo_{k}"), demos, k, layout)
        target.check()


def _write_episode(group: h5py.Group, demos: Demos, k: int, layout: Layout) -> None:
    rows = demos.episode(k)
    group.attrs["num_samples"] = rows.stop - rows.start
    group.attrs["score"] = demos.scores[k]
    if demos.models:
        group.attrs["model_file"] = demos.models[k]
    for name, note in demos.notes.items():
        group.attrs[f"{NOTE}{name}"] = note[k]
    group["dones"] = np.arange(rows.start, rows.stop) == rows.stop - 1
    arrays = {name: array[rows] for name, array in demos.step_arrays().items()}
    for kind, last in demos.last_obs.items():
        later = demos.obs[kind][rows.start + 1 : rows.stop]
        arrays[f"next_obs/{kind}"] = np.concatenate([later, last[k : k + 1]])
    for name, array in arrays.items():
        compression = "gzip" if is_images(array) else None
        for dataset, part in _by_dataset(name, array, layout).items():
            group.create_dataset(dataset, data=part, compression=compression)


def _by_dataset(
    name: str, array: np.ndarray, layout: Layout
) -> Mapping[str, np.ndarray]:
    """Splits an observation into the datasets that the layout names."""
    folder, _, kind = name.rpartition("/")
    widths = layout.keys.get(kind) if folder else None
    if not widths:
        return {name: array}
    ends = np.cumsum(list(widths.values()))
    names = [f"{folder}/{key}" for key in widths]
    return dict(zip(names, np.split(array, ends[:-1], axis=1), strict=True))


def _read(data: h5py.Group, path: Path) -> Demos:
    """Puts the groups `demo_k` end to end, by number: demo_2 comes before demo_10."""
    version = data.attrs["format_version"]
    if version != FORMAT_VERSION:
        raise BadInput(
            f"format version {version} is not {FORMAT_VERSION}; {settings.UPDATE}"
        )
    episodes = [data[name] for name in sorted(data, key=demo_number)]
    first = episodes[0]
    kinds, env_kwargs = _kinds_and_env_kwargs(data, first)

    def rows(name: str) -> np.ndarray:
        return np.concatenate([episode[name][:] for episode in episodes])

    return Demos(
        task=str(data.attrs["task"]),
        source=str(data.attrs["source"]),
        obs={kind: _obs(path, episodes, names) for kind, names in kinds.items()},
        actions=rows("actions"),
        states=rows("states"),
        rewards=rows("rewards"),
        scores=np.array([episode.attrs["score"] for episode in episodes]),
        episode_ends=np.cumsum([len(episode["actions"]) for episode in episodes]),
        env_kwargs=env_kwargs,
        notes=_notes(episodes),
        actions_as={
            name.removeprefix(ACTIONS_AS): rows(name)
            for name in first
            if name.startswith(ACTIONS_AS)
        },
        last_obs=_last_obs(episodes, kinds),
        models=tuple(str(episode.attrs["model_file"]) for episode in episodes)
        if "model_file" in first.attrs
        else (),
    )


def _kinds_and_env_kwargs(
    data: h5py.Group, first: h5py.Group
) -> tuple[dict[str, list[str]], JsonObject]:
    """Datasets by kind of observation, and arguments of the environment."""
    if "obs_keys" in data.attrs:
        kinds = {
            kind: list(map(str, names))
            for kind, names in parsed_object(data.attrs["obs_keys"]).items()
        }
        return kinds, parsed_object(data.attrs["env_kwargs"])
    # the first files had one dataset for each kind, and no attribute for either
    kinds = {name: [name] for name in first["obs"]}
    return kinds, parsed_object(
        json.dumps(parsed_object(data.attrs["env_args"])["env_kwargs"])
    )


def _obs(
    path: Path, episodes: Sequence[h5py.Group], names: Sequence[str]
) -> np.ndarray | LazyImages:
    """One kind of observation, of all episodes."""
    if len(names) == 1 and is_images(episodes[0]["obs"][names[0]]):
        return lazy_images(path, episodes, f"obs/{names[0]}")
    return np.concatenate([_joined(episode["obs"], names) for episode in episodes])


def _last_obs(
    episodes: Sequence[h5py.Group], kinds: Mapping[str, Sequence[str]]
) -> dict[str, np.ndarray]:
    if "next_obs" not in episodes[0]:
        return {}
    return {
        kind: np.array(
            [_joined(episode["next_obs"], names)[-1] for episode in episodes]
        )
        for kind, names in kinds.items()
    }


def _joined(group: h5py.Group, names: Sequence[str]) -> np.ndarray:
    """Joins the datasets of one kind of observation side by side."""
    parts = [group[name][:] for name in names]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _notes(episodes: Sequence[h5py.Group]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(NOTE): np.array([episode.attrs[name] for episode in episodes])
        for name in episodes[0].attrs
        if name.startswith(NOTE)
    }
