"""In which precision training computes."""

from __future__ import annotations

import torch

from dp_bench.training.config import Training
from dp_bench.util import settings


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Returns the type of a precision; "auto" depends on the device."""
    if precision == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
        check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return torch.bfloat16 if check and check() else torch.float32
    return getattr(torch, precision)


def resolved(training: Training, device: str) -> Training:
    """Replaces the precision "auto" by the type that it stands for on this device.

    The settings then tell runs on two kinds of processor apart.
    """
    name = str(resolve_precision(training.precision, torch.device(device)))
    return settings.override(training, "precision", name.removeprefix("torch."))
