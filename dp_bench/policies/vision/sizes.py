"""How large the images are that an encoder sees, without torch."""

from __future__ import annotations

from dp_bench.errors import BadInput
from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.policies.vision.config import VisionConfig

# A feature map has one pixel for so many pixels of the image, rounded up [px].
STRIDES = {
    "resnet18": 32,
    "resnet18_small": 32,
    "cnn": 8,
    "vit_small": 8,
    "efficientnet_lite0": 16,
}


def crop_size(config: VisionConfig, height: int, width: int) -> tuple[int, int]:
    """Returns height and width of the part of an image that a policy sees."""
    return max(1, round(config.crop * height)), max(1, round(config.crop * width))


def map_size(config: VisionConfig, height: int, width: int) -> tuple[int, int]:
    """Returns height and width of the feature map of an image, cropped before."""
    stride = STRIDES[config.encoder]
    height, width = crop_size(config, height, width)
    return -(-height // stride), -(-width // stride)


def check_images(config: VisionConfig, spec: ObsSpec) -> None:
    """Refuses images that an encoder cannot take.

    Raises:
        BadInput: With the key and the shape, for an image whose feature map would
            be one pixel high or wide, and for cameras of different sizes that share an
            encoder.
    """
    stride = STRIDES[config.encoder]
    for key, (height, width, _) in spec.images.items():
        if min(crop_size(config, height, width)) <= stride:
            raise BadInput(
                f"image {key!r} of shape {spec.images[key]} is too small for "
                f"{config.encoder!r}: with vision.crop={config.crop} it must have more "
                f"than {stride} pixels on each side after cropping; choose another "
                f"vision.encoder or larger images"
            )
    if config.shared and len(set(spec.images.values())) > 1:
        shapes = ", ".join(f"{key!r} {shape}" for key, shape in spec.images.items())
        raise BadInput(
            f"cameras that share an encoder must have one size, got {shapes}; "
            f"use vision.shared=False"
        )
