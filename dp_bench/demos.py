"""Demonstrations: the one in-memory form, and its HDF5 file."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.files import whole

FORMAT, FORMAT_VERSION = "dp_bench.demos", 1
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
GYM_TYPE = 2  # robomimic's number for a Gymnasium environment
NOTE = "note_"  # before the name of a note among a demonstration's attributes


@dataclass(frozen=True, eq=False)
class Demos:
    """Demonstrations of one task, all episodes end to end.

    Row i of `actions` was executed from row i of `obs` and `states`.

    Attributes:
        task: Name of the task.
        source: Which demonstrations of the task: "human", "scripted", ...
        obs: Observations by kind, each `(N, ...)`.
        actions: `(N, Da)`, float32, in the units of the environment.
        states: What `reset(options={"state": ...})` takes, `(N, S)`, float64.
        rewards: Reward of each step, `(N,)`, float32.
        scores: Score in [0, 1] that each episode reached when recorded, `(E,)`.
        episode_ends: One past the last row of each episode, `(E,)`, int64, increasing.
        env_kwargs: Arguments of the environment they were recorded in.
        notes: Numbers about each episode by name, `(E,)`: the seed of its start, say,
            or what its demonstrator chose to do.

    Raises:
        BadInput: When the arrays do not fit together, or hold a number that is not
            finite.
    """

    task: str
    source: str
    obs: dict[str, np.ndarray]
    actions: np.ndarray
    states: np.ndarray
    rewards: np.ndarray
    scores: np.ndarray
    episode_ends: np.ndarray
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, np.ndarray] = field(default_factory=dict)

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
        obs = {kind: np.asarray(array) for kind, array in self.obs.items()}
        object.__setattr__(self, "obs", obs)
        notes = {name: np.asarray(array) for name, array in self.notes.items()}
        object.__setattr__(self, "notes", notes)
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
        for name, array in self.notes.items():
            if array.shape != ends.shape or array.dtype.kind not in "fiub":
                self._refuse(
                    f"note {name!r} must be a number for each of {len(ends)} episodes, "
                    f"got {array.dtype} {array.shape}"
                )
        if not self.obs:
            self._refuse("there must be at least one kind of observation")
        for name, array in self._step_arrays().items():
            if array.dtype.kind not in "fiub" or array.ndim < 1:
                self._refuse(f"{name} must be numbers, got {array.dtype}")
            if len(array) != num_rows:
                self._refuse(f"{name} has {len(array)} rows, and actions {num_rows}")

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

    def _step_arrays(self) -> dict[str, np.ndarray]:
        """The arrays with one row per step, by name."""
        return {
            "actions": self.actions,
            "states": self.states,
            "rewards": self.rewards,
            **{f"obs/{kind}": array for kind, array in self.obs.items()},
        }

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of what was recorded: task, episode ends, actions, states, obs.

        Rewards and scores may be computed on import; they are left out so that another
        processor's rounding does not make the same demonstrations look different.
        """
        arrays = self._step_arrays() | {"episode_ends": self.episode_ends}
        del arrays["rewards"]
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
            obs={kind: array[rows] for kind, array in self.obs.items()},
            actions=self.actions[rows],
            states=self.states[rows],
            rewards=self.rewards[rows],
            scores=self.scores[chosen],
            episode_ends=np.cumsum(self.lengths[chosen]),
            env_kwargs=self.env_kwargs,
            notes={name: array[chosen] for name, array in self.notes.items()},
        )

    def _checksum(self) -> str:
        """SHA-256 of everything that a file holds."""
        arrays = self._step_arrays() | {
            "episode_ends": self.episode_ends,
            "scores": self.scores,
            **{f"notes/{name}": array for name, array in self.notes.items()},
        }
        kwargs = json.dumps(self.env_kwargs, sort_keys=True)
        return _sha256([self.task, self.source, kwargs], arrays)


