"""Replaying demonstrations: do actions, environment and score still fit together?"""

from __future__ import annotations

import contextlib
import functools
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dp_bench import references, registry
from dp_bench.data.actions import actions_of
from dp_bench.data.demos import Demos
from dp_bench.data.env_arguments import check_arguments
from dp_bench.errors import BadInput
from dp_bench.task import Outcome, Task
from dp_bench.util import progress, workers
from dp_bench.util.threads import cores

if TYPE_CHECKING:
    from pathlib import Path

    from dp_bench.util.types import Env, Info, JsonObject

A_FEW = 3  # episodes that are replayed on import
FIRST_STEPS = 20  # steps over which `deviation` compares states
WORTH_PROCESSES = 50  # with more episodes, several processes are faster than one
EPISODES_A_JOB = 8
SEED = "env_seed"  # name of the note that holds the seed of an episode

Score = Callable[[np.ndarray, Sequence["Info"]], Outcome]


@dataclass(frozen=True, eq=False)
class ReplayReport:
    """The result of a replay, one row for each replayed episode.

    Attributes:
        task: Name of the task.
        source: Which demonstrations of the task.
        episodes: Numbers of the episodes, `(E,)`.
        recorded: Score in the recording, `(E,)`.
        replayed: Score in the replay, `(E,)`.
        deviation: Largest difference between replayed and recorded state over the first
            20 steps, `(E,)`, in the units of the state.
        drift: The same difference at the last step with a recorded state, `(E,)`.
        columns: Sub-scores of the replay by heading, each `(E,)`: those whose mean the
            task's table shows.
        noted: The same sub-scores in the recording, where notes hold them.
        tolerance: How much lower a replayed score may be than the recorded one.
        control: Control mode of converted actions; None for actions as recorded.
    """

    task: str
    source: str
    episodes: np.ndarray
    recorded: np.ndarray
    replayed: np.ndarray
    deviation: np.ndarray
    drift: np.ndarray
    columns: dict[str, np.ndarray]
    noted: dict[str, np.ndarray]
    tolerance: float
    control: str | None = None

    @property
    def reached(self) -> np.ndarray:
        """Whether an episode reached its recorded score again, `(E,)`."""
        return self.replayed >= self.recorded - self.tolerance

    def summary_lines(self, worst: int = 5) -> list[str]:
        """Writes the result for people: totals, then the `worst` episodes."""
        short = self.episodes[~self.reached]
        mode = f" as {self.control} actions" if self.control else ""
        lines = [
            f"{self.task}/{self.source}{mode}: {len(self.episodes)} episodes replayed, "
            f"{int(self.reached.sum())} reach their recorded score "
            f"(less {self.tolerance:g})",
            f"mean score {self.recorded.mean():.3f} recorded, "
            f"{self.replayed.mean():.3f} replayed",
            f"largest deviation of the state in the first {FIRST_STEPS} steps: "
            f"{self._spread(self.deviation)}",
            f"and at the end of an episode: {self._spread(self.drift)}",
        ]
        for heading, numbers in self.columns.items():
            recorded = self.noted.get(heading)
            total = "" if recorded is None else f", {recorded.sum():g} recorded"
            lines.append(
                f"{heading}: {numbers.mean():.3f} replayed ({numbers.sum():g} in all"
                f"{total})"
            )
        order = np.argsort((self.replayed - self.recorded), kind="stable")
        lines += [
            f"  episode {self.episodes[i]}: recorded {self.recorded[i]:.3f}, "
            f"replayed {self.replayed[i]:.3f}"
            for i in order[: min(worst, len(short))]
        ]
        if len(short) > worst:
            lines.append(f"  ... and {len(short) - worst} more")
        return lines

    def _spread(self, numbers: np.ndarray) -> str:
        return (
            f"{np.median(numbers):.2g} (median), {numbers.max():.2g} "
            f"(episode {self.episodes[numbers.argmax()]})"
        )

    def loss_lines(self, recorded: ReplayReport) -> list[str]:
        """Writes what the conversion of actions cost, compared with another replay.

        Args:
            recorded: Replay of the same episodes with actions as recorded.
        """
        lost = recorded.reached & ~self.reached
        won = self.reached & ~recorded.reached
        pairs = [("mean score", recorded.replayed.mean(), self.replayed.mean())]
        pairs += [
            (f"{heading}, in all", numbers.sum(), self.columns[heading].sum())
            for heading, numbers in recorded.columns.items()
        ]
        ends = np.median(recorded.drift), np.median(self.drift)
        pairs.append(("median deviation at the end", *ends))
        return [
            f"as {self.control} actions {int(lost.sum())} episodes fall short that "
            f"reach their score as recorded, and {int(won.sum())} the other way round",
            *(f"  {title}: {one:.4g} -> {other:.4g}" for title, one, other in pairs),
        ]


