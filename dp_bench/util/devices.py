"""Which devices this machine has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import torch


def available_device(wanted: str | torch.device = "auto") -> str:
    """Returns the wanted device; "auto" is a GPU where there is one, else the CPU.

    Raises:
        BadInput: When this machine lacks the wanted device.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return "cuda" if gpus else "cpu"
    choices = ["cpu", *["cuda"] * bool(gpus), *(f"cuda:{k}" for k in range(gpus))]
    if str(wanted) not in choices:
        raise BadInput(
            f"this machine has no device {str(wanted)!r}; choose one of "
            f"{', '.join(choices)}"
        )
    return str(wanted)


def gpus_named(words: Sequence[str]) -> list[str]:
    """Lists the devices that `--devices` names; "all" stands for every GPU.

    Raises:
        BadInput: When this machine lacks one of them, or one is named twice.
    """
    import torch

    if list(words) == ["all"]:
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            raise BadInput("--devices all: this machine has no GPU that torch can use")
        return [f"cuda:{k}" for k in range(count)]
    named = ["cuda:0" if word == "cuda" else word for word in words]
    if "cpu" in named:
        raise BadInput("--devices takes GPUs, got cpu; --jobs runs several on the CPU")
    twice = [word for k, word in enumerate(named) if word in named[:k]]
    if twice:
        raise BadInput(
            f"--devices names {twice[0]} twice; --per-gpu says how many trainings "
            "share a device"
        )
    return [available_device(word) for word in named]
