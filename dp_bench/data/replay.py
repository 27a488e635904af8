"""Replaying demonstrations: do data, environment and score still fit together?"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dp_bench import references, registry
from dp_bench.data.actions import actions_of
from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput
from dp_bench.task import Outcome, Task
from dp_bench.util import progress, workers

FIRST_STEPS = 20  # over which replayed states are compared with recorded ones
WORTH_PROCESSES = 50  # episodes above which processes start faster than they cost
EPISODES_A_JOB = 8
SEED = "env_seed"  # the note with the seed of an episode, where one was recorded


@dataclass(frozen=True, eq=False)
class Report:
    """What replaying demonstrations gave, one row per replayed episode.

    Attributes:
        task: Name of the task.
        source: Which demonstrations.
        episodes: Their numbers, `(E,)`.
        recorded: Score when recorded, `(E,)`.
        replayed: Score when replayed, `(E,)`.
        deviation: Largest difference between a replayed and a recorded number of the
            state in the first 20 steps, `(E,)`, in the units of the state.
        drift: The same in the last recorded state that was replayed, `(E,)`.
        columns: Sub-scores of the replay that the task's table shows the mean of, each
            `(E,)`, by their headings.
        noted: Those of them that were recorded as notes, each `(E,)`.
        tolerance: How far a replayed score may fall short.
        control: What actions were converted to; None for actions as recorded.
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
        """The result for a person: totals, then the `worst` that fell short."""
        short = self.episodes[~self.reached]
        mode = f" as {self.control} actions" if self.control else ""
        lines = [
            f"{self.task}/{self.source}{mode}: {len(self.episodes)} episodes replayed, "
            f"{int(self.reached.sum())} reach their recorded score "
            f"(within {self.tolerance:g})",
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

    def loss_lines(self, recorded: Report) -> list[str]:
        """What the conversion of actions loses, against a replay of them as recorded.

        Args:
            recorded: The same episodes, with actions as recorded.
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
            *(f"  {what}: {one:.4g} -> {other:.4g}" for what, one, other in pairs),
        ]


def replay(
    demos: Demos,
    task: Task,
    *,
    control: str | None = None,
    episodes: Sequence[int] | None = None,
    num_processes: int | None = None,
    tolerance: float = 0.01,
) -> Report:
    """Plays recorded actions from the recorded starts, open-loop.

    Each episode is played in the environment it was recorded in, to its last action or
    until the environment says it is over; the time limit of the task is ignored. Where
    its seed was noted as `env_seed`, the replay meets the same noise; where it was not,
    and its model was recorded, it is played in that.

    Args:
        demos: Demonstrations of `task`.
        task: Gives the environment and the score.
        control: What actions are converted to before they are played; None to play them
            as recorded.
        episodes: Which episodes; None for all.
        num_processes: 1 to play in this process; None for as many as cores when there
            are more than 50 episodes. A script that asks for more than one needs the
            `if __name__ == "__main__"` of every program that starts processes.
        tolerance: How far a replayed score may fall short.

    Raises:
        BadInput: When an episode does not exist, or there is none to replay, or actions
            cannot be converted.
    """
    numbers = np.arange(demos.num_episodes) if episodes is None else np.array(episodes)
    if not len(numbers):
        raise BadInput("no episodes to replay: name at least one")
    if num_processes is None:
        many = len(numbers) > WORTH_PROCESSES
        num_processes = (os.cpu_count() or 1) if many else 1
    actions = actions_of(task, demos, control)
    env_kwargs = demos.env_kwargs | ({"control": control} if control else {})
    seeds = demos.notes.get(SEED, np.full(demos.num_episodes, None))
    jobs = []
    for first in range(0, len(numbers), EPISODES_A_JOB):
        spans = [demos.episode(int(k)) for k in numbers[first : first + EPISODES_A_JOB]]
        jobs.append(
            [
                _tape(demos, actions[rows], int(k), seeds[int(k)])
                for k, rows in zip(numbers[first:], spans, strict=False)
            ]
        )
    found: list[_Played] = []
    with progress.bar(f"replay {task.name}", len(numbers)) as bar:
        for results in workers.in_order(
            functools.partial(_Player, task, env_kwargs),
            _Player.play,
            jobs,
            processes=num_processes,
            tell=bar.advance,
        ):
            found += results
    columns = {c.key: c.title for c in task.columns if c.statistic == "mean"}
    return Report(
        task=task.name,
        source=demos.source,
        episodes=numbers,
        recorded=demos.scores[numbers],
        replayed=np.array([played.outcome.score for played in found]),
        deviation=np.array([played.deviation for played in found]),
        drift=np.array([played.drift for played in found]),
        columns={
            title: np.array([played.outcome.sub_scores[key] for played in found])
            for key, title in columns.items()
        },
        noted={
            title: demos.notes[key][numbers]
            for key, title in columns.items()
            if key in demos.notes
        },
        tolerance=tolerance,
        control=control,
    )


class _Tape(NamedTuple):
    """One recorded episode.

    Attributes:
        states: `(L, S)`.
        actions: `(L, Da)`.
        env_seed: Of its start and noise; None where it is not known.
        model: MuJoCo's XML; "" where the environment has the right one by itself.
    """

    states: np.ndarray
    actions: np.ndarray
    env_seed: Any
    model: str


def _tape(demos: Demos, actions: np.ndarray, k: int, env_seed: Any) -> _Tape:
    # a seed brings the model with it, to the last digit
    model = demos.models[k] if demos.models and env_seed is None else ""
    return _Tape(demos.states[demos.episode(k)], actions, env_seed, model)


class _Played(NamedTuple):
    """What a replayed episode gave."""

    outcome: Outcome
    deviation: float
    drift: float


class _Player:
    """An environment that plays recorded episodes."""

    def __init__(self, task: Task, env_kwargs: dict[str, Any]) -> None:
        registry.tasks()  # in a fresh process: imports the packages that bring tasks
        self.env = task.make_env(**env_kwargs)
        self.score = references.load(task.score)
        self.positions = slice(task.positions)

    def play(self, tapes: list[_Tape], tick: Callable[[], None]) -> list[_Played]:
        """Plays each episode."""
        found = []
        for tape in tapes:
            found.append(_play(self.env, self.score, self.positions, tape))
            tick()
        return found

    def close(self) -> None:
        self.env.close()


def _play(env: Any, score: Any, positions: slice, tape: _Tape) -> _Played:
    seed = None if tape.env_seed is None else int(tape.env_seed)
    model = {"model": tape.model} if tape.model else {}
    env.reset(seed=seed, options={"state": tape.states[0], **model})
    rewards, infos, deviation, drift = [], [], 0.0, 0.0
    for i, action in enumerate(tape.actions):
        _, reward, terminated, _, info = env.step(action)
        rewards.append(float(reward))
        infos.append(info)
        if i + 1 < len(tape.states):
            miss = np.abs(np.asarray(info["state"]) - tape.states[i + 1])[positions]
            drift = float(miss.max())
            if i < FIRST_STEPS:
                deviation = max(deviation, drift)
        if terminated:
            break
    return _Played(score(np.array(rewards), infos), deviation, drift)
