"""Recording the episode that a script plays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dp_bench.data.demos import Demonstration

if TYPE_CHECKING:
    from dp_bench.util.types import Env, Info


class _Step(NamedTuple):
    """What the script saw, and what it did."""

    obs: Mapping[str, np.ndarray]
    action: np.ndarray
    state: np.ndarray
    actions_as: Mapping[str, np.ndarray]


class EpisodeRecorder:
    """Plays actions in an environment and keeps every step of the episode.

    A script asks for `info`, decides, and hands its action to `step`::

        recorder = EpisodeRecorder(env, env_seed)
        while not recorder.terminated and len(recorder) < MAX_STEPS:
            recorder.step(script.act(recorder.info["state"]))
        outcome = score(recorder.rewards, recorder.infos)
        return recorder.demonstration(outcome.score, notes={"env_seed": env_seed})

    Attributes:
        obs: Latest observation of the environment.
        info: Latest `info` of the environment; `info["state"]` is its state.
        terminated: Whether the environment has ended the episode.
        rewards: Reward of each step, L numbers.
        infos: `info` after each step, L of them.
    """

    def __init__(self, env: Env, env_seed: int, *, obs_kind: str = "state") -> None:
        """Resets the environment.

        Args:
            env: Observes one array, or a dictionary of arrays by kind.
            env_seed: Seed of the start.
            obs_kind: Kind of observation that one array is.
        """
        self._env, self._obs_kind = env, obs_kind
        self._steps: list[_Step] = []
        self.rewards: list[float] = []
        self.infos: list[Info] = []
        self.terminated = False
        self.obs, self.info = env.reset(seed=env_seed)

    def __len__(self) -> int:
        """Number of steps played, L."""
        return len(self._steps)

    def step(self, action: np.ndarray, **actions_as: np.ndarray) -> None:
        """Plays one action and records it with the observation and state before it.

        Args:
            action: What the environment executes, `(Da,)`.
            **actions_as: The same action for other control modes, by mode.
        """
        seen = self._by_kind(self.obs)
        self._steps.append(_Step(seen, action, self.info["state"], actions_as))
        self.obs, reward, self.terminated, _, self.info = self._env.step(action)
        self.rewards.append(float(reward))
        self.infos.append(self.info)

    def demonstration(
        self,
        score: float,
        notes: dict[str, float],
        *,
        model: str = "",
        with_last_obs: bool = False,
    ) -> Demonstration:
        """Returns the episode as it was played so far, at least one step of it.

        Args:
            score: Score of the episode, in [0, 1].
            notes: Numbers about the episode by name.
            model: MuJoCo's XML, where it belongs to the start.
            with_last_obs: Whether to keep the observation after the last action.
        """
        first = self._steps[0]
        return Demonstration(
            obs={
                kind: np.array([s.obs[kind] for s in self._steps]) for kind in first.obs
            },
            actions=np.array([step.action for step in self._steps]),
            states=np.array([step.state for step in self._steps]),
            rewards=np.array(self.rewards),
            score=score,
            notes=notes,
            actions_as={
                mode: np.array([s.actions_as[mode] for s in self._steps], np.float32)
                for mode in first.actions_as
            },
            last_obs=self._by_kind(self.obs) if with_last_obs else {},
            model=model,
        )

    def _by_kind(
        self, obs: np.ndarray | Mapping[str, np.ndarray]
    ) -> Mapping[str, np.ndarray]:
        return obs if isinstance(obs, Mapping) else {self._obs_kind: obs}
