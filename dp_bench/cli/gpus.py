"""Which GPUs `--devices` names."""

from __future__ import annotations

from collections.abc import Sequence

from dp_bench.errors import BadInput
from dp_bench.util.devices import available_device


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
