"""The layout of observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from gymnasium import spaces

OBS_KINDS = ("state", "image")
ARM_WIDTHS = {"eef_pos": 3, "eef_quat": 4, "gripper_qpos": 2}  # numbers of each arm
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
    return spaces.Dict(
        {**images, "proprioception": number_space(NUMBERS_PER_ARM * arms)}
    )
