"""The network in front of the pooling, by its name in the settings."""

from __future__ import annotations

from torch import nn

from dp_bench.policies.vision.config import VisionConfig


def scale_of(config: VisionConfig) -> tuple[float, float]:
    """Returns what grey levels are multiplied by, and what is added then."""
    if config.pretrained:
        from dp_bench.policies.vision.efficientnet import SCALE

        return SCALE
    return 2 / 255, -2 * config.zero


def build_backbone(
    config: VisionConfig, size: tuple[int, int], *, pretrained: bool
) -> nn.Module:
    """Builds the network that maps images `(N, 3, H, W)` to a feature map.

    Args:
        config: Settings.
        size: Height and width of the images [px].
        pretrained: Whether to load the ImageNet weights that settings ask for.

    Returns:
        A module with an attribute `channels`, those of its output.

    Raises:
        BadInput: When its package is missing.
    """
    if config.encoder == "cnn":
        from dp_bench.policies.vision.cnn import Cnn

        return Cnn()
    if config.encoder == "vit_small":
        from dp_bench.policies.vision.vit import Vit

        return Vit(size)
    if config.encoder == "efficientnet_lite0":
        from dp_bench.policies.vision.efficientnet import EfficientNet

        # From scratch, its BatchNorm is replaced as in the other encoders.
        kind = "batch" if config.pretrained else config.norm
        return EfficientNet(kind, pretrained=config.pretrained and pretrained)
    from dp_bench.policies.vision.resnet import WIDTHS, ResNet

    return ResNet(WIDTHS[config.encoder], config.norm)
