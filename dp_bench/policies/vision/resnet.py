"""ResNet-18 (He et al., 2016) without its head, as Diffusion Policy uses it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dp_bench.policies.vision.norms import norm

WIDTHS = {
    "resnet18": (64, 128, 256, 512),
    "resnet18_small": (16, 32, 64, 128),
}
BLOCKS = 2  # in each stage


def _conv(inputs: int, outputs: int, size: int, stride: int) -> nn.Conv2d:
    """Returns a convolution without bias, drawn as in the paper's reference."""
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        stride: Stride of the first convolution.
        kind: "group" or "batch".
    """

    def __init__(self, inputs: int, outputs: int, stride: int, kind: str) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.norm1 = norm(kind, outputs)
        self.conv2 = _conv(outputs, outputs, 3, 1)
        self.norm2 = norm(kind, outputs)
        self.shortcut = nn.Sequential()  # the identity
        if stride != 1 or inputs != outputs:
            self.shortcut.append(_conv(inputs, outputs, 1, stride))
            self.shortcut.append(norm(kind, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, inputs, H, W)` to `(N, outputs, H / stride, W / stride)`."""
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x), inplace=True)


class ResNet(nn.Module):
    """ResNet-18 up to its last feature map.

    Args:
        widths: Channels of each stage.
        kind: "group" puts GroupNorm where torchvision has BatchNorm.
    """

    def __init__(self, widths: tuple[int, ...], kind: str) -> None:
        super().__init__()
        self.conv = _conv(3, widths[0], 7, 2)
        self.norm = norm(kind, widths[0])
        self.blocks = nn.Sequential()
        inputs = widths[0]
        for stage, outputs in enumerate(widths):
            for index in range(BLOCKS):
                stride = 2 if stage and not index else 1
                self.blocks.append(BasicBlock(inputs, outputs, stride, kind))
                inputs = outputs
        self.channels = inputs

    def forward(self, x: Tensor) -> Tensor:
        """Maps images `(N, 3, H, W)` to `(N, channels, H / 32, W / 32)`."""
        x = F.relu(self.norm(self.conv(x)), inplace=True)
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        return self.blocks(x)
