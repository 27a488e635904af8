"""Demonstrations in memory; images may stay in their file."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np

from dp_bench.data.digests import sha256_of
from dp_bench.data.images import LazyImages, is_images
from dp_bench.errors import BadInput
from dp_bench.util.rounding import needs_float64
from dp_bench.util.text import shown

if TYPE_CHECKING:
    from dp_bench.util.types import JsonObject

ACTIONS_AS = "actions_as_"  # precedes a control mode in the name of an array


@dataclass(frozen=True, eq=False)
class Demos:
    """Demonstrations of one task, all episodes end to end.

    Row i of `actions` was executed from row i of `obs` and `states`.

    Attributes:
        task: Name of the task.
        source: Which demonstrations of the task: "human", "scripted", ...
        obs: Observations by kind, each `(N, ...)`. Images of a loaded file stay there
            until somebody indexes them.
        actions: `(N, Da)`, in the units of the environment; float32, or float64 where a
            dimension varies little and far from zero.
        states: States for `reset(options={"state": ...})`, `(N, S)`, float64.
        rewards: Reward of each step, `(N,)`, float32.
        scores: Score of each episode when it was recorded, `(E,)`, in [0, 1].
        episode_ends: One past the last row of each episode, `(E,)`, int64, increasing.
        env_kwargs: Arguments of the environment during the recording.
        notes: Numbers about each episode by name, each `(E,)`: the seed of its start,
            say, or the order in which its demonstrator pushed the blocks.
        actions_as: The same actions for other control modes, by mode, each `(N, ...)`.
            Empty unless they were recorded.
        last_obs: Observation after the last action of each episode, by kind, each
            `(E, ...)`. Empty unless it was recorded.
        models: MuJoCo XML of each episode, E texts. Empty unless it differs by start.
        apart: Keys of `obs` whose images lie in a frames file of their own. Digest,
            checksum and `hdf5.save` leave these out, so that demonstrations are the
            same with and without them.

    Raises:
        BadInput: When the arrays do not fit together, or a number is not finite.
    """

    task: str
    source: str
    obs: Mapping[str, np.ndarray | LazyImages]
    actions: np.ndarray
    states: np.ndarray
    rewards: np.ndarray
    scores: np.ndarray
    episode_ends: np.ndarray
    env_kwargs: JsonObject = field(default_factory=dict)
    notes: dict[str, np.ndarray] = field(default_factory=dict)
    actions_as: dict[str, np.ndarray] = field(default_factory=dict)
    last_obs: dict[str, np.ndarray] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    apart: frozenset[str] = frozenset()

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
            if name == "episode_ends":
                self._check_whole(array)
            if name == "actions" and needs_float64(array):
                dtype = np.float64
            # A number beyond float32 becomes infinite; `_check_finite` names its place.
            with np.errstate(over="ignore"):
                object.__setattr__(self, name, array.astype(dtype, copy=False))
        for name in ("obs", "notes", "actions_as", "last_obs"):
            arrays = {
                k: array if isinstance(array, LazyImages) else np.asarray(array)
                for k, array in getattr(self, name).items()
            }
            object.__setattr__(self, name, arrays)
        self._check_texts()
        self._check_rows()
        self._check_episodes()
        self._check_finite()

    def _check_whole(self, ends: np.ndarray) -> None:
        """Refuses ends with a fraction, before they are rounded down."""
        fractions = ends[~np.isfinite(ends) | (ends != np.floor(ends))]
        if len(fractions):
            self._refuse(f"episode_ends must be whole numbers, got {fractions[0]}")

    def _check_texts(self) -> None:
        """Refuses text that no file could hold."""
        for text in (self.task, self.source, *self.notes, *self.models):
            try:
                text.encode()
            except UnicodeEncodeError:
                self._refuse(f"text must be UTF-8, got {shown(text)}")

    def _check_rows(self) -> None:
        num_rows, ends = len(self.actions), self.episode_ends
        if not len(ends):
            self._refuse("there must be at least one episode, got none")
        if ends[0] < 1 or (np.diff(ends) < 1).any() or ends[-1] != num_rows:
            self._refuse(
                f"episode_ends must increase from above 0 to the {num_rows} rows of "
                f"actions, got {_shortened(ends)}"
            )
        object.__setattr__(self, "apart", frozenset(self.apart))
        unknown = self.apart - set(self.obs)
        if unknown:
            self._refuse(f"apart names {min(unknown)!r}, which obs does not hold")
        if not set(self.obs) - self.apart:
            self._refuse("there must be at least one kind of observation")
        for name, array in self.step_arrays().items():
            if array.dtype.kind not in "fiub" or array.ndim < 1:
                self._refuse(f"{name} must be numbers, got {array.dtype}")
            if len(array) != num_rows:
                self._refuse(f"{name} has {len(array)} rows, and actions {num_rows}")
            if name.startswith(("actions", "obs/")):
                self._check_shape(name, array)

    def _check_shape(self, name: str, array: np.ndarray | LazyImages) -> None:
        is_rows = len(array.shape) == 2 and array.shape[1] > 0
        if not is_rows and not (name.startswith("obs/") and is_images(array)):
            images = ", or be images, (N, height, width, 3) of uint8"
            self._refuse(
                f"{name} must have a row of numbers for each step, (N, D)"
                f"{images if name.startswith('obs/') else ''}, got {array.dtype} "
                f"{array.shape}"
            )

    def _check_episodes(self) -> None:
        shape = self.episode_ends.shape
        if len(self.scores) != shape[0]:
            self._refuse(f"{shape[0]} episodes have {len(self.scores)} scores")
        if self.models and len(self.models) != shape[0]:
            self._refuse(f"{shape[0]} episodes have {len(self.models)} models")
        own = [kind for kind in self.obs if kind not in self.apart]
        if self.last_obs and set(self.last_obs) != set(own):
            self._refuse(
                f"last observations are of kinds {', '.join(self.last_obs)}; they must "
                f"be of the kinds of the observations, {', '.join(own)}"
            )
        for kind, last in self.last_obs.items():
            expected = (*shape, *self.obs[kind].shape[1:])
            if last.shape != expected:
                self._refuse(
                    f"last observations {kind!r} must have shape {expected}, got "
                    f"{last.shape}"
                )
        for name, note in self.notes.items():
            if note.shape != shape or note.dtype.kind not in "fiub":
                self._refuse(
                    f"note {name!r} must be a number for each of {shape[0]} episodes, "
                    f"got {note.dtype} {note.shape}"
                )

    def _check_finite(self) -> None:
        for name, array in self.step_arrays().items():
            if array.dtype.kind != "f" or np.isfinite(array).all():
                continue
            place = tuple(np.argwhere(~np.isfinite(array))[0])
            row = int(place[0])
            k = int(np.searchsorted(self.episode_ends, row, side="right"))
            self._refuse(
                f"{name} must be finite, got {array[place]} in episode {k} at step "
                f"{row - self.episode(k).start}"
            )
        for kind, last in self.last_obs.items():
            bad = ~np.isfinite(last.reshape(len(last), -1)).all(axis=1)
            if bad.any():
                self._refuse(
                    f"last observations {kind!r} must be finite, and are not in "
                    f"episode {int(bad.argmax())}"
                )
        # `not >=` instead of `<`: NaN is refused, too.
        bad = np.flatnonzero(~((self.scores >= 0) & (self.scores <= 1)))
        if len(bad):
            k = int(bad[0])
            self._refuse(
                f"the score of episode {k} must be in [0, 1], got {self.scores[k]}"
            )

    def _refuse(self, fault: str) -> NoReturn:
        raise BadInput(f"demonstrations {self.task}/{self.source}: {fault}")

    def step_arrays(self) -> dict[str, np.ndarray | LazyImages]:
        """Returns the arrays that have one row for each step, by name."""
        return {
            "actions": self.actions,
            "states": self.states,
            "rewards": self.rewards,
            **{f"obs/{kind}": array for kind, array in self.obs.items()},
            **{f"{ACTIONS_AS}{mode}": array for mode, array in self.actions_as.items()},
        }

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of task, episode ends, actions, states and observations.

        Rewards, scores and actions of other control modes may be computed on import.
        The digest leaves them out, so that it does not depend on how a CPU rounds.
        """
        arrays = self.without_apart().step_arrays()
        arrays["episode_ends"] = self.episode_ends
        for name in ("rewards", *(f"{ACTIONS_AS}{mode}" for mode in self.actions_as)):
            del arrays[name]
        return sha256_of([self.task], arrays)

    def without_apart(self) -> Demos:
        """Leaves out the images that lie in a frames file."""
        if not self.apart:
            return self
        own = {kind: a for kind, a in self.obs.items() if kind not in self.apart}
        return dataclasses.replace(self, obs=own, apart=frozenset())

    @property
    def num_episodes(self) -> int:
        """Number of episodes, E."""
        return len(self.episode_ends)

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each episode, `(E,)`."""
        return np.diff(self.episode_ends, prepend=0)

    def episode(self, k: int) -> slice:
        """Returns the rows of episode `k`."""
        if not 0 <= k < self.num_episodes:
            self._refuse(f"no episode {k}; they have 0..{self.num_episodes - 1}")
        return slice(
            int(self.episode_ends[k - 1]) if k else 0, int(self.episode_ends[k])
        )

    def select(self, episodes: Sequence[int] | np.ndarray) -> Demos:
        """Keeps these episodes only, in the given order."""
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
                if isinstance(array, LazyImages)
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
            apart=self.apart,
        )

    def checksum(self) -> str:
        """SHA-256 of everything that a file of these demonstrations holds."""
        arrays = self.without_apart().step_arrays() | {
            "episode_ends": self.episode_ends,
            "scores": self.scores,
            **{f"notes/{name}": array for name, array in self.notes.items()},
            **{f"last/{kind}": array for kind, array in self.last_obs.items()},
        }
        kwargs = json.dumps(self.env_kwargs, sort_keys=True)
        return sha256_of([self.task, self.source, kwargs, *self.models], arrays)


class Demonstration(NamedTuple):
    """One episode of L steps that a script played.

    Attributes:
        obs: Observations by kind, each `(L, ...)`.
        actions: `(L, Da)`.
        states: `(L, S)`.
        rewards: `(L,)`.
        score: In [0, 1].
        notes: Numbers about the episode by name.
        actions_as: The same actions for other control modes, by mode, each `(L, ...)`.
        last_obs: Observation after the last action, by kind.
        model: MuJoCo XML; "" unless it differs by start.
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
    env_kwargs: JsonObject,
) -> Demos:
    """Puts one or more episodes end to end."""

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


def _shortened(ends: np.ndarray) -> str:
    return np.array2string(ends, threshold=6, edgeitems=3, separator=", ")
