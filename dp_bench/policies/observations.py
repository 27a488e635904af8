"""What happens to observations before a network sees them: settings and units."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dp_bench.errors import BadInput


@dataclass(frozen=True)
class ObsConfig:
    """Settings for observations that every method shares.

    Attributes:
        obs_scale: Observations are normalised to [-obs_scale, obs_scale]; 1 as
            published. Where a task needs millimetres on a table of half a metre, a
            larger scale separates neighbouring observations, and a small network
            learns much faster.
        obs_noise: Standard deviation of the noise added to observations in training,
            for observations normalised to [-1, 1]. It keeps a network from memorising
            few demonstrations; 0 as published.
        obs_min_range: A dimension whose range in the demonstrations is smaller, in
            units of the environment, is shifted and not scaled. Otherwise the noise of
            a sensor on a joint that never moves would be scaled to [-1, 1].
    """

    obs_scale: float = 1.0
    obs_noise: float = 0.0
    obs_min_range: float = 1e-4

    def __post_init__(self) -> None:
        if not 0 <= self.obs_min_range < math.inf:
            raise BadInput(
                f"obs_min_range must be 0 or above, got {self.obs_min_range}"
            )
        if not 0 < self.obs_scale < math.inf:
            raise BadInput(f"obs_scale must be above 0, got {self.obs_scale}")
        if not 0 <= self.obs_noise < math.inf:
            raise BadInput(f"obs_noise must be 0 or above, got {self.obs_noise}")


class Normalizer(nn.Module):
    """Scales each dimension of the training data to [-1, 1].

    A dimension that never changes in the data is only shifted to 0: dividing by its
    range would turn rounding error into signal.

    Args:
        dim: Number of dimensions.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(dim))
        self.register_buffer("offset", torch.zeros(dim))
        self.scale: Tensor
        self.offset: Tensor

    def fit(self, data: Tensor, min_range: float = 1e-4, reach: float = 1.0) -> None:
        """Measures the range of every dimension.

        Args:
            data: All rows of the training data, `(N, D)`.
            min_range: A dimension with a smaller range counts as constant.
            reach: Scales to [-reach, reach] instead of [-1, 1].
        """
        low, high = data.amin(0).double(), data.amax(0).double()
        constant = high - low < min_range
        size = torch.where(constant, 1.0, high - low)
        scale = torch.where(constant, 1.0, 2.0 * reach / size)
        self.scale.copy_(scale)
        self.offset.copy_(-scale * (low + high) / 2)

    def forward(self, x: Tensor) -> Tensor:
        """Converts `(..., D)` from units of the environment to normalised units."""
        return x * self.scale + self.offset

    def inverse(self, x: Tensor) -> Tensor:
        """Converts `(..., D)` from normalised units to units of the environment."""
        return (x - self.offset) / self.scale
