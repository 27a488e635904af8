"""From an observation with images to one vector of features a step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.policies.observations import Observation
from dp_bench.policies.vision.backbones import build_backbone, scale_of
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.policies.vision.crops import centre_crop, random_crop
from dp_bench.policies.vision.pooling import build_pooling
from dp_bench.policies.vision.sizes import check_images, crop_size, map_size


class ImageNetwork(nn.Module):
    """Backbone, pooling and a linear layer with a ReLU, as published.

    Args:
        config: Settings.
        size: Height and width of the images before they are cropped [px].
        pretrained: Whether to load the ImageNet weights that settings ask for.
    """

    def __init__(
        self, config: VisionConfig, size: tuple[int, int], *, pretrained: bool
    ) -> None:
        super().__init__()
        self.frozen = config.frozen
        self.keeps_statistics = config.frozen or config.pretrained
        self.scale = scale_of(config)
        self.backbone = build_backbone(
            config, crop_size(config, *size), pretrained=pretrained
        )
        self.backbone.requires_grad_(not config.frozen)
        channels = self.backbone.channels
        assert isinstance(channels, int)
        self.pooling = build_pooling(config, channels, map_size(config, *size))
        self.linear = nn.Linear(self.pooling.features, config.features)
        self.train()

    def train(self, mode: bool = True) -> ImageNetwork:
        """Switches to training; a BatchNorm with ImageNet statistics keeps them."""
        super().train(mode)
        self.backbone.train(mode and not self.keeps_statistics)
        return self

    def scaled(self, images: Tensor) -> Tensor:
        """Scales grey levels `(N, h, w, 3)` and moves channels: `(N, 3, h, w)`.

        In memory, channels stay last, where convolutions are fastest on CPU and GPU.
        """
        scale, shift = self.scale
        return images.float().mul_(scale).add_(shift).permute(0, 3, 1, 2)

    def forward(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """Maps images `(N, h, w, 3)`, uint8 and cropped, to `(N, features)`."""
        x = self.scaled(images)
        low = dtype != torch.float32
        learns = torch.is_grad_enabled() and not self.frozen
        with (
            torch.set_grad_enabled(learns),
            torch.autocast(x.device.type, dtype if low else None, enabled=low),
        ):
            x = self.backbone(x)
        # Positions need more than the eight bits of bfloat16.
        return F.relu(self.linear(self.pooling(x.float())))


class Encoder(nn.Module):
    """Encodes each image of an observation and joins the vectors.

    Args:
        config: Settings.
        spec: The keys of the observation. Features of images come first.
        pretrained: Whether to begin with the ImageNet weights that settings ask for.
            False where trained weights are loaded afterwards, which needs no file.

    Attributes:
        features: Number of features, F.

    Raises:
        BadInput: For images that this encoder cannot take, and a missing package.
    """

    def __init__(
        self, config: VisionConfig, spec: ObsSpec, *, pretrained: bool = True
    ) -> None:
        super().__init__()
        check_images(config, spec)
        self.config, self.spec = config, spec
        self.features = config.features * len(spec.images) + spec.vector_dim
        sizes = [shape[:2] for shape in spec.images.values()]
        self.networks = nn.ModuleList(
            ImageNetwork(config, size, pretrained=pretrained)
            for size in (sizes[:1] if config.shared else sizes)
        )

    def forward(
        self,
        observation: Observation,
        generator: torch.Generator | None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Encodes an observation of T steps.

        Args:
            observation: Images `(B, T, H, W, 3)` and vectors `(B, T, Dv)`.
            generator: Draws a crop for each window and camera; None for the centre. It
                lies on the device of the images.
            dtype: Type of the operands of convolutions and matrix products, except in
                the pooling and after it.

        Returns:
            Features `(B, T, F)`, float32.
        """
        if not self.spec.images:
            return observation.vectors
        crops = [
            self.cropped(observation.images[key], generator) for key in self.spec.images
        ]
        if len(self.networks) < len(crops):  # shared: one batch for all cameras
            features = self.networks[0](torch.cat(crops), dtype)
            parts = list(features.chunk(len(crops)))
        else:
            networks = zip(self.networks, crops, strict=True)
            parts = [network(crop, dtype) for network, crop in networks]
        lead = observation.vectors.shape[:2]
        parts = [part.unflatten(0, lead) for part in parts]
        return torch.cat([*parts, observation.vectors], dim=-1)

    def cropped(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        """Crops images `(B, T, H, W, 3)` to `(B T, h, w, 3)`."""
        size = crop_size(self.config, *images.shape[2:4])
        if generator is None:
            return centre_crop(images, size).flatten(0, 1)
        return random_crop(images, size, generator).flatten(0, 1)
