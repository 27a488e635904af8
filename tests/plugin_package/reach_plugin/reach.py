"""Reach: move a point on a square table onto another."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput
from dp_bench.task import Outcome
from dp_bench.util.types import Info

STRIDE = 0.1  # largest change of a coordinate in one step
SOLVED = 0.05  # distance below which the goal counts as reached
FURTHEST = np.sqrt(8.0)  # distance between opposite corners


class Reach(gym.Env[np.ndarray, np.ndarray]):
    """An action moves a point by a displacement.

    ## Action
    Displacement `(2,)`, each in [-0.1, 0.1].

    ## Observation
    `obs="state"`, float32 `(4,)`: x, y of the point and of its goal, each in [-1, 1].

    ## Reward
    1 at the goal, 0 at the opposite corner.

    ## Start, end
    Point and goal are drawn uniformly; `reset(options={"state": (4,)})` sets both. The
    episode ends when they are closer than 0.05.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (Gymnasium wants a dictionary)

    def __init__(self, obs: str = "state", render_mode: str | None = None) -> None:
        if obs != "state":
            raise BadInput(f"Reach has no observation {obs!r}; it has state")
        self.render_mode = render_mode
        self.action_space = spaces.Box(-STRIDE, STRIDE, (2,), np.float32)
        self.observation_space = spaces.Box(-1.0, 1.0, (4,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: Info | None = None
    ) -> tuple[np.ndarray, Info]:
        """Draws a start, or takes the state in `options`."""
        super().reset(seed=seed)
        given = (options or {}).get("state")
        self._state = self.np_random.uniform(-1, 1, 4) if given is None else given
        return self._state.astype(np.float32), self._info()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, Info]:
        """Moves the point."""
        moved = self._state[:2] + np.clip(action, -STRIDE, STRIDE)
        self._state = np.concatenate([np.clip(moved, -1, 1), self._state[2:]])
        info = self._info()
        reward = 1 - info["distance"] / FURTHEST
        return self._state.astype(np.float32), reward, info["success"], False, info

    def _info(self) -> Info:
        distance = float(np.linalg.norm(self._state[2:] - self._state[:2]))
        success = distance < SOLVED
        return {"state": self._state.copy(), "distance": distance, "success": success}


def score(rewards: np.ndarray, infos: list[Info]) -> Outcome:
    """Scores an episode by its best step."""
    success = any(info["success"] for info in infos)
    final = {"final_distance": infos[-1]["distance"]}
    return Outcome(float(np.max(rewards)), success, final)


def demonstrate(num_episodes: int, first_seed: int = 0) -> Demos:
    """Records `num_episodes` episodes that go straight to the goal."""
    env = Reach()
    states, actions, rewards, scores, ends = [], [], [], [], []
    for seed in range(first_seed, first_seed + num_episodes):
        _, info = env.reset(seed=seed)
        infos, done = [], False
        while not done:
            x = info["state"]
            states.append(x)
            actions.append(np.clip(x[2:] - x[:2], -STRIDE, STRIDE).astype(np.float32))
            _, reward, done, _, info = env.step(actions[-1])
            rewards.append(reward)
            infos.append(info)
        scores.append(score(np.array(rewards[-len(infos) :]), infos).score)
        ends.append(len(actions))
    return Demos(
        task="reach",
        source="scripted",
        obs={"state": np.array(states, np.float32)},
        actions=np.array(actions),
        states=np.array(states),
        rewards=np.array(rewards),
        scores=np.array(scores),
        episode_ends=np.array(ends),
        env_kwargs={"obs": "state"},
    )
