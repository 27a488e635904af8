"""Playing a fixed list of episodes, side by side in lanes and in several processes.

Episodes are cut into groups of lanes before anything runs. A group is played by one
process with one thread, so neither the number of processes nor of cores can move a
number.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dp_bench import references
from dp_bench.errors import BadInput
from dp_bench.policies.actor import Actor
from dp_bench.policies.agent import Agent
from dp_bench.task import Outcome
from dp_bench.util import progress, workers


class Episode(NamedTuple):
    """One episode as it was played.

    Attributes:
        env_seed: Seed of its start.
        outcome: What it was worth.
        length: Steps.
        decision_latency: Mean time of a decision, divided by the lanes that shared
            it [s].
    """

    env_seed: int
    outcome: Outcome
    length: int
    decision_latency: float


class Play(NamedTuple):
    """What is played; everything in it can be sent to another process.

    Attributes:
        make_actor: Makes the actor; called once per process.
        make_env: Gives an environment; called once per lane.
        score: `"module:function"`, `(rewards (L,), infos [L]) -> Outcome`.
    """

    make_actor: Callable[[], Actor]
    make_env: Callable[[], Any]
    score: str


def groups_of(env_seeds: Sequence[int], lanes: int) -> list[tuple[int, ...]]:
    """Cuts episodes into groups that are played side by side."""
    seeds = [int(seed) for seed in env_seeds]
    return [tuple(seeds[i : i + lanes]) for i in range(0, len(seeds), lanes)]


def play(
    what: Play,
    groups: Sequence[tuple[int, ...]],
    *,
    processes: int | None = None,
    title: str = "Evaluating",
    done: Callable[[list[Episode]], None] | None = None,
) -> list[Episode]:
    """Plays every episode once.

    Args:
        what: Actor, environment, score.
        groups: Env seeds that share a batch, as `groups_of` makes them.
        processes: At most this many; None for as many as cores.
        title: What the progress bar says.
        done: Called with the episodes of a group once it and all groups before it
            are played.

    Returns:
        The episodes, in the order of the groups.
    """
    total = sum(map(len, groups))
    episodes: list[Episode] = []

    def finished(group: list[Episode]) -> None:
        episodes.extend(group)
        if done is not None:
            done(group)

    with progress.bar(title, total) as bar:

        def tell(more: int) -> None:
            mean = np.mean([e.outcome.score for e in episodes]) if episodes else None
            bar.advance(more, None if mean is None else f"score {mean:.3f}")

        make = functools.partial(_Stage, what)
        for group in workers.in_order(
            make, _Stage.play, groups, processes=processes, tell=tell
        ):
            finished(group)
            tell(0)
    return episodes


def play_group(
    actor: Actor,
    envs: Sequence[Any],
    env_seeds: Sequence[int],
    score: Callable[[np.ndarray, list[dict[str, Any]]], Outcome],
    tick: Callable[[], None] = lambda: None,
) -> list[Episode]:
    """Plays one episode in each environment, asking the actor for all of them at once.

    A lane that is done keeps its place in the batch, with its last observation.

    Args:
        actor: What is asked for actions.
        envs: At least as many as seeds.
        env_seeds: One per lane.
        score: Of a whole episode.
        tick: Called when an episode ends.

    Returns:
        The episodes, in the order of the seeds.

    Raises:
        BadInput: When an observation or a reward is not finite.
    """
    agent = Agent(actor)
    agent.reset(list(env_seeds))
    firsts = [
        env.reset(seed=seed)[0] for env, seed in zip(envs, env_seeds, strict=False)
    ]
    obs = np.stack([np.asarray(first) for first in firsts])
    rewards: list[list[float]] = [[] for _ in env_seeds]
    infos: list[list[dict[str, Any]]] = [[] for _ in env_seeds]
    active = set(range(len(env_seeds)))
    while active:
        actions = agent.act(obs)
        for lane in sorted(active):
            seen, reward, terminated, truncated, info = envs[lane].step(actions[lane])
            obs[lane] = seen
            rewards[lane].append(float(reward))
            infos[lane].append(info)
            if terminated or truncated:
                active.remove(lane)
                tick()
        if not np.isfinite(obs).all() or not all(np.isfinite(r[-1]) for r in rewards):
            raise BadInput(
                f"{envs[0]} gave an observation or a reward that is not finite"
            )
    latency = float(np.mean(agent.decision_seconds)) / len(env_seeds)
    return [
        Episode(seed, score(np.asarray(r), i), len(r), latency)
        for seed, r, i in zip(env_seeds, rewards, infos, strict=True)
    ]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Lets torch, where it is loaded, use one thread: sums then have one order."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Stage:
    """An actor and its environments, made once for all groups of a process."""

    def __init__(self, what: Play) -> None:
        self.what = what
        self.actor = what.make_actor()
        self.score = references.load(what.score)
        self.envs: list[Any] = []

    def play(self, env_seeds: Sequence[int], tick: Callable[[], None]) -> list[Episode]:
        while len(self.envs) < len(env_seeds):
            self.envs.append(self.what.make_env())
        with _one_thread():
            return play_group(self.actor, self.envs, env_seeds, self.score, tick)

    def close(self) -> None:
        for env in self.envs:
            env.close()
