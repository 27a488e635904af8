"""Look: what the hand must do is only in an image."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dp_bench.data.demos import Demonstration
from dp_bench.task import Outcome
from dp_bench.util.types import Info

SIDE = 32  # of the image [px]
STRIDE = 0.25  # largest change of a coordinate in one step
STEPS = 8  # of an episode
NEAR = 0.3  # distance from a goal below which it counts as reached
# The image shows a bar that is upright or lies; there are two goals for each.
GOALS = (np.array([[0.0, 1.0], [0.0, -1.0]]), np.array([[1.0, 0.0], [-1.0, 0.0]]))


class Look(gym.Env[dict[str, np.ndarray], np.ndarray]):
    """A hand moves to one of the two goals that an image shows.

    An upright bar means up or down, a lying bar left or right. Either goal will do, so
    the demonstrations have two modes, whose mean reaches nothing. Without the image
    it is not known in any step along which axis to go.

    ## Action
    Where the hand should go, `(2,)`, each in [-1, 1].

    ## Observation
    A dictionary: `image`, uint8 `(32, 32, 3)`, and `hand`, float32 `(1,)`: how far
    the hand has come along the axis of the goals, with a sign.

    ## Reward
    1 in a step that ends near a goal, else 0.

    ## Arguments
    - `blank`: Whether the image is blank.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (Gymnasium wants a dictionary)

    def __init__(self, blank: bool = False, render_mode: str | None = None) -> None:
        self.blank, self.render_mode = blank, render_mode
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = spaces.Dict(
            {
                "hand": spaces.Box(-1.0, 1.0, (1,), np.float32),
                "image": spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: Info | None = None
    ) -> tuple[dict[str, np.ndarray], Info]:
        """Draws an image; `options={"state": (3,)}` sets hand and kind of bar."""
        super().reset(seed=seed)
        given = (options or {}).get("state")
        self.lies = int(self.np_random.integers(2)) if given is None else int(given[2])
        self.hand = np.zeros(2) if given is None else np.array(given[:2], float)
        self._image = self._draw()
        return self._observation(), self._info()

    def step(
        self, action: np.ndarray
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, Info]:
        """Moves the hand towards the target."""
        move = np.clip(np.asarray(action, float) - self.hand, -STRIDE, STRIDE)
        self.hand = np.clip(self.hand + move, -1, 1)
        info = self._info()
        return self._observation(), float(info["success"]), False, False, info

    def _draw(self) -> np.ndarray:
        image = self.np_random.integers(0, 60, (SIDE, SIDE, 3))
        middle = int(self.np_random.integers(20, 24))
        bar = np.s_[middle : middle + 4, 6:-6]
        (image if self.lies else image.swapaxes(0, 1))[bar] += 150
        return image.astype(np.uint8)

    def _observation(self) -> dict[str, np.ndarray]:
        image = np.zeros_like(self._image) if self.blank else self._image.copy()
        axis = 0 if self.lies else 1
        along = self.hand[axis : axis + 1].astype(np.float32)
        return {"hand": along, "image": image}

    def _info(self) -> Info:
        distances = np.linalg.norm(GOALS[self.lies] - self.hand, axis=1)
        state = np.array([*self.hand, self.lies], float)
        return {"success": bool(distances.min() < NEAR), "state": state}


def score(rewards: np.ndarray, infos: list[Info]) -> Outcome:
    """Scores an episode by where it ends."""
    solved = bool(infos[-1]["success"])
    return Outcome(float(solved), solved, {})


def demonstrate(env_seed: int) -> Demonstration:
    """Goes to one of the two goals, and stays there."""
    env = Look()
    obs, info = env.reset(seed=env_seed)
    side = np.random.default_rng([env_seed, 1]).integers(2)
    goal = GOALS[env.lies][side]
    seen, states, rewards = [], [], []
    for _ in range(STEPS):
        seen.append(obs)
        states.append(info["state"])
        obs, reward, _, _, info = env.step(goal)
        rewards.append(reward)
    return Demonstration(
        obs={key: np.array([o[key] for o in seen]) for key in ("image", "hand")},
        actions=np.tile(goal, (STEPS, 1)),
        states=np.array(states),
        rewards=np.array(rewards),
        score=1.0,
        notes={"env_seed": env_seed},
    )
