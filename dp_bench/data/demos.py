"""Demonstrations: the one form, in memory but for pictures, and its HDF5 file."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dp_bench.data.images import Pictures, is_pictures, of_file
from dp_bench.errors import BadInput
from dp_bench.util.files import Lasting, atomic_write

if TYPE_CHECKING:
    from dp_bench.task import Layout

FORMAT, FORMAT_VERSION = "dp_bench.demos", 1  # the name that files carry
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
NOTE = "note_"  # before the name of a note among a demonstration's attributes
DEMO_NAME = re.compile(r"demo_(\d+)")
AS = "actions_as_"  # before the name of a control mode


@dataclass(frozen=True, eq=False)
class Demos:
    """Demonstrations of one task, all episodes end to end.

    Row i of `actions` was executed from row i of `obs` and `states`.

    Attributes:
        task: Name of the task.
        source: Which demonstrations of the task: "human", "scripted", ...
        obs: Observations by kind, each `(N, ...)`; pictures that were read from a file
            stay there until they are looked at.
        actions: `(N, Da)`, float32, in the units of the environment.
        states: What `reset(options={"state": ...})` takes, `(N, S)`, float64.
        rewards: Reward of each step, `(N,)`, float32.
        scores: Score in [0, 1] that each episode reached when recorded, `(E,)`.
        episode_ends: One past the last row of each episode, `(E,)`, int64, increasing.
        env_kwargs: Arguments of the environment they were recorded in.
        notes: Numbers about each episode by name, `(E,)`: the seed of its start, say,
            or what its demonstrator chose to do.
        actions_as: The same actions as other control modes have them, by mode, each
            `(N, ...)`, where they were recorded, too.
        last_obs: What was seen after the last action of each episode, by kind, each
            `(E, ...)`, where it was recorded.
        models: MuJoCo's XML of each episode, E texts, where it belongs to a start.

    Raises:
        BadInput: When the arrays do not fit together, or hold a number that is not
            finite.
    """

    task: str
    source: str
    obs: Mapping[str, np.ndarray | Pictures]
    actions: np.ndarray
    states: np.ndarray
    rewards: np.ndarray
    scores: np.ndarray
    episode_ends: np.ndarray
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, np.ndarray] = field(default_factory=dict)
    actions_as: dict[str, np.ndarray] = field(default_factory=dict)
    last_obs: dict[str, np.ndarray] = field(default_factory=dict)
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, dtype, ndim in (
            ("actions", np.float32, 2),
            ("states", np.float64, 2),
            ("rewards", np.float32, 1),
            ("scores", np.float64, 1),
            ("episode_ends", np.int64, 1),
        ):
            array = np.asarray(getattr(self, name))
            if array.dtype.kind not in "fiub" or array.ndim != ndim:
                self._refuse(
                    f"{name} must be numbers with {ndim} axes, "
                    f"got {array.dtype} {array.shape}"
                )
            # Out of float32's range becomes infinite, and is refused below by place.
            with np.errstate(over="ignore"):
                object.__setattr__(self, name, array.astype(dtype, copy=False))
        for name in ("obs", "notes", "actions_as", "last_obs"):
            arrays = {
                k: array if isinstance(array, Pictures) else np.asarray(array)
                for k, array in getattr(self, name).items()
            }
            object.__setattr__(self, name, arrays)
        self._check_rows()
        self._check_finite()

    def _check_rows(self) -> None:
        num_rows, ends = len(self.actions), self.episode_ends
        if not len(ends):
            self._refuse("there must be at least one episode, and there is none")
        if ends[0] < 1 or (np.diff(ends) < 1).any() or ends[-1] != num_rows:
            self._refuse(
                f"episode_ends must increase from above 0 to the {num_rows} rows of "
                f"actions, got {_shortened(ends)}"
            )
        if len(self.scores) != len(ends):
            self._refuse(f"{len(ends)} episodes have {len(self.scores)} scores")
        if self.models and len(self.models) != len(ends):
            self._refuse(f"{len(ends)} episodes have {len(self.models)} models")
        if self.last_obs and set(self.last_obs) != set(self.obs):
            self._refuse(
                f"last observations {', '.join(self.last_obs)} must be of the same "
                f"kinds as observations {', '.join(self.obs)}"
            )
        for kind, array in self.last_obs.items():
            wanted = (len(ends), *self.obs[kind].shape[1:])
            if array.shape != wanted:
                self._refuse(
                    f"last observations {kind!r} have shape {array.shape}, and must "
                    f"have {wanted}"
                )
        for name, array in self.notes.items():
            if array.shape != ends.shape or array.dtype.kind not in "fiub":
                self._refuse(
                    f"note {name!r} must be a number for each of {len(ends)} episodes, "
                    f"got {array.dtype} {array.shape}"
                )
        if not self.obs:
            self._refuse("there must be at least one kind of observation")
        for name, column in self._step_arrays().items():
            if column.dtype.kind not in "fiub" or column.ndim < 1:
                self._refuse(f"{name} must be numbers, got {column.dtype}")
            if len(column) != num_rows:
                self._refuse(f"{name} has {len(column)} rows, and actions {num_rows}")

    def _check_finite(self) -> None:
        for name, array in self._step_arrays().items():
            if array.dtype.kind != "f" or np.isfinite(array).all():
                continue
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            k = int(np.searchsorted(self.episode_ends, row, side="right"))
            self._refuse(
                f"{name} must be finite, and is not in episode {k} at step "
                f"{row - self.episode(k).start}"
            )
        # `not >=` rather than `<`, so that NaN is refused too.
        bad = np.flatnonzero(~((self.scores >= 0) & (self.scores <= 1)))
        if len(bad):
            k = int(bad[0])
            self._refuse(
                f"the score of episode {k} must be in [0, 1], got {self.scores[k]}"
            )

    def _refuse(self, fault: str) -> None:
        raise BadInput(f"demonstrations {self.task}/{self.source}: {fault}")

    def _step_arrays(self) -> dict[str, np.ndarray | Pictures]:
        """The arrays with one row per step, by name."""
        return {
            "actions": self.actions,
            "states": self.states,
            "rewards": self.rewards,
            **{f"obs/{kind}": array for kind, array in self.obs.items()},
            **{f"{AS}{mode}": array for mode, array in self.actions_as.items()},
        }

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of what was recorded: task, episode ends, actions, states, obs.

        Rewards, scores and actions of other control modes may be computed on import;
        they are left out so that another processor's rounding does not make the same
        demonstrations look different.
        """
        arrays = self._step_arrays() | {"episode_ends": self.episode_ends}
        for name in ("rewards", *(f"{AS}{mode}" for mode in self.actions_as)):
            del arrays[name]
        return _sha256([self.task], arrays)

    @property
    def num_episodes(self) -> int:
        """E."""
        return len(self.episode_ends)

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each episode, `(E,)`."""
        return np.diff(self.episode_ends, prepend=0)

    def episode(self, k: int) -> slice:
        """The rows of episode `k`."""
        if not 0 <= k < self.num_episodes:
            self._refuse(f"no episode {k}; there are 0..{self.num_episodes - 1}")
        return slice(
            int(self.episode_ends[k - 1]) if k else 0, int(self.episode_ends[k])
        )

    def select(self, episodes: Sequence[int] | np.ndarray) -> Demos:
        """The named episodes only, in the given order."""
        chosen = np.asarray(episodes, np.int64)
        spans = [self.episode(int(k)) for k in chosen]
        rows = np.concatenate(
            [np.empty(0, np.int64), *(np.arange(s.start, s.stop) for s in spans)]
        )
        return Demos(
            task=self.task,
            source=self.source,
            obs={
                kind: array.select(chosen)
                if isinstance(array, Pictures)
                else array[rows]
                for kind, array in self.obs.items()
            },
            actions=self.actions[rows],
            states=self.states[rows],
            rewards=self.rewards[rows],
            scores=self.scores[chosen],
            episode_ends=np.cumsum(self.lengths[chosen]),
            env_kwargs=self.env_kwargs,
            notes={name: array[chosen] for name, array in self.notes.items()},
            actions_as={mode: array[rows] for mode, array in self.actions_as.items()},
            last_obs={kind: array[chosen] for kind, array in self.last_obs.items()},
            models=tuple(self.models[k] for k in chosen) if self.models else (),
        )

    def _checksum(self) -> str:
        """SHA-256 of everything that a file holds."""
        arrays = self._step_arrays() | {
            "episode_ends": self.episode_ends,
            "scores": self.scores,
            **{f"notes/{name}": array for name, array in self.notes.items()},
            **{f"last/{kind}": array for kind, array in self.last_obs.items()},
        }
        kwargs = json.dumps(self.env_kwargs, sort_keys=True)
        return _sha256([self.task, self.source, kwargs, *self.models], arrays)


class Demonstration(NamedTuple):
    """One episode of L steps, as a script played it.

    Attributes:
        obs: Observations by kind, each `(L, ...)`.
        actions: `(L, Da)`.
        states: `(L, S)`.
        rewards: `(L,)`.
        score: In [0, 1].
        notes: Numbers about the episode by name.
        actions_as: The actions as other control modes have them, by mode, `(L, ...)`.
        last_obs: What was seen after the last action, by kind.
        model: MuJoCo's XML, where it belongs to the start.
    """

    obs: dict[str, np.ndarray]
    actions: np.ndarray
    states: np.ndarray
    rewards: np.ndarray
    score: float
    notes: dict[str, float]
    actions_as: Mapping[str, np.ndarray] = {}
    last_obs: Mapping[str, np.ndarray] = {}
    model: str = ""


def joined(
    task: str,
    source: str,
    episodes: Sequence[Demonstration],
    env_kwargs: dict[str, Any],
) -> Demos:
    """Puts episodes, of which there is at least one, end to end."""

    def each(name: str) -> np.ndarray:
        return np.concatenate([getattr(episode, name) for episode in episodes])

    first = episodes[0]
    return Demos(
        task=task,
        source=source,
        obs={k: np.concatenate([e.obs[k] for e in episodes]) for k in first.obs},
        actions=each("actions"),
        states=each("states"),
        rewards=each("rewards"),
        scores=np.array([e.score for e in episodes]),
        episode_ends=np.cumsum([len(e.actions) for e in episodes]),
        env_kwargs=env_kwargs,
        notes={k: np.array([e.notes[k] for e in episodes]) for k in first.notes},
        actions_as={
            mode: np.concatenate([e.actions_as[mode] for e in episodes])
            for mode in first.actions_as
        },
        last_obs={
            kind: np.array([e.last_obs[kind] for e in episodes])
            for kind in first.last_obs
        },
        models=tuple(e.model for e in episodes) if first.model else (),
    )


@dataclass(frozen=True, eq=False)
class Split:
    """Which episodes train and which validate.

    Attributes:
        train: Episode numbers, `(E1,)`, int64, increasing.
        validation: Episode numbers, `(E2,)`, int64, increasing; none in `train`.
    """

    train: np.ndarray
    validation: np.ndarray

    @property
    def digest(self) -> str:
        """Short hash of both lists."""
        lists = json.dumps([self.train.tolist(), self.validation.tolist()])
        return hashlib.sha256(lists.encode()).hexdigest()[:12]


def split(
    demos: Demos,
    rng: np.random.Generator,
    *,
    validation_share: float,
    train_episodes: int | None = None,
) -> Split:
    """Holds episodes back for validation, and trains on the first of the rest.

    Args:
        demos: E episodes.
        rng: Draws the validation episodes.
        validation_share: Share of the episodes held back, in [0, 1): rounded, but at
            least one episode when above 0, and never all of them.
        train_episodes: How many of the rest train, in recorded order; all of them when
            None or when there are fewer.

    Raises:
        BadInput: When a share or count is out of range.
    """
    if not 0 <= validation_share < 1:
        raise BadInput(f"validation_share must be in [0, 1), got {validation_share}")
    if train_episodes is not None and train_episodes < 1:
        raise BadInput(f"train_episodes must be at least 1, got {train_episodes}")
    num_validation = 0
    if validation_share > 0:
        wanted = max(round(demos.num_episodes * validation_share), 1)
        num_validation = min(wanted, demos.num_episodes - 1)
    order = rng.permutation(demos.num_episodes).astype(np.int64)
    validation = np.sort(order[:num_validation])
    train = np.sort(order[num_validation:])[:train_episodes]
    return Split(train, validation)


def save(demos: Demos, path: str | Path) -> None:
    """Writes demonstrations as HDF5 in robomimic's layout, whole or not at all.

    `data/demo_k/{actions,states,rewards,dones,obs/*,next_obs/*}`, the attribute
    `model_file`, and attributes of our own that let `load` tell whether the file is
    what was written.

    Raises:
        BadInput: When the file cannot be written: no space, no permission, ...
    """
    import h5py

    from dp_bench import registry

    layout = registry.task(demos.task).layout_of(demos)
    with (
        atomic_write(Path(path)) as aside,
        contextlib.closing(Lasting(aside)) as lasting,
    ):
        with h5py.File(lasting, "w") as file:
            _write(file.create_group("data"), demos, layout, lasting)
        lasting.check()


def _write(data: Any, demos: Demos, layout: Layout, lasting: Lasting) -> None:
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
    data.attrs["checksum"] = demos._checksum()
    for k in range(demos.num_episodes):
        _write_episode(data.create_group(f"demo_{k}"), demos, k, layout)
        lasting.check()


def _write_episode(demo: Any, demos: Demos, k: int, layout: Layout) -> None:
    rows = demos.episode(k)
    demo.attrs["num_samples"] = rows.stop - rows.start
    demo.attrs["score"] = demos.scores[k]
    if demos.models:
        demo.attrs["model_file"] = demos.models[k]
    for name, array in demos.notes.items():
        demo.attrs[f"{NOTE}{name}"] = array[k]
    demo["dones"] = np.arange(rows.start, rows.stop) == rows.stop - 1
    columns = {name: array[rows] for name, array in demos._step_arrays().items()}
    for kind, last in demos.last_obs.items():
        later = demos.obs[kind][rows.start + 1 : rows.stop]
        columns[f"next_obs/{kind}"] = np.concatenate([later, last[k : k + 1]])
    for name, array in columns.items():
        group, _, kind = name.rpartition("/")
        split = layout.keys.get(kind) if group else None
        parts = {name: array}
        if split:
            ends = np.cumsum(list(split.values()))
            names = [f"{group}/{key}" for key in split]
            parts = dict(zip(names, np.split(array, ends[:-1], axis=1), strict=True))
        for part, numbers in parts.items():
            compression = "gzip" if is_pictures(array) else None
            demo.create_dataset(part, data=numbers, compression=compression)


def load(path: str | Path) -> Demos:
    """Reads a file that `save` wrote, and checks that it still is what was written.

    Raises:
        BadInput: When the file is missing, truncated, damaged, of another program or
            of another version.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path} is not a file: `dp-bench demos TASK` makes one")
    if not is_ours(path):
        raise BadInput(
            f"{path} is not a file of demonstrations that dp-bench wrote: import it "
            f"with `dp-bench demos TASK --from PATH`"
        )
    remedy = "get or make it again: `dp-bench demos TASK` does, once it is deleted"
    try:
        with h5py.File(path, "r") as file:
            demos, checksum = _read(file["data"], path)
        intact = demos._checksum() == checksum
    except BadInput as error:
        raise BadInput(f"{path} cannot be used, {error}: {remedy}") from error
    except Exception as error:
        raise BadInput(
            f"{path} is truncated or damaged ({_one_line(error)}): {remedy}"
        ) from error
    if not intact:
        raise BadInput(f"{path} holds other numbers than were written: {remedy}")
    return demos


