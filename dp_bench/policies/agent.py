"""A policy in any Gymnasium loop: keeps the history and the rest of the chunk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.policies.actor import Actor


class Agent:
    """Asks an actor for a chunk of actions when the last chunk is used up.

    ::

        agent = dp_bench.load_agent("runs/pusht/dp_c-...-seed0")
        obs, _ = env.reset(seed=7)
        agent.reset(7)
        while True:
            obs, reward, terminated, truncated, _ = env.step(agent.act(obs))
            if terminated or truncated:
                break

    With a vector environment, `reset` takes one seed per lane, and `restart` begins a
    new episode in one lane: call it before the first observation of that episode.

    Args:
        actor: Any `dp_bench.policies.actor.Actor`.
    """

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.decision_seconds: list[float] = []
        self._lanes = 0
        self._single = False

    def reset(self, env_seed: int | Sequence[int]) -> None:
        """Begins an episode, or one in each lane of a vector environment.

        Args:
            env_seed: Seeds the draws of the policy, like the start of the environment;
                one number, or one per lane.
        """
        self._single = np.ndim(env_seed) == 0
        seeds = [int(seed) for seed in np.atleast_1d(np.asarray(env_seed))]
        self._lanes = len(seeds)
        self._fresh = np.ones(self._lanes, bool)
        self._used = np.zeros(self._lanes, int)  # actions of the chunk that are gone
        self._history: np.ndarray | None = None
        self._chunk: np.ndarray | None = None
        self.decision_seconds.clear()
        self.actor.reset(seeds)

    def restart(self, lane: int, env_seed: int) -> None:
        """Begins a new episode in one lane of a vector environment."""
        if not 0 <= lane < self._lanes:
            raise BadInput(
                f"no lane {lane}: agent.reset was given {self._lanes} env seeds"
            )
        if not hasattr(self.actor, "restart"):
            raise BadInput(
                f"{type(self.actor).__name__} cannot restart one lane alone: "
                "it has no restart(lane, env_seed)"
            )
        self._fresh[lane] = True
        self.actor.restart(lane, int(env_seed))

    def act(self, obs: np.ndarray) -> np.ndarray:
        """The next action.

        Args:
            obs: Latest observation `(Do,)`; `(B, Do)` for a vector environment.

        Returns:
            Action `(Da,)`, or `(B, Da)`.

        Raises:
            BadInput: Before `reset`, or for observations of another number of lanes.
        """
        if not self._lanes:
            raise BadInput("call agent.reset(env_seed) before agent.act(obs)")
        batch = np.asarray(obs)[None] if self._single else np.asarray(obs)
        if len(batch) != self._lanes:
            raise BadInput(
                f"agent.reset was given {self._lanes} env seeds, and agent.act "
                f"observations of {len(batch)} lanes"
            )
        self._remember(batch)
        self._decide()
        assert self._chunk is not None
        action = self._chunk[np.arange(self._lanes), self._used].copy()
        self._used += 1
        return action[0] if self._single else action

    def _remember(self, batch: np.ndarray) -> None:
        if self._history is None:
            shape = (self._lanes, self.actor.horizons.obs, *batch.shape[1:])
            self._history = np.empty(shape, batch.dtype)
        self._history[:, :-1] = self._history[:, 1:]
        self._history[:, -1] = batch
        self._history[self._fresh] = batch[
            self._fresh, None
        ]  # as if it had stood still

    def _decide(self) -> None:
        assert self._history is not None
        length = self.actor.horizons.action
        asking = self._fresh | (self._used == length)
        self._fresh[:] = False
        if not asking.any():
            return
        began = time.perf_counter()
        if asking.all():
            chunk = np.asarray(self.actor.act(self._history.copy()))
        else:
            lanes = np.flatnonzero(asking)
            chunk = np.asarray(
                self.actor.act(self._history[lanes], lanes=lanes.tolist())
            )
        self.decision_seconds.append(time.perf_counter() - began)
        expected = (int(asking.sum()), length)
        if chunk.ndim != 3 or chunk.shape[:2] != expected:
            raise BadInput(
                f"{type(self.actor).__name__}.act must give actions (B, Ta, Da) with "
                f"(B, Ta) = {expected}, and gave {chunk.shape}"
            )
        if not np.isfinite(chunk).all():
            raise BadInput(
                f"{type(self.actor).__name__}.act gave an action that is not finite"
            )
        if self._chunk is None:
            self._chunk = np.empty((self._lanes, *chunk.shape[1:]), chunk.dtype)
        self._chunk[asking] = chunk
        self._used[asking] = 0


def load_agent(
    run_folder: str | Path, *, step: int | None = None, device: str = "cpu"
) -> Agent:
    """Loads a trained policy for use in any Gymnasium loop.

    Args:
        run_folder: A folder that `dp-bench train` or `dp-bench compare` has made.
        step: Which of the weights kept on the way; None for those at the end.
        device: Where the policy shall compute.

    Returns:
        The agent; call `reset(env_seed)` before `act(obs)`.

    Raises:
        BadInput: When the folder is no run folder or holds no such weights.
    """
    from dp_bench.runs.folder import RunFolder

    return Agent(RunFolder(run_folder).load_policy(step, device))
