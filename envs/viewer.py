"""A GUI window that shows the images of an environment, by pygame."""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import pygame


# Drivers that SDL takes by itself where there is no display.
INVISIBLE = ("dummy", "offscreen")


class Viewer:
    """Shows images at a steady rate. The first image opens the window.

    Args:
        title: The title of the window.
        rate: Images a second [Hz]; each one waits for its turn.

    Attributes:
        closed_by_user: Whether somebody has asked the window to close. The window
            stays open until `close`.
    """

    def __init__(self, title: str, rate: int) -> None:
        self._title, self._rate = title, rate
        self._surface: pygame.Surface | None = None
        self.closed_by_user = False

    def show(self, image: np.ndarray) -> None:
        """Shows an image, uint8 `(height, width, 3)`.

        Raises:
            BadInput: When there is no display.
        """
        pygame = load_pygame()
        size = image.shape[1], image.shape[0]
        if self._surface is None:
            try:
                pygame.display.init()
                self._surface = pygame.display.set_mode(size)
            except pygame.error as error:
                raise _no_display(str(error)) from error
            driver = pygame.display.get_driver()
            if driver in INVISIBLE and driver != os.environ.get("SDL_VIDEODRIVER"):
                self.close()
                raise _no_display("there is none")
            pygame.display.set_caption(self._title)
            self._clock = pygame.time.Clock()
        frame = pygame.image.frombuffer(image.tobytes(), size, "RGB")
        self._surface.blit(frame, (0, 0))
        # All events are taken: a full queue would lose the one that closes.
        if any(event.type == pygame.QUIT for event in pygame.event.get()):
            self.closed_by_user = True
        pygame.display.flip()
        self._clock.tick(self._rate)

    def close(self) -> None:
        """Closes the window. The next image opens it again."""
        self.closed_by_user = False
        if self._surface is not None:
            load_pygame().display.quit()
            self._surface = None


def _no_display(reason: str) -> BadInput:
    return BadInput(
        f'render_mode="human" needs a display ({reason}); without one, use "rgb_array"'
    )


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
