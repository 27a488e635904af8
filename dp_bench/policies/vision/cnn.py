"""Four strided convolutions, for machines without a GPU."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dp_bench.policies.vision.norms import norm

CHANNELS = (16, 16, 16, 32)
STRIDES = (2, 2, 2, 1)  # 84 pixels become 11


class Cnn(nn.Module):
    """Four 3 x 3 convolutions, each with normalisation and ReLU.

    Args:
        kind: "group" or "batch".
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        inputs = 3
        for outputs, stride in zip(CHANNELS, STRIDES, strict=True):
            conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            self.convs.append(conv)
            self.norms.append(norm(kind, outputs))
            inputs = outputs
        self.channels = inputs

    def forward(self, x: Tensor) -> Tensor:
        """Maps pictures `(N, 3, H, W)` to `(N, channels, H / 8, W / 8)`."""
        for conv, normed in zip(self.convs, self.norms, strict=True):
            x = F.relu(normed(conv(x)))
        return x
