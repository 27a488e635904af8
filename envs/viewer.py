"""A GUI window that shows the pictures of an environment, by pygame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np

from dp_bench.errors import BadInput

from .checks import check_choice

if TYPE_CHECKING:
    import pygame


class Viewer:
    """Shows pictures at a steady rate. The first picture opens the window.

    Args:
        title: The title of the window.
        rate: Pictures a second [Hz]; each one waits for its turn.
    """

    def __init__(self, title: str, rate: int) -> None:
        self._title, self._rate = title, rate
        self._surface: pygame.Surface | None = None

    def show(self, picture: np.ndarray) -> None:
        """Shows a picture, uint8 `(height, width, 3)`.

        Raises:
            BadInput: When there is no display.
        """
        pygame = load_pygame()
        size = picture.shape[1], picture.shape[0]
        if self._surface is None:
            try:
                pygame.display.init()
                self._surface = pygame.display.set_mode(size)
            except pygame.error as error:
                raise BadInput(
                    f'render_mode="human" needs a display ({error}); '
                    'without one, use "rgb_array"'
                ) from error
            pygame.display.set_caption(self._title)
            self._clock = pygame.time.Clock()
        frame = pygame.image.frombuffer(picture.tobytes(), size, "RGB")
        self._surface.blit(frame, (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._rate)

    def close(self) -> None:
        """Closes the window. The next picture opens it again."""
        if self._surface is not None:
            load_pygame().display.quit()
            self._surface = None


def load_pygame() -> ModuleType:
    """Imports pygame.

    Raises:
        BadInput: When it is not installed.
    """
    try:
        import pygame
    except ImportError as error:
        raise BadInput(
            "render_mode=\"human\" needs pygame: pip install 'dp-bench[human]', "
            'or use "rgb_array"'
        ) from error
    return pygame


# Kitchen and Robomimic still use these; envs/base.py replaces them.
Window = Viewer


def check_render_mode(task: str, mode: str | None, modes: Sequence[str]) -> None:
    """Refuses a render mode that a task does not have, and a window without pygame.

    Raises:
        BadInput: With the task, the value and the choices; or what to install.
    """
    if mode is not None:
        check_choice(task, "render mode", mode, modes)
    if mode == "human":
        load_pygame()


def rendered(
    mode: str | None, window: Window, picture: Callable[[], np.ndarray]
) -> np.ndarray | None:
    """What an environment's `render` gives in a render mode.

    Args:
        mode: "rgb_array", "human" or None.
        window: Where "human" shows the picture.
        picture: Draws it, uint8 `(height, width, 3)`.

    Returns:
        The picture, with "rgb_array"; with None Gymnasium's logger warns.
    """
    if mode == "rgb_array":
        return picture()
    if mode == "human":
        window.show(picture())
    else:
        gym.logger.warn(
            "render() needs a render mode: make the environment with "
            'render_mode="rgb_array" or "human"'
        )
    return None