class Demonstration(NamedTuple):
    """One episode of L steps, as a script played it.

    Attributes:
        obs: Observations by kind, each `(L, ...)`.
        actions: `(L, Da)`.
        states: `(L, S)`.
        rewards: `(L,)`.
        score: In [0, 1].
        notes: Numbers about the episode by name.
    """

    obs: dict[str, np.ndarray]
    actions: np.ndarray
    states: np.ndarray
    rewards: np.ndarray
    score: float
    notes: dict[str, float]


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

    `data/demo_k/{actions,states,rewards,dones,obs/*}`, and attributes of our own that
    let `load` tell whether the file is what was written.

    Raises:
        BadInput: When the file cannot be written: no space, no permission, ...
    """
    import h5py

    from dp_bench import plugins

    env_args = {
        "env_name": plugins.task(demos.task).env_id,
        "type": GYM_TYPE,
        "env_kwargs": demos.env_kwargs,
    }
    # Built in memory: a disk that fills up then fails in one plain write, and not in
    # the middle of the HDF5 library.
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = len(demos.actions)
        data.attrs["env_args"] = json.dumps(env_args)
        data.attrs["format"] = FORMAT
        data.attrs["format_version"] = FORMAT_VERSION
        data.attrs["task"] = demos.task
        data.attrs["source"] = demos.source
        data.attrs["digest"] = demos.digest
        data.attrs["checksum"] = demos._checksum()
        for k in range(demos.num_episodes):
            rows = demos.episode(k)
            demo = data.create_group(f"demo_{k}")
            demo.attrs["num_samples"] = rows.stop - rows.start
            demo.attrs["score"] = demos.scores[k]
            for name, array in demos.notes.items():
                demo.attrs[f"{NOTE}{name}"] = array[k]
            demo["dones"] = np.arange(rows.start, rows.stop) == rows.stop - 1
            for name, array in demos._step_arrays().items():
                is_image = array.dtype == np.uint8 and array.ndim > 2
                compression = "gzip" if is_image else None
                demo.create_dataset(name, data=array[rows], compression=compression)
    with whole(Path(path)) as aside:
        aside.write_bytes(image.getbuffer())


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
    remedy = "delete it and run `dp-bench demos TASK` again"
    try:
        with h5py.File(path, "r") as file:
            demos, checksum = _read(file["data"])
    except BadInput as error:
        raise BadInput(f"{path} cannot be used, {error}: {remedy}") from error
    except Exception as error:
        raise BadInput(
            f"{path} is truncated or damaged ({_one_line(error)}): {remedy}"
        ) from error
    if demos._checksum() != checksum:
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
    except (OSError, RuntimeError):
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


def _read(data: Any) -> tuple[Demos, str]:
    """Puts the groups `demo_k` end to end, by number: demo_2 comes before demo_10.

    Returns:
        The demonstrations, and the checksum that they had when written.
    """
    version = data.attrs["format_version"]
    if version != FORMAT_VERSION:
        raise BadInput(f"format version {version} is not {FORMAT_VERSION}")
    demos = [data[name] for name in sorted(data, key=_demo_number)]
    columns = {
        name: np.concatenate([demo[name][:] for demo in demos])
        for name in ("actions", "states", "rewards")
    }
    obs = {
        kind: np.concatenate([demo["obs"][kind][:] for demo in demos])
        for kind in demos[0]["obs"]
    }
    lengths = [len(demo["actions"]) for demo in demos]
    read = Demos(
        task=str(data.attrs["task"]),
        source=str(data.attrs["source"]),
        obs=obs,
        scores=np.array([demo.attrs["score"] for demo in demos]),
        episode_ends=np.cumsum(lengths),
        env_kwargs=json.loads(data.attrs["env_args"])["env_kwargs"],
        notes={
            name.removeprefix(NOTE): np.array([demo.attrs[name] for demo in demos])
            for name in demos[0].attrs
            if name.startswith(NOTE)
        },
        **columns,
    )
    return read, str(data.attrs["checksum"])


def _demo_number(name: str) -> int:
    match = re.fullmatch(r"demo_(\d+)", name)
    if match is None:
        raise ValueError(f"group {name!r} is not called demo_<number>")
    return int(match[1])


def _sha256(words: Sequence[str], arrays: Mapping[str, np.ndarray]) -> str:
    """Hash of words and arrays, the same on every machine."""
    digest = hashlib.sha256(json.dumps(list(words)).encode())
    for name in sorted(arrays):
        array = arrays[name]
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        header = json.dumps([name, array.dtype.str, list(array.shape)])
        digest.update(header.encode())
        digest.update(array.data)
    return digest.hexdigest()


def _shortened(ends: np.ndarray) -> str:
    return np.array2string(ends, threshold=6, edgeitems=3, separator=", ")


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
