"""A small vision transformer (Dosovitskiy et al., 2021) over patches of pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp_bench.policies.layers import TransformerLayer, initialise_as_gpt

PATCH = 8  # side of a patch [px]
WIDTH = 128
HEADS = 4
LAYERS = 2


class Vit(nn.Module):
    """Patches, learned positions and pre-norm layers, without a class token.

    Args:
        size: Height and width of the images; zeros are added below and at the right
            where they are no multiple of 8 [px].
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.padding = [-side % PATCH for side in size]
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        rows, columns = (-(-side // PATCH) for side in size)
        self.positions = nn.Parameter(0.02 * torch.randn(1, rows * columns, WIDTH))
        self.layers = nn.ModuleList(
            TransformerLayer(WIDTH, HEADS) for _ in range(LAYERS)
        )
        self.norm = nn.LayerNorm(WIDTH)
        initialise_as_gpt(self)
        tokens = self.positions.shape[1]
        mask = torch.zeros(tokens, tokens)  # every patch sees every other
        self.register_buffer("mask", mask, persistent=False)
        self.mask: Tensor
        self.channels = WIDTH

    def forward(self, x: Tensor) -> Tensor:
        """Maps images `(N, 3, H, W)` to `(N, channels, H / 8, W / 8)`."""
        bottom, right = self.padding
        x = self.patches(F.pad(x, (0, right, 0, bottom)))
        size = x.shape[2:]
        x = x.flatten(2).transpose(1, 2) + self.positions  # (N, H W / 64, channels)
        for layer in self.layers:
            x = _applied(layer, x, self.mask)
        return self.norm(x).transpose(1, 2).unflatten(2, size)


def _applied(layer: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    """Applies a layer under autocast, but with attention in float32 on a CPU.

    There, the backward pass of attention is three times as slow in bfloat16.
    """
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        y: Tensor = layer(x, mask)
        return y
    dtype = torch.get_autocast_dtype("cpu")
    with torch.autocast("cpu", enabled=False):
        y = layer(x.float(), mask, dtype=dtype)
    return y
