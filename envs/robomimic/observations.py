"""The layout of observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from gymnasium import spaces

from .task import ARM_WIDTHS

OBS_KINDS = ("state", "image")
NUMBERS_PER_ARM = sum(ARM_WIDTHS.values())
LIMIT = 100.0  # of observed numbers, which are clipped to it


def arm_keys(arms: int) -> dict[str, int]:
    """Lists what `obs="state"` holds after `object`: names in files, and widths.

    Args:
        arms: Number of arms.
    """
    return {
        f"robot{i}_{part}": width
        for i in range(arms)
        for part, width in ARM_WIDTHS.items()
    }


def state_observation(observed: Mapping[str, np.ndarray], arms: int) -> np.ndarray:
    """Builds the observation `obs="state"` from robosuite's observations, float32."""
    parts = [observed["object-state"], *(observed[key] for key in arm_keys(arms))]
    numbers = np.concatenate(parts).astype(np.float32)
    return numbers.clip(-LIMIT, LIMIT)


def number_space(count: int) -> spaces.Box:
    """Returns the space of observed numbers, `(count,)`."""
    return spaces.Box(-LIMIT, LIMIT, (count,), np.float32)


def image_space(cameras: Sequence[str], side: int, arms: int) -> spaces.Dict:
    """Returns the space of `obs="image"`.

    Args:
        cameras: Names of the cameras.
        side: Height and width of the images [px].
        arms: Number of arms.
    """
    image = spaces.Box(0, 255, (side, side, 3), np.uint8)
    images = {f"{name}_image": image for name in cameras}
    vectors = {key: number_space(width) for key, width in arm_keys(arms).items()}
    return spaces.Dict({**images, **vectors})


def arm_vectors(numbers: np.ndarray, arms: int) -> dict[str, np.ndarray]:
    """Cuts the numbers of the arms out of the observation `obs="state"`, by key."""
    widths = arm_keys(arms)
    ends = np.cumsum([*widths.values()])
    parts = np.split(numbers[-NUMBERS_PER_ARM * arms :], ends[:-1])
    return {key: part.copy() for key, part in zip(widths, parts, strict=True)}
