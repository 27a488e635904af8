"""A made-up environment that shows a dictionary, and an actor that looks at it."""

import gymnasium as gym
import numpy as np

from dp_bench.data.demos import Demos
from dp_bench.task import Outcome

IMAGE = (4, 4, 3)
KEYS = ("camera", "at")


def image_of(seed, step):
    """Draws an image that is never blank and differs from step to step."""
    image = np.full(IMAGE, 1 + seed % 200, np.uint8)
    image[0, 0] = [1 + step // 200, 1 + step % 200, 255]
    return image


class Gallery(gym.Env):
    """Shows its last action and an image, and returns the action as reward.

    Episodes of different seeds differ in length. An image that is not drawn is blank.
    `drawn` holds the number of each observation whose image was drawn.
    """

    observation_space = gym.spaces.Dict(
        {
            "camera": gym.spaces.Box(0, 255, IMAGE, np.uint8),
            "at": gym.spaces.Box(-np.inf, np.inf, (1,), np.float64),
            "unused": gym.spaces.Box(0, 1, (3,), np.float64),
        }
    )
    action_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)

    def __init__(self, length=None):
        self.draws_images, self.length = True, length

    def reset(self, *, seed=None, options=None):
        self.seed = self.seed + 1 if seed is None else seed
        self.number, self.drawn = 0, []
        self.left = self.length or 5 + self.seed % 7
        return self._seen(100.0 * self.seed), {}

    def step(self, action):
        self.left -= 1
        self.number += 1
        reward = float(action[0])
        return self._seen(reward), reward, False, self.left == 0, {}

    def _seen(self, at):
        image = np.zeros(IMAGE, np.uint8)
        if self.draws_images:
            image = image_of(self.seed, self.number)
            self.drawn.append(self.number)
        return {"unused": np.full(3, np.nan), "camera": image, "at": np.array([at])}


class Visitor:
    """Counts on from the latest observation, and refuses a blank image."""

    obs_keys = KEYS

    def __init__(self, horizons):
        self.horizons, self.asked = horizons, []

    def reset(self, env_seeds):
        self.asked.clear()

    def restart(self, lane, env_seed):
        pass

    def act(self, obs, lanes=None):
        assert tuple(obs) == self.obs_keys
        assert obs["camera"].shape[1:] == (self.horizons.obs, *IMAGE)
        assert obs["camera"].dtype == np.uint8
        assert obs["camera"].any(axis=(2, 3, 4)).all(), "looked at a blank image"
        self.asked.append(obs)
        return obs["at"][:, -1:] + np.arange(1, self.horizons.action + 1)[:, None]


def rewards_as_sub_scores(rewards, infos):
    return Outcome(0.0, False, {f"{k:02}": float(r) for k, r in enumerate(rewards)})


def looked_at(steps, horizons):
    """Lists by hand the observations that decisions of an episode look at."""
    numbers = set()
    for decision in range(0, steps, horizons.action):
        numbers |= set(range(decision - horizons.obs + 1, decision + 1))
    return numbers


def pushing(lengths=(24, 20, 26, 25), side=96):
    """Random demonstrations of PushT with images of its size."""
    rng, rows = np.random.default_rng(0), sum(lengths)

    def walk(width):
        return np.clip(rng.normal(size=(rows, width)).cumsum(0) * 10 + 256, 0, 512)

    return Demos(
        task="pusht",
        source="made-up",
        obs={
            "keypoints": walk(20),
            "image": rng.integers(0, 255, (rows, side, side, 3), np.uint8),
        },
        actions=walk(2),
        states=walk(5),
        rewards=np.zeros(rows),
        scores=np.full(len(lengths), 0.5),
        episode_ends=np.cumsum(lengths),
    )
