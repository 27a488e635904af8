"""The agent: a policy in any Gymnasium loop."""

from __future__ import annotations

import time
from collections.abc import Sequence

import gymnasium as gym
import numpy as np

from dp_bench.errors import BadInput
from dp_bench.policies.actor import Actor, Obs
from dp_bench.policies.autoreset import (
    Played,
    check_lanes,
    shows_last_observation_first,
)
from dp_bench.policies.history import History, widened
from dp_bench.policies.spaces import WHOLE, Spaces, observations_of


class Agent:
    """Plays an actor in a Gymnasium loop: keeps the history and the current chunk.

    The agent asks the actor for a new chunk of actions when the last one is used up.
    ::

        agent = dp_bench.load_agent("runs/pusht/dp_c-...-seed0")
        env = agent.make_env()
        obs, _ = env.reset(seed=7)
        agent.reset(7)
        while True:
            obs, reward, terminated, truncated, _ = env.step(agent.act(obs))
            if terminated or truncated:
                break

    With a vector environment, `reset` takes one seed per lane and the environment.
    Call `restart` as soon as `step` has ended the episode of a lane, whatever the
    environment's autoreset mode: the agent knows which observation is the first of the
    new episode.

    Args:
        actor: Any `dp_bench.policies.actor.Actor`.

    Attributes:
        control: What the actions mean, as the run was trained ("position" or
            "velocity"); None where the agent has no run.
        decision_seconds: Duration of each call of the actor since `reset` [s].
    """

    control: str | None = None
    _own_spaces: Spaces | None = None  # of the environment that the agent made

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.decision_seconds: list[float] = []
        self._lanes = 0
        self._single = False

    def __repr__(self) -> str:
        return f"<Agent of {type(self.actor).__name__}, {self.actor.horizons}>"

    def make_env(self, **kwargs: object) -> gym.Env:
        """Makes the environment of the agent's run; see `dp_bench.load_agent`.

        Raises:
            BadInput: When the agent has no run, and so no task.
        """
        raise BadInput(
            f"this agent plays a {type(self.actor).__name__} that belongs to no run, "
            "so its task is unknown; make the environment yourself with gymnasium.make"
        )

    def reset(self, env_seed: int | Sequence[int], env: Played | None = None) -> None:
        """Begins an episode, or one in each lane of a vector environment.

        Args:
            env_seed: Seed of the policy's random draws, usually the seed of the
                environment: one number, or one per lane.
            env: Receives the actions: an environment, a vector environment, or a
                sequence of one environment per lane. The agent checks observations
                and actions against its spaces. `restart` needs it, as vector
                environments differ in when they show a new episode.

        Raises:
            BadInput: When the environment has another number of lanes than there are
                seeds, or does not declare its autoreset mode.
        """
        self._late, self._spaces = None, self._own_spaces
        if env is not None:
            check_lanes(env, env_seed)
            self._late = shows_last_observation_first(env)
            self._spaces = Spaces.of(env)
        self._coming: dict[int, int] = {}  # env seed of the next episode, by lane
        self._single = np.ndim(env_seed) == 0
        seeds = [int(seed) for seed in np.atleast_1d(np.asarray(env_seed))]
        self._lanes = len(seeds)
        self._fresh = np.ones(self._lanes, bool)
        self._used = np.zeros(self._lanes, int)  # actions taken from the chunk
        self._keys = getattr(self.actor, "obs_keys", None)
        self._history = History(self.actor.horizons.obs)
        self._chunk: np.ndarray | None = None
        self.decision_seconds.clear()
        self.actor.reset(seeds)

    def restart(self, lane: int, env_seed: int) -> None:
        """Begins a new episode in one lane, when `step` has ended the last one.

        Under next-step autoreset the next observation still belongs to the old
        episode, and the environment ignores the next action. The new episode then
        begins with the observation after it.

        Raises:
            BadInput: When there is no such lane, when the actor cannot restart one, or
                when `reset` was not given the environment.
        """
        if not 0 <= lane < self._lanes:
            raise BadInput(
                f"no lane {lane}: agent.reset was given {self._lanes} env seeds"
            )
        if not hasattr(self.actor, "restart"):
            raise BadInput(
                f"{type(self.actor).__name__} cannot restart one lane alone: "
                "it has no restart(lane, env_seed)"
            )
        if self._late is None and not self._single:
            raise BadInput(
                f"agent.restart({lane}, {env_seed}) cannot know which observation is "
                "the first of the new episode, as vector environments differ in that; "
                "call agent.reset(env_seeds, envs) with the vector environment"
            )
        if self._late and not self._fresh[lane]:
            self._coming[lane] = int(env_seed)
        else:
            self._begin(lane, int(env_seed))

    def _begin(self, lane: int, env_seed: int) -> None:
        self._fresh[lane] = True
        self.actor.restart(lane, env_seed)

    def act(self, obs: Obs) -> np.ndarray:
        """Returns the next action.

        Args:
            obs: The latest observation, `(Do,)`, or `(B, Do)` in a vector environment.
                For an actor with `obs_keys` it is a dictionary of such arrays; in a
                vector environment it may also be one dictionary for each lane. Keys
                that the actor does not observe do not matter.

        Returns:
            Action `(Da,)`, or `(B, Da)`.

        Raises:
            BadInput: When `reset` was not called, when `obs` lacks a key, has another
                number of lanes or another shape, or when the actor returns an action
                that the environment cannot be meant to take.
        """
        if not self._lanes:
            raise BadInput("call agent.reset(env_seed) before agent.act(obs)")
        space = self._spaces.observation if self._spaces else None
        batch = observations_of(obs, self._single, self._keys, space)
        for key, values in batch.items():
            if len(values) != self._lanes:
                raise BadInput(
                    f"agent.reset was given {self._lanes} env seeds, but agent.act was "
                    f"given {repr(key) if key else 'observations'} of {len(values)} "
                    "lanes"
                )
        if self._spaces is not None:
            self._spaces.check_obs(batch)
        self._history.add(batch, self._fresh)
        self._decide()
        assert self._chunk is not None
        # A lane that waits for its new episode may have used up its chunk. The
        # environment ignores its action, so the last one of the chunk will do.
        at = np.minimum(self._used, self.actor.horizons.action - 1)
        action = self._chunk[np.arange(self._lanes), at].copy()
        self._used += 1
        for lane, env_seed in self._coming.items():
            self._begin(lane, env_seed)
        self._coming.clear()
        return action[0] if self._single else action

    def looks_next(self) -> np.ndarray:
        """Tells which lanes will look at the observation that the next step returns.

        An actor decides every Ta steps and looks at the last To observations. Action u
        of a chunk (0, 1, ... Ta - 1) leads to observation u + 1 after the decision, so
        that observation matters if u + 1 > Ta - To. An environment need not draw the
        images of the others. Call it between `act` and `step`; lanes that restarted
        at different times differ.

        The first observation of an episode always matters. Where `step` itself may
        return it (same-step autoreset), draw every image.

        Returns:
            `(B,)` bool.
        """
        horizons = self.actor.horizons
        return self._fresh | (self._used > horizons.action - horizons.obs)

    def _decide(self) -> None:
        length = self.actor.horizons.action
        asking = self._fresh | (self._used >= length)
        asking[list(self._coming)] = False
        self._fresh[:] = False
        if not asking.any():
            return
        began = time.perf_counter()
        lanes = np.flatnonzero(asking)
        seen = self._history.of(lanes)
        shown: Obs = seen if self._keys is not None else seen[WHOLE]
        if asking.all():
            chunk = np.asarray(self.actor.act(shown))
        else:
            chunk = np.asarray(self.actor.act(shown, lanes=lanes.tolist()))
        self.decision_seconds.append(time.perf_counter() - began)
        self._check_chunk(chunk, (int(asking.sum()), length))
        if self._chunk is None:
            self._chunk = np.empty((self._lanes, *chunk.shape[1:]), chunk.dtype)
        self._chunk = widened(self._chunk, chunk)
        self._chunk[asking] = chunk
        self._used[asking] = 0

    def _check_chunk(self, chunk: np.ndarray, expected: tuple[int, int]) -> None:
        """Refuses what the actor returned, unless it is finite actions `(B, Ta, Da)`.

        Args:
            chunk: Returned by the actor.
            expected: `(B, Ta)`.
        """
        name = type(self.actor).__name__
        if chunk.ndim != 3 or chunk.shape[:2] != expected:
            raise BadInput(
                f"{name}.act must return actions (B, Ta, Da) with "
                f"(B, Ta) = {expected}, and returned {chunk.shape}"
            )
        if chunk.dtype.kind not in "fiub":
            raise BadInput(f"{name}.act must return numbers, and returned {chunk!r}")
        if not np.isfinite(chunk).all():
            raise BadInput(f"{name}.act returned an action that is not finite")
        if self._chunk is not None and chunk.shape[2] != self._chunk.shape[2]:
            raise BadInput(
                f"{name}.act returned actions of {chunk.shape[2]} numbers after "
                f"actions of {self._chunk.shape[2]}"
            )
        if self._spaces is not None:
            self._spaces.check_actions(chunk, name)
