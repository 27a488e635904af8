"""Normalisation inside encoders."""

from __future__ import annotations

from torch import nn


def norm(kind: str, channels: int) -> nn.Module:
    """Returns a GroupNorm with 16 channels a group, as published, or a BatchNorm."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(max(1, channels // 16), channels)
