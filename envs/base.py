"""The base class of every environment: arguments, checks, images, viewer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dp_bench.errors import BadInput

from . import viewer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from dp_bench.util.types import Info

ASSETS = Path(__file__).parent / "assets"  # scenes of MuJoCo
RENDER_MODES = ["rgb_array", "human"]

# One array, or an image for each camera beside the numbers of the robot.
Observation: TypeAlias = np.ndarray | Mapping[str, np.ndarray]
ObsT = TypeVar("ObsT")


class TaskEnv(gym.Env[ObsT, np.ndarray]):
    """An environment whose observation, control mode and render mode are arguments.

    A subclass draws itself in `_render_scene`, calls `_begin_episode` first in its
    `reset`, takes actions through `_checked_action`, and calls `_show` last in `reset`
    and `step`.

    A subclass that observes images has a method `images(state)`: it draws those of
    a state of this episode, by key, as the observation in that state shows them.

    Attributes:
        offered_obs: The observations that `obs` chooses from.
        offered_controls: The control modes that `control` chooses from.
        reset_options: The options that `reset` reads.
        action_holds: The meaning of an action's numbers, as error messages name it.
        obs_kind: The chosen observation.
        control: The chosen control mode.
        render_mode: None, "rgb_array" or "human".
        draws_images: Whether observed images are drawn. Where a policy does not look
            at them, they can be zeros, and nothing is rendered.
        draws_small: Whether `render` may draw images of half the width and height,
            which takes half the time. It counts before the first image.
    """

    draws_images: bool = True
    draws_small: bool = False
    offered_obs: ClassVar[tuple[str, ...]] = ("state",)
    offered_controls: ClassVar[tuple[str, ...]]
    reset_options: ClassVar[tuple[str, ...]] = ("state",)
    action_holds: str
    action_space: spaces.Box

    def __init__(self, obs: str, control: str, render_mode: str | None) -> None:
        self._name = type(self).__name__
        check_choice(self._name, "observation", obs, self.offered_obs)
        check_choice(self._name, "control mode", control, self.offered_controls)
        if render_mode is not None:
            modes = self.metadata["render_modes"]
            check_choice(self._name, "render mode", render_mode, modes)
        if render_mode == "human":
            viewer.load_pygame()
        self.obs_kind, self.control, self.render_mode = obs, control, render_mode
        self._viewer = viewer.Viewer(self._name, round(self.metadata["render_fps"]))

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Draws the scene, or shows it in the viewer.

        Returns:
            The image, uint8 `(height, width, 3)`, in the mode "rgb_array"; else None.
            Without a render mode Gymnasium's logger warns.

        Raises:
            BadInput: When the scene needs OpenGL, or the viewer a display, and there is
                none.
        """
        if self.render_mode == "rgb_array":
            return self._render_scene()
        if self.render_mode is None:
            gym.logger.warn(
                "render() needs a render mode: make the environment with "
                'render_mode="rgb_array" or "human"'
            )
        self._show()
        return None

    @property
    def window_closed(self) -> bool:
        """Whether somebody has asked the window of render mode "human" to close."""
        return self._viewer.closed_by_user

    def tip_in_image(self) -> np.ndarray | None:
        """Tells where the robot's tip is in the latest image of `render`.

        Returns:
            Distance from the left and from the upper edge, in widths and heights of
            the image, `(2,)`; None if the environment does not tell.
        """
        return None

    def close(self) -> None:
        """Closes the viewer. The next image opens it again."""
        self._viewer.close()

    def _render_scene(self) -> np.ndarray:
        """Draws the scene, uint8 `(height, width, 3)`."""
        raise NotImplementedError

    def _show(self) -> None:
        """Shows the scene, if the render mode is "human"."""
        if self.render_mode == "human":
            self._viewer.show(self._render_scene())

    def _begin_episode(self, seed: int | None, options: Info | None) -> Info:
        """Checks the arguments of `reset`, and seeds the environment's own generator.

        Returns:
            The options; none if they were None.

        Raises:
            BadInput: When a generator cannot take the seed, or nobody reads an option.
        """
        if seed is not None and not 0 <= seed < 2**32:
            raise BadInput(f"seed {seed} must be in [0, 2**32 - 1]")
        options = options or {}
        unknown = set(options) - set(self.reset_options)
        if unknown:
            raise BadInput(
                f"{self._name} has no reset option {min(unknown)!r}; it has "
                f"{', '.join(map(repr, self.reset_options))}"
            )
        super().reset(seed=seed)
        return options

    def _checked_action(self, action: ArrayLike) -> np.ndarray:
        """Returns an action as float64.

        Raises:
            BadInput: When it has another shape than the action space, or is not finite.
        """
        space = self.action_space
        return finite_vector("action", action, space.shape[0], self.action_holds, space)


def check_choice(
    owner: str, kind: str, value: object, choices: Sequence[object]
) -> None:
    """Refuses a value that is none of the choices.

    Args:
        owner: Name of the environment.
        kind: The kind of thing that is chosen, "control mode" say.
        value: The choice.
        choices: The valid ones.

    Raises:
        BadInput: With the environment, the value and the choices.
    """
    if value not in choices:
        raise BadInput(
            f"{owner} has no {kind} {value!r}; it has {', '.join(map(str, choices))}"
        )


def finite_vector(
    name: str,
    values: ArrayLike,
    size: int,
    holds: str,
    space: spaces.Box | None = None,
) -> np.ndarray:
    """Returns values as a vector, float64 `(size,)`.

    Args:
        name: The name of the vector, as the error message begins.
        values: What a caller passed.
        size: How many numbers there must be.
        holds: The meaning of the numbers, for the error message.
        space: The space that the error message names.

    Raises:
        BadInput: When the shape is another one, or a number is not finite.
    """
    vector = np.asarray(values, np.float64)
    if vector.shape != (size,):
        raise BadInput(
            f"{name} {values!r} must hold {holds}: shape ({size},), not {vector.shape}"
        )
    numbers = vector.tolist()
    if not all(map(math.isfinite, numbers)):  # faster than numpy, on a few numbers
        limits = f", in {_limits(space)}" if space else ""
        raise BadInput(f"{name} {numbers} must be finite{limits}")
    return vector


def _limits(space: spaces.Box) -> str:
    """Names the limits of a space: one interval, or one for each number."""
    intervals = [
        f"[{low:g}, {high:g}]" for low, high in zip(space.low, space.high, strict=True)
    ]
    return intervals[0] if len(set(intervals)) == 1 else " x ".join(intervals)
