"""Playing a fixed list of episodes, side by side in lanes and in several processes.

The env seeds are cut into groups of lanes before anything runs. One process with one
thread plays a group, so neither the number of processes nor the number of CPU cores can
change a result.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from dp_bench import references
from dp_bench.errors import BadInput
from dp_bench.policies.actor import Actor
from dp_bench.policies.agent import Agent
from dp_bench.policies.spaces import (
    WHOLE,
    Observations,
    check_shapes,
    observations_of,
)
from dp_bench.task import Outcome
from dp_bench.util import progress, workers
from dp_bench.util.threads import torch_threads
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
    observation. An environment with an attribute `draws_images` is told before each
    step whether the actor will look at the observation, so that it need not draw the
    others. An episode that ends with one of the others keeps the last one with
    images.

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
            differ in shape, when one is not what the actor observes, or when the actor
            returns another number of action dimensions than the environment takes.
    """
    agent = Agent(actor)
    agent.reset(list(env_seeds))
    keys = getattr(actor, "obs_keys", None)
    pairs = zip(envs, env_seeds, strict=False)
    lanes = [_Lane(env, env_seed, keys) for env, env_seed in pairs]
    while not all(lane.over for lane in lanes):
        obs = _stacked([lane.latest for lane in lanes], envs[0])
        actions = agent.act(obs if keys is not None else obs[WHOLE])
        _check_width(actions, actor, envs[0])
        looks = agent.looks_next().tolist()
        for lane, action, look in zip(lanes, actions, looks, strict=True):
            if not lane.over:
                lane.step(action, look)
                if lane.over:
                    tick()
    latency = float(np.mean(agent.decision_seconds)) / len(env_seeds)
    return [lane.episode(score, latency) for lane in lanes]


class _Lane:
    """One environment, playing one episode.

    Attributes:
        latest: The latest observation, by key.
        over: Whether the episode has ended.
    """

    def __init__(self, env: Env, env_seed: int, keys: Sequence[str] | None) -> None:
        self._env, self._env_seed, self._keys = env, env_seed, keys
        self._rewards: list[float] = []
        self._infos: list[Info] = []
        self.over = False
        draw_images(env, True)
        self.latest = self._drawn = self._seen(env.reset(seed=env_seed)[0])

    def step(self, action: np.ndarray, look: bool) -> None:
        """Plays one step.

        Args:
            action: `(Da,)`.
            look: Whether the actor will look at the observation.

        Raises:
            BadInput: When the observation or the reward is not finite.
        """
        draw_images(self._env, look)
        obs, reward, terminated, truncated, info = self._env.step(action)
        self.latest = self._seen(obs)
        self._rewards.append(float(reward))
        self._infos.append(info)
        if not (_is_finite(self.latest) and np.isfinite(self._rewards[-1])):
            raise BadInput(
                f"{self._env} returned an observation or a reward that is not finite"
            )
        self.over = bool(terminated or truncated)
        if look or self._keys is None:
            self._drawn = self.latest
        elif self.over:  # no decision shall see an image that was not drawn
            self.latest = self._drawn

    def _seen(self, obs: object) -> Observations:
        """Copies one observation; environments may change theirs in place."""
        env, space = self._env, getattr(self._env, "observation_space", None)
        given = f"{env} returned"
        parts = observations_of(obs, True, self._keys, space, given=given)
        return {key: part[0].copy() for key, part in parts.items()}

    def episode(
        self, score: Callable[[np.ndarray, list[Info]], Outcome], latency: float
    ) -> Episode:
        """Scores the episode, which has ended."""
        outcome = score(np.asarray(self._rewards), self._infos)
        return Episode(self._env_seed, outcome, len(self._rewards), latency)


def draw_images(env: Env, wanted: bool) -> None:
    """Tells an environment whether to draw the images of its next observations.

    One without an attribute `draws_images` always draws them.
    """
    inner = getattr(env, "unwrapped", env)
    if hasattr(inner, "draws_images"):
        inner.draws_images = wanted


def _stacked(latest: Sequence[Observations], env: Env) -> Observations:
    """Joins the observations of all lanes in a number type that holds them all."""
    stacked = {}
    for key in latest[0]:
        lanes = [seen[key] for seen in latest]
        check_shapes(lanes, key, f"{env} returned")
        stacked[key] = np.stack(lanes)
    return stacked


def _is_finite(seen: Observations) -> bool:
    """Tells whether all numbers are finite; images, whole numbers, always are."""
    floats = (part for part in seen.values() if part.dtype.kind == "f")
    return all(np.isfinite(part).all() for part in floats)


def _check_width(actions: np.ndarray, actor: Actor, env: Env) -> None:
    """Refuses actions `(B, Da)` of another shape than the environment takes."""
    space = getattr(env, "action_space", None)
    expected = getattr(space, "shape", None) or actions.shape[1:]
    if actions.shape[1:] != expected:
        raise BadInput(
            f"{type(actor).__name__}.act returned actions of shape "
            f"{actions.shape[1:]}, but the environment takes {expected}"
        )


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
        with torch_threads(1):
            return play_group(self.actor, self.envs, env_seeds, self.score, tick)

    def close(self) -> None:
        for env in self.envs:
            env.close()
