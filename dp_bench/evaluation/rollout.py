"""Playing a fixed list of episodes, side by side in lanes and in several processes.

The env seeds are cut into groups of lanes before anything runs. One process with one
thread plays a group, so neither the number of processes nor the number of CPU cores can
change a result.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dp_bench import references
from dp_bench.errors import BadInput
from dp_bench.policies.actor import Actor
from dp_bench.policies.agent import Agent
from dp_bench.policies.spaces import observations_of
from dp_bench.task import Outcome
from dp_bench.util import progress, workers
from dp_bench.util.types import Env, Info


class Episode(NamedTuple):
    """One played episode.

    Attributes:
        env_seed: Seed of the start.
        outcome: Score, success and sub-scores.
        length: Number of steps.
        decision_latency: Mean time of a decision, divided by the lanes that shared
            it [s].
    """

    env_seed: int
    outcome: Outcome
    length: int
    decision_latency: float


class RolloutSpec(NamedTuple):
    """Who plays where, in a form that can be sent to another process.

    Attributes:
        make_actor: Makes the actor; called once per process.
        make_env: Makes an environment; called once per lane.
        score: `"module:function"`, `(rewards (L,), infos [L]) -> Outcome`.
    """

    make_actor: Callable[[], Actor]
    make_env: Callable[[], Env]
    score: str


def groups_of(env_seeds: Sequence[int], lanes: int) -> list[tuple[int, ...]]:
    """Cuts env seeds into groups of at most `lanes` that are played side by side."""
    seeds = [int(seed) for seed in env_seeds]
    return [tuple(seeds[i : i + lanes]) for i in range(0, len(seeds), lanes)]


def play(
    spec: RolloutSpec,
    groups: Sequence[tuple[int, ...]],
    *,
    processes: int | None = None,
    title: str = "Evaluating",
    on_group: Callable[[list[Episode]], None] | None = None,
) -> list[Episode]:
    """Plays one episode for every env seed.

    Args:
        spec: Actor, environment and score.
        groups: Env seeds that share a batch, as `groups_of` returns them.
        processes: Largest number of processes; None for one per CPU core.
        title: Text beside the progress bar.
        on_group: Called with the episodes of a group once that group and all groups
            before it have been played.

    Returns:
        The episodes, in the order of the groups.
    """
    episodes: list[Episode] = []
    with progress.bar(title, sum(map(len, groups))) as bar:

        def show(newly_ended: int) -> None:
            scores = [episode.outcome.score for episode in episodes]
            bar.advance(newly_ended, f"score {np.mean(scores):.3f}" if scores else None)

        make_player = functools.partial(_Player, spec)
        results = workers.in_order(
            make_player, _Player.play, groups, processes=processes, on_progress=show
        )
        with contextlib.closing(results):  # ends the workers when a signal stops this
            for group in results:
                episodes.extend(group)
                if on_group is not None:
                    on_group(group)
                show(0)
    return episodes


def play_group(
    actor: Actor,
    envs: Sequence[Env],
    env_seeds: Sequence[int],
    score: Callable[[np.ndarray, list[Info]], Outcome],
    tick: Callable[[], None] = lambda: None,
) -> list[Episode]:
    """Plays one episode in each environment, and asks the actor for all lanes at once.

    A lane whose episode has ended keeps its place in the batch, with its last
    observation.

    Args:
        actor: Chooses the actions.
        envs: One environment per env seed, or more.
        env_seeds: One per lane.
        score: Scores the rewards and infos of one episode.
        tick: Called whenever an episode ends.

    Returns:
        The episodes, in the order of the env seeds.

    Raises:
        BadInput: When an observation or a reward is not finite, when observations
            differ in shape, when one is no array of numbers, or when the actor returns
            another number of action dimensions than the environment takes.
    """
    agent = Agent(actor)
    agent.reset(list(env_seeds))
    starts = zip(envs, env_seeds, strict=False)
    latest = [_seen(env.reset(seed=seed)[0], env) for env, seed in starts]
    rewards: list[list[float]] = [[] for _ in env_seeds]
    infos: list[list[Info]] = [[] for _ in env_seeds]
    active = set(range(len(env_seeds)))
    while active:
        actions = agent.act(_stacked(latest, envs[0]))
        _check_width(actions, actor, envs[0])
        for lane in sorted(active):
            obs, reward, terminated, truncated, info = envs[lane].step(actions[lane])
            latest[lane] = _seen(obs, envs[lane])
            rewards[lane].append(float(reward))
            infos[lane].append(info)
            if terminated or truncated:
                active.remove(lane)
                tick()
        finite = all(np.isfinite(seen).all() for seen in latest)
        if not finite or not all(np.isfinite(r[-1]) for r in rewards):
            raise BadInput(
                f"{envs[0]} returned an observation or a reward that is not finite"
            )
    latency = float(np.mean(agent.decision_seconds)) / len(env_seeds)
    return [
        Episode(seed, score(np.asarray(r), i), len(r), latency)
        for seed, r, i in zip(env_seeds, rewards, infos, strict=True)
    ]


def _seen(obs: object, env: Env) -> np.ndarray:
    """Copies one observation; environments may change theirs in place."""
    space = getattr(env, "observation_space", None)
    return observations_of(obs, True, space, given=f"{env} returned")[0].copy()


def _stacked(latest: Sequence[np.ndarray], env: Env) -> np.ndarray:
    """Joins the observations of all lanes in a number type that holds them all."""
    shapes = {seen.shape for seen in latest}
    if len(shapes) > 1:
        raise BadInput(
            f"{env} returned observations of different shapes: "
            f"{' and '.join(map(str, sorted(shapes)))}"
        )
    return np.stack(latest)


def _check_width(actions: np.ndarray, actor: Actor, env: Env) -> None:
    """Refuses actions `(B, Da)` of another shape than the environment takes."""
    space = getattr(env, "action_space", None)
    expected = getattr(space, "shape", None) or actions.shape[1:]
    if actions.shape[1:] != expected:
        raise BadInput(
            f"{type(actor).__name__}.act returned actions of shape "
            f"{actions.shape[1:]}, but the environment takes {expected}"
        )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Restricts torch, if it is loaded, to one thread: sums then have one order."""
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


class _Player:
    """Plays groups in one process, with one actor and environments made once."""

    def __init__(self, spec: RolloutSpec) -> None:
        self.make_env = spec.make_env
        self.actor = spec.make_actor()
        self.score = references.load(spec.score)
        self.envs: list[Env] = []

    def play(self, env_seeds: Sequence[int], tick: Callable[[], None]) -> list[Episode]:
        while len(self.envs) < len(env_seeds):
            self.envs.append(self.make_env())
        with _one_thread():
            return play_group(self.actor, self.envs, env_seeds, self.score, tick)

    def close(self) -> None:
        for env in self.envs:
            env.close()
