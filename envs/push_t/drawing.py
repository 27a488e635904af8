"""Images of PushT, drawn by Pillow."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .geometry import (
    BAR,
    FINGER_RADIUS,
    GOAL,
    STEM,
    TABLE,
    WALL_RADIUS,
    WALLS,
    Point,
    Pose,
    Rectangle,
    corners,
    placed,
)

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

IMAGE_SIZE = 96  # side of the image observation [px]

WHITE = (255, 255, 255)
LIGHT_GRAY = (211, 211, 211)
LIGHT_GREEN = (144, 238, 144)
SLATE_GRAY, SLATE_GRAY_INSIDE = (119, 136, 153), (143, 163, 184)
ROYAL_BLUE, ROYAL_BLUE_INSIDE = (65, 105, 225), (78, 126, 255)


def view_of(state: Sequence[float]) -> np.ndarray:
    """Draws a state (finger x, y, block x, y, angle), uint8 `(512, 512, 3)`."""
    return np.array(_draw(state))


def image_of(state: Sequence[float]) -> np.ndarray:
    """Draws a state for policies, uint8 `(96, 96, 3)`.

    Each pixel is interpolated between the four pixels of the large image around its
    centre. As in the published demonstrations, nothing is smoothed.
    """
    from PIL import Image

    step = TABLE / IMAGE_SIZE
    small = _draw(state).transform(
        (IMAGE_SIZE, IMAGE_SIZE),
        Image.Transform.AFFINE,
        (step, 0, 0, 0, step, 0),
        Image.Resampling.BILINEAR,
    )
    return np.array(small)


def _draw(state: Sequence[float]) -> Image.Image:
    from PIL import ImageDraw

    finger_x, finger_y, *pose = state
    image = _background().copy()
    draw = ImageDraw.Draw(image)
    for part in (BAR, STEM):
        points = _pixels(part, Pose(*pose))
        draw.polygon(points, fill=SLATE_GRAY_INSIDE)
        _thick_lines(draw, points, SLATE_GRAY)
    for radius, color in (
        (FINGER_RADIUS, ROYAL_BLUE),
        (FINGER_RADIUS - 4, ROYAL_BLUE_INSIDE),
    ):
        x, y = round(finger_x), round(finger_y)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    return image


@functools.cache
def _background() -> Image.Image:
    """Draws what never moves: the outline and the walls."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (int(TABLE), int(TABLE)), WHITE)
    draw = ImageDraw.Draw(image)
    for part in (BAR, STEM):
        draw.polygon(_pixels(part, GOAL), fill=LIGHT_GREEN)
    _thick_lines(draw, list(WALLS), LIGHT_GRAY)
    return image


def _thick_lines(
    draw: ImageDraw.ImageDraw, points: list[Point], color: tuple[int, int, int]
) -> None:
    """Draws a closed line as thick as a wall, with round corners."""
    width = round(2 * WALL_RADIUS) + 1  # pixels, with the middle one
    draw.line([*points, *points[:2]], fill=color, width=width, joint="curve")


def _pixels(rectangle: Rectangle, pose: Pose) -> list[Point]:
    """Returns the corners of a part of the T on the table, rounded to whole pixels."""
    return [(round(x), round(y)) for x, y in placed(corners(rectangle), pose)]