def replay(
    demos: Demos,
    task: Task,
    *,
    control: str | None = None,
    episodes: Sequence[int] | None = None,
    num_processes: int | None = None,
    tolerance: float = 0.01,
) -> ReplayReport:
    """Executes recorded actions from the recorded starts, open-loop.

    An episode ends with its last action, or earlier if the environment terminates it;
    the task's time limit does not apply. The environment has the arguments of the
    recording. With the note `env_seed` it also repeats the noise of the episode;
    without, it loads the recorded MuJoCo model, if any.

    Args:
        demos: Demonstrations of `task`.
        task: Gives the environment and the score.
        control: Control mode to convert the actions to; None to execute them as
            recorded.
        episodes: Numbers of the episodes; None for all.
        num_processes: 1 to replay in this process; None for one process a core if there
            are more than 50 episodes. A script that asks for several processes needs
            `if __name__ == "__main__":`.
        tolerance: How much lower a replayed score may be than the recorded one.

    Raises:
        BadInput: When an episode does not exist, `episodes` is empty, or the actions
            cannot be converted.
    """
    numbers = np.arange(demos.num_episodes) if episodes is None else np.array(episodes)
    if not len(numbers):
        raise BadInput("no episodes to replay: name at least one")
    if num_processes is None:
        many = len(numbers) > WORTH_PROCESSES
        num_processes = cores() if many else 1
    actions = actions_of(task, demos, control)
    check_arguments(task, demos.env_kwargs)
    env_kwargs = demos.env_kwargs | ({"control": control} if control else {})
    recorded = [_recorded(demos, actions, int(k)) for k in numbers]
    jobs = [
        recorded[first : first + EPISODES_A_JOB]
        for first in range(0, len(recorded), EPISODES_A_JOB)
    ]
    replayed: list[_Replayed] = []
    with progress.bar(f"replay {task.name}", len(numbers)) as bar:
        results = workers.in_order(
            functools.partial(_Replayer, task, env_kwargs),
            _Replayer.replay,
            jobs,
            processes=num_processes,
            on_progress=bar.advance,
        )
        with contextlib.closing(results):
            for played in results:
                replayed += played
    return _report(demos, task, numbers, replayed, tolerance, control)


def of_a_few(demos: Demos, task: Task, file: Path) -> str:
    """Replays a few episodes of an import, and says the result in one line.

    Args:
        demos: Imported demonstrations of `task`.
        task: Gives the environment and the score.
        file: Their file, for the advice.
    """
    total = demos.num_episodes
    chosen = sorted({int(k) for k in np.linspace(0, total - 1, A_FEW)})
    if not demos.states.size:
        return "nothing was replayed: the file holds no states to start from"
    try:
        report = replay(demos, task, episodes=chosen, num_processes=1)
    except BadInput as error:
        return f"nothing was replayed: {error}"
    count = int(report.reached.sum())
    said = f"replayed {len(chosen)} of {total} episodes: {count} end as recorded"
    if count == len(chosen):
        return said
    other = "; ".join(
        f"episode {k} with score {replayed:.3f}, recorded {recorded:.3f}"
        for k, recorded, replayed, same in zip(
            chosen, report.recorded, report.replayed, report.reached, strict=True
        )
        if not same
    )
    return (
        f"{said}, and {other}. Actions, rate or simulator may differ from the task's: "
        f"run `dp-bench demos check {shlex.quote(str(file))}` before you train on them"
    )


