"""Rollouts from a start with two equally good ways, as in Chi et al. (2023), Fig. 3.

A multimodal policy takes either way and keeps to it. All rollouts begin in the same
state, so they differ through the sampler's seed only. `results/<task>/modes.jsonl`
holds them, one per line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import gymnasium as gym
import numpy as np

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation import rollout
from dp_bench.evaluation.evaluate import load_actor
from dp_bench.policies.actor import Actor
from dp_bench.runs.folder import RunFolder
from dp_bench.runs.info import RunIdentity, RunInfo, check_identity
from dp_bench.runs.provenance import commit, versions
from dp_bench.task import Fork, Task
from dp_bench.util import jsonl
from dp_bench.util.files import read_without_links
from dp_bench.util.types import Env, Info

FIRST_SEED = 70_000  # neither a test start nor a validation start has such a seed
MAX_ROLLOUTS = 1000  # per run


@dataclass(frozen=True, kw_only=True)
class Rollout(RunIdentity):
    """One path from the fork, with everything a figure needs to draw and label it.

    The identity of the run comes first; see `RunIdentity`.

    Attributes:
        split_digest: As in `RunIdentity`; "" in files from before rollouts stated it.
        step: Number of updates that made the weights.
        env_seed: Seed of the policy's sampler; the start is the same for all.
        start: State in which the environment began, `(S,)`.
        path: Positions, `(L, 2)`; the first one precedes all actions.
        commit: Commit of this project; "" outside a checkout.
        versions: Versions of Python and of the packages that can change numbers.
    """

    split_digest: str = ""
    step: int
    env_seed: int
    start: tuple[float, ...]
    path: tuple[tuple[float, ...], ...]
    commit: str
    versions: dict[str, str]


class _StartAtFork(gym.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """Starts every episode at the fork, and records its path under its seed."""

    def __init__(
        self, env: Env, fork: Fork, paths: dict[int, list[list[float]]]
    ) -> None:
        super().__init__(env)
        self.fork, self.paths = fork, paths

    def reset(
        self, *, seed: int | None = None, options: Info | None = None
    ) -> tuple[np.ndarray, Info]:
        assert seed is not None
        state = {"state": np.array(self.fork.start)}
        obs, info = self.env.reset(seed=seed, options=state)
        self.path = self.paths[seed] = [self._position(info)]
        return obs, info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, Info]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.path.append(self._position(info))
        over = len(self.path) > self.fork.steps
        return obs, float(reward), terminated, truncated or over, info

    def _position(self, info: Info) -> list[float]:
        return [float(info["state"][i]) for i in self.fork.position]


def play(
    task: Task,
    actor: Actor,
    env_seeds: Sequence[int],
    *,
    obs_kind: str | None = None,
    control: str | None = None,
    title: str = "Rollouts",
) -> list[np.ndarray]:
    """Plays one rollout per seed from the fork of a task, in this process.

    Args:
        task: A task with a fork.
        actor: Chooses the actions.
        env_seeds: Seeds of the actor's sampler; they do not change the start.
        obs_kind: Kind of observation; None for the task's default.
        control: Control mode; None for the task's default.
        title: Text beside the progress bar.

    Returns:
        A path `(L, 2)` per seed; its first position precedes all actions.
    """
    fork = fork_of(task)
    paths: dict[int, list[list[float]]] = {}

    def make_env() -> Env:
        env = task.make_env(obs_kind=obs_kind, control=control)
        return _StartAtFork(env, fork, paths)

    spec = rollout.RolloutSpec(lambda: actor, make_env, task.score)
    groups = rollout.groups_of(env_seeds, task.lanes)
    rollout.play(spec, groups, processes=1, title=title)
    return [np.array(paths[seed]) for seed in env_seeds]


def fork_of(task: Task) -> Fork:
    """Returns the fork of a task.

    Raises:
        BadInput: When the task has none.
    """
    if task.fork is None:
        able = [other.name for other in registry.tasks().values() if other.fork]
        raise BadInput(
            f"task {task.name!r} has no start with two equally good ways; "
            f"choose one of the tasks that have: {', '.join(able) or 'none'}"
        )
    return task.fork


def collect(
    runs: Sequence[Path],
    *,
    task: str | None = None,
    rollouts: int = 20,
    device: str = "cpu",
) -> list[Rollout]:
    """Plays rollouts of trained runs.

    Args:
        runs: Run folders of one task.
        task: The task that all runs must have; None for the task of the first run.
        rollouts: Number of rollouts per run.
        device: Device that computes the policies.

    Raises:
        BadInput: When there is no run, when a run is untrained or has another task, or
            when the task has no fork.
    """
    if not 1 <= rollouts <= MAX_ROLLOUTS:
        raise BadInput(f"--rollouts must be in 1..{MAX_ROLLOUTS}, got {rollouts}")
    if not runs:
        raise BadInput("name a run folder: `dp-bench modes runs/TASK/RUN`")
    folders = [RunFolder(run) for run in runs]
    infos = [folder.info() for folder in folders]
    wanted = registry.task(task or infos[0].task)
    fork = fork_of(wanted)
    _check_runs(folders, infos, wanted)
    env_seeds = range(FIRST_SEED, FIRST_SEED + rollouts)
    played = []
    for folder, info in zip(folders, infos, strict=True):
        paths = play(
            wanted,
            load_actor(folder.path, None, info, device),
            env_seeds,
            obs_kind=info.obs_kind,
            control=info.control,
            title=f"{info.method} seed {info.train_seed}",
        )
        step = folder.last_step()
        played += [
            _rollout(info, step, env_seed, fork, path)
            for env_seed, path in zip(env_seeds, paths, strict=True)
        ]
    return played


def _check_runs(
    folders: Sequence[RunFolder], infos: Sequence[RunInfo], task: Task
) -> None:
    """Refuses runs of other tasks, runs without weights, and a run named twice."""
    for folder, info in zip(folders, infos, strict=True):
        if info.task != task.name:
            raise BadInput(
                f"{folder.path} is a run of task {info.task!r}, not {task.name!r}; "
                "a figure shows runs of one task"
            )
        if not folder.weights.is_file():
            folder.load_policy()  # its error names the missing file
    names = [info.name for info in infos]
    if len(set(names)) < len(names):
        paths = ", ".join(str(folder.path) for folder in folders)
        raise BadInput(f"a run is named twice in {paths}; name each run once")


def _rollout(
    info: RunInfo, step: int, env_seed: int, fork: Fork, path: np.ndarray
) -> Rollout:
    return Rollout(
        **asdict(info.identity),
        step=step,
        env_seed=env_seed,
        start=fork.start,
        path=tuple(map(tuple, path.tolist())),
        commit=commit(),
        versions=versions(),
    )


def write(path: Path, rollouts: Iterable[Rollout]) -> None:
    """Writes rollouts as JSON lines; a failed write leaves the old file in place."""
    jsonl.write(path, rollouts)


def read(path: Path) -> list[Rollout]:
    """Reads a file that `write` wrote.

    Raises:
        BadInput: When the file is empty or incomplete, or when a line is not a rollout;
            the message names the file and the line.
    """
    again = "make the file again with `dp-bench modes`"
    try:
        rollouts = jsonl.read(path, Rollout)
    except BadInput as error:
        raise BadInput(f"{error}; {again}") from None
    if not rollouts:
        raise BadInput(f"{path} is empty; {again}")
    for line in rollouts:
        check_identity(line, str(path))
    if not read_without_links(path).endswith(b"\n"):
        raise BadInput(f"{path} ends within a line; {again}")
    return rollouts
