"""One run playing one episode, step by step, with images of the scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from dp_bench import references, registry
from dp_bench.evaluation.evaluate import changed
from dp_bench.evaluation.rollout import draw_images
from dp_bench.policies.agent import Agent
from dp_bench.runs.folder import RunFolder
from dp_bench.task import Outcome
from dp_bench.util.types import Info


class FrameWriter(Protocol):
    """The part of imageio's video writer that is used; imageio does not declare it."""

    def append_data(self, frame: np.ndarray) -> None:
        """Adds a frame, uint8 `(H, W, 3)`."""


class Player:
    """A run that plays episodes in an environment of its own.

    Args:
        folder: The run.
        variant: Variant of the environment; None for the task's first.
        changes: Settings of the sampler to change.
        step: Updates after which the weights were kept; None for the last weights.
        render_mode: "rgb_array" for images, or "human" for a window.
    """

    def __init__(
        self,
        folder: RunFolder,
        variant: str | None,
        changes: Mapping[str, str] | None = None,
        step: int | None = None,
        render_mode: str = "rgb_array",
    ) -> None:
        self.info = changed(folder.info(), changes or {})
        self.task = registry.task(self.info.task)
        self.agent = Agent(folder.load_policy(step, "cpu", self.info))
        self.env = self.task.make_env(
            **self.info.env_choices,
            variant=variant,
            render_mode=render_mode,
        )
        self.max_steps = self.task.max_steps_of(self.info.demos_source)
        self.rate = int(self.env.metadata["render_fps"])
        self._score = references.load(self.task.score)

    def reset(self, env_seed: int) -> None:
        """Begins the episode of a start."""
        draw_images(self.env, True)
        self._obs, _ = self.env.reset(seed=env_seed)
        self.agent.reset(env_seed)
        self._rewards: list[float] = []
        self._infos: list[Info] = []
        self.over = False

    def step(self) -> None:
        """Plays one step, unless the episode is over."""
        if self.over:
            return
        action = self.agent.act(self._obs)
        draw_images(self.env, bool(self.agent.looks_next()[0]))
        self._obs, reward, terminated, truncated, info = self.env.step(action)
        self._rewards.append(float(reward))
        self._infos.append(info)
        self.over = terminated or truncated

    @property
    def length(self) -> int:
        """Number of steps played."""
        return len(self._rewards)

    def outcome(self) -> Outcome | None:
        """Scores the episode so far; None before its first step."""
        if not self._rewards:
            return None
        outcome: Outcome = self._score(np.asarray(self._rewards), self._infos)
        return outcome

    def image(self) -> np.ndarray:
        """Draws the scene, uint8 `(H, W, 3)`."""
        return np.asarray(self.env.render())

    @property
    def window_closed(self) -> bool:
        """Whether somebody has asked the window to close; False if unknown."""
        return bool(getattr(self.env.unwrapped, "window_closed", False))

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()
