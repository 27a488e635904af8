"""The task: an environment, a score, and demonstrations.

`python -m my_robot.slide slide.hdf5` writes the demonstrations.
"""

import sys

import gymnasium as gym
import numpy as np

from dp_bench.data.demos import Demos
from dp_bench.data.hdf5 import save
from dp_bench.task import Outcome


class Slide(gym.Env):
    """A point x in [-1, 1] moves by the action, at most 0.1 a step."""

    action_space = gym.spaces.Box(-0.1, 0.1, (1,), np.float32)
    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, obs="state", render_mode=None):
        """Takes `obs`, the kind of observation, as every task does."""
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        """Draws a start, or takes `options["state"]` (used to replay episodes)."""
        super().reset(seed=seed)
        self.x = (options or {}).get("state", self.np_random.uniform(-1, 1, 1))
        return self.x.astype(np.float32), {"state": self.x}

    def step(self, action):
        """Rewards a point that is near the middle."""
        self.x = np.clip(self.x + np.clip(action, -0.1, 0.1), -1, 1)
        reward = 1 - abs(float(self.x[0]))
        return self.x.astype(np.float32), reward, False, False, {"state": self.x}


def score(rewards, infos):
    """Scores an episode by its last reward, in [0, 1]."""
    return Outcome(score=rewards[-1], success=bool(rewards[-1] > 0.95), sub_scores={})


def demonstrate(episodes=20, steps=20):
    """Plays a proportional controller; row i of actions follows row i of obs."""
    env, rows, scores = Slide(), [], []
    for seed in range(episodes):
        obs, info = env.reset(seed=seed)
        for _ in range(steps):
            action = np.clip(-obs, -0.1, 0.1)
            next_obs, reward, _, _, next_info = env.step(action)
            rows.append((obs, action, info["state"], reward))
            obs, info = next_obs, next_info
        scores.append(reward)
    obs, actions, states, rewards = map(np.array, zip(*rows, strict=True))
    return Demos(
        task="slide",
        source="scripted",
        obs={"state": obs},
        actions=actions,
        states=states,
        rewards=rewards,
        scores=np.array(scores),
        episode_ends=np.arange(1, episodes + 1) * steps,
    )


if __name__ == "__main__":
    save(demonstrate(), sys.argv[1])
