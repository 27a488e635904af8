"""From a feature map to one vector: spatial softmax, or the mean."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dp_bench.policies.vision.config import VisionConfig


class SpatialSoftmax(nn.Module):
    """Expected position of each keypoint (Finn et al., 2016), as robomimic has it.

    A 1 x 1 convolution draws a map for each keypoint, and the softmax over its pixels
    is a distribution over positions.

    Args:
        channels: Channels C of the feature map.
        keypoints: K.
        size: Height and width of the map.
    """

    def __init__(self, channels: int, keypoints: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.maps = nn.Conv2d(channels, keypoints, 1)
        y, x = torch.meshgrid(
            *(torch.linspace(-1, 1, side) for side in size), indexing="ij"
        )
        places = torch.stack([x.flatten(), y.flatten()], dim=-1)  # (H W, 2)
        self.register_buffer("places", places, persistent=False)
        self.places: Tensor
        self.features = 2 * keypoints

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, C, H, W)` to `(N, 2 K)`: x and y in [-1, 1] of each keypoint."""
        shares = self.maps(x).flatten(2).softmax(-1)  # (N, K, H W)
        return (shares @ self.places).flatten(1)


class Average(nn.Module):
    """Mean of each channel over the pixels.

    Args:
        channels: Channels C of the feature map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = channels

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, C, H, W)` to `(N, C)`."""
        return x.mean((-2, -1))


def build_pooling(
    config: VisionConfig, channels: int, size: tuple[int, int]
) -> SpatialSoftmax | Average:
    """Builds the pooling of settings for a feature map of a size `(H, W)`."""
    if config.pooling == "spatial_softmax":
        return SpatialSoftmax(channels, config.keypoints, size)
    return Average(channels)
