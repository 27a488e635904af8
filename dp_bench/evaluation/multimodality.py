"""Rollouts from one start with two equally good ways, as in Chi et al. (2023), Fig. 3.

results/<task>/modes.jsonl holds the paths, one line per rollout.

A policy that learned both ways takes either, and keeps to it. Rollouts differ in the
seed of the sampler only, so that what differs between them is the policy's own choice.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from dp_bench import references, registry
from dp_bench.errors import BadInput
from dp_bench.evaluation import rollout
from dp_bench.evaluation.evaluate import load_actor
from dp_bench.policies.actor import Actor
from dp_bench.runs.folder import RunFolder
from dp_bench.runs.info import RunInfo
from dp_bench.runs.provenance import commit, versions
from dp_bench.statistics.estimates import Estimate, bootstrap
from dp_bench.task import Fork, Task
from dp_bench.util import settings
from dp_bench.util.files import atomic_write

FIRST_SEED = 70_000  # of the sampler; apart from those of test and validation starts
MOST = 1000  # rollouts of a run


@dataclass(frozen=True)
class Rollout:
    """One path from the fork, with what is needed to draw and to place it.

    Attributes:
        task: Name of the task.
        method: Name of the method.
        preset: Tier of its settings.
        obs_kind: Which observation the policy saw.
        control: What its actions meant.
        settings: Short hash of all settings of the run.
        demos_digest: Content digest of the demonstrations.
        train_seed: Seed of the training.
        step: Updates made when the weights were taken.
        env_seed: Seeds the draws of the policy; the start is the same for all.
        start: State that the environment was put into, `(S,)`.
        path: Positions, `(L, 2)`, the first before any action.
        commit: Commit of this project, "" where it is not a checkout.
        versions: Versions of python and the packages that can move numbers.
    """

    task: str
    method: str
    preset: str
    obs_kind: str
    control: str
    settings: str
    demos_digest: str
    train_seed: int
    step: int
    env_seed: int
    start: tuple[float, ...]
    path: tuple[tuple[float, ...], ...]
    commit: str
    versions: dict[str, str]


# What tells runs of one method apart, and how it is said.
RUN = {
    "preset": "{}",
    "obs_kind": "{}",
    "control": "{}",
    "settings": "settings {}",
    "demos_digest": "demonstrations {:.8}",
    "step": "{} updates",
    "train_seed": "seed {}",
}


class Choice(NamedTuple):
    """Which ways the rollouts of one run took.

    Attributes:
        title: The method, and what tells the run from others of the method.
        paths: `(L, 2)` each.
        sides: -1 for left, 1 for right, 0 for neither, `(N,)`.
        committed: Whether each kept to its side, `(N,)`.
        left: Share of left among those that went left or right; None without any.
        commits: Share that committed, of all.
    """

    title: str
    paths: list[np.ndarray]
    sides: np.ndarray
    committed: np.ndarray
    left: Estimate | None
    commits: Estimate


class _AtFork(gym.Wrapper[Any, Any, Any, Any]):
    """Begins every episode at the fork, and keeps the paths by seed."""

    def __init__(
        self, env: gym.Env[Any, Any], fork: Fork, paths: dict[int, list[list[float]]]
    ) -> None:
        super().__init__(env)
        self.fork, self.paths = fork, paths

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        assert seed is not None
        obs, info = self.env.reset(
            seed=seed, options={"state": np.array(self.fork.start)}
        )
        self.path = self.paths[seed] = [self._position(info)]
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.path.append(self._position(info))
        over = len(self.path) > self.fork.steps
        return obs, reward, terminated, truncated or over, info

    def _position(self, info: dict[str, Any]) -> list[float]:
        return [float(info["state"][i]) for i in self.fork.position]


def play(
    task: Task,
    actor: Actor,
    env_seeds: Sequence[int],
    title: str = "Rollouts",
    **env: Any,
) -> list[np.ndarray]:
    """Plays rollouts from the fork of a task, in this process.

    Args:
        task: Has a fork.
        actor: What is asked for actions.
        env_seeds: One rollout each; seeds what the actor draws, and not the start.
        title: What the progress bar says.
        **env: Arguments of `Task.make_env`.

    Returns:
        A path `(L, 2)` for each seed; the first position is before any action.
    """
    fork = fork_of(task)
    paths: dict[int, list[list[float]]] = {}
    what = rollout.RolloutSpec(
        lambda: actor, lambda: _AtFork(task.make_env(**env), fork, paths), task.score
    )
    groups = rollout.groups_of(env_seeds, task.lanes)
    rollout.play(what, groups, processes=1, title=title)
    return [np.array(paths[seed]) for seed in env_seeds]


def fork_of(task: Task) -> Fork:
    """The fork of a task.

    Raises:
        BadInput: When it has none.
    """
    if task.fork is None:
        able = [other.name for other in registry.tasks().values() if other.fork]
        raise BadInput(
            f"task {task.name!r} has no start with two equally good ways; "
            f"of the tasks {', '.join(able) or 'none'} has one"
        )
    return task.fork


def collect(
    runs: Sequence[Path],
    *,
    task: str | None = None,
    rollouts: int = 20,
    device: str = "cpu",
) -> list[Rollout]:
    """Plays the rollouts of trained runs.

    Args:
        runs: Run folders, of one task.
        task: Which task that must be; None for whichever it is.
        rollouts: How many for each run.
        device: Where policies compute.

    Raises:
        BadInput: When there is no run, one is not trained or of another task, or the
            task has no fork.
    """
    if not 1 <= rollouts <= MOST:
        raise BadInput(f"--rollouts must be in 1..{MOST}, got {rollouts}")
    if not runs:
        raise BadInput("name a run folder: `dp-bench modes runs/TASK/RUN`")
    folders = [RunFolder(run) for run in runs]
    infos = [folder.info() for folder in folders]
    wanted = registry.task(task or infos[0].task)
    fork = fork_of(wanted)
    for folder, info in zip(folders, infos, strict=True):
        if info.task != wanted.name:
            raise BadInput(
                f"{folder.path} is a run of task {info.task!r}, not {wanted.name!r}; "
                "one picture is of one task"
            )
        if not folder.weights.is_file():
            folder.load_policy()  # says what is missing
    names = [info.name for info in infos]
    if len(set(names)) < len(names):
        raise BadInput(f"a run is named twice in {', '.join(map(str, runs))}")
    env_seeds = range(FIRST_SEED, FIRST_SEED + rollouts)
    found = []
    for folder, info in zip(folders, infos, strict=True):
        paths = play(
            wanted,
            load_actor(folder.path, None, info, device),
            env_seeds,
            title=f"{info.method} seed {info.train_seed}",
            obs_kind=info.obs_kind,
            control=info.control,
        )
        found += [
            _rollout(info, folder.last_step(), env_seed, fork, path)
            for env_seed, path in zip(env_seeds, paths, strict=True)
        ]
    return found


def _rollout(
    info: RunInfo, step: int, env_seed: int, fork: Fork, path: np.ndarray
) -> Rollout:
    return Rollout(
        task=info.task,
        method=info.method,
        preset=info.preset,
        obs_kind=info.obs_kind,
        control=info.control,
        settings=info.settings,
        demos_digest=info.demos_digest,
        train_seed=info.train_seed,
        step=step,
        env_seed=env_seed,
        start=fork.start,
        path=tuple(map(tuple, path.tolist())),
        commit=commit(),
        versions=versions(),
    )


def write(path: Path, rollouts: Iterable[Rollout]) -> None:
    """Writes rollouts as JSON lines, whole or not at all."""
    with atomic_write(path) as aside:
        aside.write_text("".join(json.dumps(asdict(r)) + "\n" for r in rollouts))


def read(path: Path) -> list[Rollout]:
    """Reads what `write` wrote.

    Raises:
        BadInput: When a line is no rollout; names the file and the line.
    """
    try:
        lines = path.read_text().splitlines()
        found = [
            settings.from_json(Rollout, json.loads(line), f"{path}, line {number}")
            for number, line in enumerate(lines, start=1)
        ]
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path} holds no rollouts ({error}); `dp-bench modes` writes it"
        ) from None
    if not found:
        raise BadInput(f"{path} is empty; `dp-bench modes` writes it")
    return found


def choices(rollouts: Sequence[Rollout]) -> list[Choice]:
    """Judges the rollouts of each run; one entry per run, in the order of the runs.

    Raises:
        BadInput: When they are of several tasks.
    """
    names = sorted({r.task for r in rollouts})
    if len(names) != 1:
        raise BadInput(f"one picture is of one task, and these are of {names}")
    judge = references.load(fork_of(registry.task(names[0])).judge)
    runs = [
        list(run)
        for _, run in itertools.groupby(
            rollouts, lambda r: (r.method, *(getattr(r, name) for name in RUN))
        )
    ]
    found = []
    for run in runs:
        paths = [np.array(r.path) for r in run]
        verdicts = [judge(p, r.start) for p, r in zip(paths, run, strict=True)]
        sides, committed = (np.array(column) for column in zip(*verdicts, strict=True))
        found.append(
            Choice(
                title=_titled(run[0], [other[0] for other in runs]),
                paths=paths,
                sides=sides,
                committed=committed,
                left=_share(sides[sides != 0] < 0) if sides.any() else None,
                commits=_share(committed),
            )
        )
    return found


def _share(hits: np.ndarray) -> Estimate:
    """Share of hits with Wilson's interval, `(N,)`, of one training."""
    return bootstrap(hits[None].astype(float), np.random.default_rng(0))


def _titled(run: Rollout, runs: Sequence[Rollout]) -> str:
    rivals = [other for other in runs if other.method == run.method]
    apart = [
        words.format(getattr(run, name))
        for name, words in RUN.items()
        if len({getattr(rival, name) for rival in rivals}) > 1
    ]
    return ", ".join([registry.title_of(run.method), *apart])