def is_ours(path: Path) -> bool:
    """Whether `save` wrote this file; a damaged HDF5 file gets the benefit of doubt."""
    import h5py

    if not starts_with(path, HDF5_SIGNATURE):
        return False
    try:
        with h5py.File(path, "r") as file:
            return "data" in file and file["data"].attrs.get("format") == FORMAT
    except (OSError, RuntimeError, KeyError):
        return True


def starts_with(path: Path, signature: bytes) -> bool:
    """Whether `path` is a file with these first bytes.

    Raises:
        BadInput: When the file cannot be read.
    """
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(signature)) == signature
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error


def _read(data: Any, path: Path) -> tuple[Demos, str]:
    """Puts the groups `demo_k` end to end, by number: demo_2 comes before demo_10.

    Pictures stay where they are.

    Returns:
        The demonstrations, and the checksum that they had when written.
    """
    version = data.attrs["format_version"]
    if version != FORMAT_VERSION:
        raise BadInput(f"format version {version} is not {FORMAT_VERSION}")
    episodes = [data[name] for name in sorted(data, key=demo_number)]
    first = episodes[0]
    if "obs_keys" in data.attrs:
        kinds = json.loads(data.attrs["obs_keys"])
        env_kwargs = json.loads(data.attrs["env_kwargs"])
    else:  # as files were at first
        kinds = {name: [name] for name in first["obs"]}
        env_kwargs = json.loads(data.attrs["env_args"])["env_kwargs"]
    modes = [name.removeprefix(AS) for name in first if name.startswith(AS)]

    def rows(name: str) -> np.ndarray:
        return np.concatenate([episode[name][:] for episode in episodes])

    def seen(which: str, names: Sequence[str], episode: Any) -> np.ndarray:
        parts = [episode[which][name][:] for name in names]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def column(names: Sequence[str]) -> np.ndarray | Pictures:
        if len(names) == 1 and is_pictures(first["obs"][names[0]]):
            return of_file(path, episodes, f"obs/{names[0]}")
        return np.concatenate([seen("obs", names, e) for e in episodes])

    read = Demos(
        task=str(data.attrs["task"]),
        source=str(data.attrs["source"]),
        obs={kind: column(names) for kind, names in kinds.items()},
        actions=rows("actions"),
        states=rows("states"),
        rewards=rows("rewards"),
        scores=np.array([e.attrs["score"] for e in episodes]),
        episode_ends=np.cumsum([len(e["actions"]) for e in episodes]),
        env_kwargs=env_kwargs,
        notes={
            name.removeprefix(NOTE): np.array([e.attrs[name] for e in episodes])
            for name in first.attrs
            if name.startswith(NOTE)
        },
        actions_as={mode: rows(f"{AS}{mode}") for mode in modes},
        last_obs={
            kind: np.array([seen("next_obs", names, e)[-1] for e in episodes])
            for kind, names in kinds.items()
            if "next_obs" in first
        },
        models=tuple(str(e.attrs["model_file"]) for e in episodes)
        if "model_file" in first.attrs
        else (),
    )
    return read, str(data.attrs["checksum"])


def demo_number(name: str) -> int:
    """The number of a demonstration: its group in a file is called `demo_<number>`.

    Raises:
        ValueError: For another name.
    """
    match = DEMO_NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"group {name!r} is not called demo_<number>")
    return int(match[1])


def _sha256(words: Sequence[str], arrays: Mapping[str, np.ndarray | Pictures]) -> str:
    """Hash of words and arrays, the same on every machine."""
    digest = hashlib.sha256(json.dumps(list(words)).encode())
    for name in sorted(arrays):
        array = arrays[name]
        dtype = array.dtype.newbyteorder("<")
        header = json.dumps([name, dtype.str, list(array.shape)])
        digest.update(header.encode())
        for block in array.episodes() if isinstance(array, Pictures) else [array]:
            digest.update(np.ascontiguousarray(block, dtype).data)
    return digest.hexdigest()


def _shortened(ends: np.ndarray) -> str:
    return np.array2string(ends, threshold=6, edgeitems=3, separator=", ")


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
