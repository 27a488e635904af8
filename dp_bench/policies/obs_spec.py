"""The images and vectors of an observation that is a dictionary, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import gymnasium as gym

CHANNELS = 3  # of an image


@dataclass(frozen=True)
class ObsSpec:
    """Which keys an observation has, in the order in which features are joined.

    An image is uint8 `(height, width, 3)`, a vector `(width,)`. Features of images
    come first.

    Attributes:
        images: Height, width and channels of each image, by key.
        vectors: Width of each vector, by key.
    """

    images: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    vectors: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.keys:
            raise BadInput("an observation must have at least one image or vector")
        for key, shape in self.images.items():
            if min(shape) < 1 or shape[2] != CHANNELS:
                raise BadInput(
                    f"image {key!r} must have shape (height, width, {CHANNELS}), "
                    f"got {shape}"
                )
        for key, width in self.vectors.items():
            if width < 1:
                raise BadInput(f"vector {key!r} must have a width above 0, got {width}")

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys, images first."""
        return (*self.images, *self.vectors)

    @property
    def vector_dim(self) -> int:
        """Width of all vectors together, Dv."""
        return sum(self.vectors.values())

    def shape_of(self, key: str) -> tuple[int, ...]:
        """Returns the shape of one observation under a key."""
        return self.images[key] if key in self.images else (self.vectors[key],)

    @classmethod
    def of_arrays(
        cls, shapes: Mapping[str, tuple[tuple[int, ...], np.dtype]], where: str
    ) -> ObsSpec:
        """Tells images from vectors by the shape and the type of one observation.

        Args:
            shapes: Shape and type of one observation, by key, in order.
            where: What shows them, for errors.

        Raises:
            BadInput: With the key and the shape of what is neither.
        """
        images: dict[str, tuple[int, int, int]] = {}
        vectors: dict[str, int] = {}
        for key, (shape, dtype) in shapes.items():
            if len(shape) == 3 and shape[2] == CHANNELS and dtype == np.uint8:
                images[key] = (shape[0], shape[1], shape[2])
            elif len(shape) == 1 and shape[0] and dtype.kind in "fiub":
                vectors[key] = shape[0]
            else:
                raise BadInput(
                    f"{where}: {key!r} is {dtype} of shape {shape}; a policy observes "
                    f"vectors, (width,), and images, uint8 (height, width, "
                    f"{CHANNELS})"
                )
        return cls(images, vectors)

    @classmethod
    def of_space(
        cls, space: gym.Space[object], keys: Sequence[str] | None, where: str
    ) -> ObsSpec:
        """Reads the keys of an environment's observation space.

        Args:
            space: A dictionary of boxes.
            keys: The keys that a policy observes, in order; None for all.
            where: The environment, for errors.

        Raises:
            BadInput: When a key is missing, or is neither an image nor a vector.
        """
        import gymnasium as gym

        parts = dict(space.spaces) if isinstance(space, gym.spaces.Dict) else {}
        chosen = tuple(parts) if keys is None else tuple(keys)
        for key in chosen:
            if not isinstance(parts.get(key), gym.spaces.Box):
                raise BadInput(
                    f"{where} must show a dictionary with an array {key!r}; its "
                    f"observation space is {space}"
                )
        boxes = {key: parts[key] for key in chosen}
        return cls.of_arrays(
            {key: (box.shape or (), np.dtype(box.dtype)) for key, box in boxes.items()},
            where,
        )

    def check(self, obs: Mapping[str, np.ndarray], lead: int, where: str) -> None:
        """Refuses observations that lack a key or have another shape or type.

        Args:
            obs: Arrays by key; further keys do not matter.
            lead: Number of axes before those of one observation.
            where: What showed them, for errors.

        Raises:
            BadInput: With the key and the shape.
        """
        for key in self.keys:
            if key not in obs:
                raise BadInput(
                    f"{where} lacks {key!r}; a policy that was trained on "
                    f"{', '.join(self.keys)} needs it"
                )
            array, shape = obs[key], self.shape_of(key)
            if array.shape[lead:] != shape:
                raise BadInput(
                    f"{where}: {key!r} has shape {array.shape[lead:]}, and the policy "
                    f"was trained on {shape}"
                )
            if key in self.images and array.dtype != np.uint8:
                raise BadInput(
                    f"{where}: image {key!r} must be uint8, got {array.dtype}"
                )

    def joined(self, obs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Joins the vectors `(..., width)` of an observation to `(..., Dv)`."""
        if not self.vectors:
            shape = next(iter(obs.values())).shape
            lead = len(shape) - len(self.shape_of(next(iter(self.images))))
            return np.zeros((*shape[:lead], 0), np.float32)
        return np.concatenate([obs[key] for key in self.vectors], axis=-1)