def _report(
    demos: Demos,
    task: Task,
    episodes: np.ndarray,
    replayed: Sequence[_Replayed],
    tolerance: float,
    control: str | None,
) -> ReplayReport:
    columns = {c.key: c.title for c in task.columns if c.averaged}
    return ReplayReport(
        task=task.name,
        source=demos.source,
        episodes=episodes,
        recorded=demos.scores[episodes],
        replayed=np.array([episode.outcome.score for episode in replayed]),
        deviation=np.array([episode.deviation for episode in replayed]),
        drift=np.array([episode.drift for episode in replayed]),
        columns={
            title: np.array([episode.outcome.sub_scores[key] for episode in replayed])
            for key, title in columns.items()
        },
        noted={
            title: demos.notes[key][episodes]
            for key, title in columns.items()
            if key in demos.notes
        },
        tolerance=tolerance,
        control=control,
    )


class _Recorded(NamedTuple):
    """One recorded episode of L steps.

    Attributes:
        states: `(L, S)`.
        actions: `(L, Da)`.
        env_seed: Seed of its start and noise; None if it is unknown.
        model: MuJoCo XML to load; "" to keep the environment's own model.
    """

    states: np.ndarray
    actions: np.ndarray
    env_seed: int | None
    model: str


def _recorded(demos: Demos, actions: np.ndarray, k: int) -> _Recorded:
    rows = demos.episode(k)
    return _Recorded(demos.states[rows], actions[rows], *start_of(demos, k))


def start_of(demos: Demos, k: int) -> tuple[int | None, str]:
    """Returns what the environment needs to repeat episode k, beside its state.

    Returns:
        The seed of its start, or None if it is unknown; the MuJoCo XML to load, or "".
    """
    env_seed = int(demos.notes[SEED][k]) if SEED in demos.notes else None
    # a seed gives the model exactly; XML has six digits only
    return env_seed, demos.models[k] if demos.models and env_seed is None else ""


class _Replayed(NamedTuple):
    """The result of one replayed episode."""

    outcome: Outcome
    deviation: float
    drift: float


class _Replayer:
    """An environment that replays episodes, one for each process."""

    def __init__(self, task: Task, env_kwargs: JsonObject) -> None:
        registry.tasks()  # imports the packages of tasks, in a fresh process too
        self.env: Env = task.make_env(**env_kwargs)
        self.score: Score = references.load(task.score)
        self.positions = slice(task.positions)

    def replay(
        self, episodes: list[_Recorded], tick: Callable[[], None]
    ) -> list[_Replayed]:
        """Replays each episode, and calls `tick` after it."""
        results = []
        for episode in episodes:
            results.append(_replay_one(self.env, self.score, self.positions, episode))
            tick()
        return results

    def close(self) -> None:
        self.env.close()


def _replay_one(
    env: Env, score: Score, positions: slice, episode: _Recorded
) -> _Replayed:
    model = {"model": episode.model} if episode.model else {}
    env.reset(seed=episode.env_seed, options={"state": episode.states[0], **model})
    rewards, infos, deviation, drift = [], [], 0.0, 0.0
    for i, action in enumerate(episode.actions):
        _, reward, terminated, _, info = env.step(action)
        rewards.append(float(reward))
        infos.append(info)
        if i + 1 < len(episode.states):
            difference = np.asarray(info["state"]) - episode.states[i + 1]
            drift = float(np.abs(difference)[positions].max())
            if i < FIRST_STEPS:
                deviation = max(deviation, drift)
        if terminated:
            break
    return _Replayed(score(np.array(rewards), infos), deviation, drift)
