"""Which devices this machine has."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import torch


# What the drivers of GPUs make: of NVIDIA, of Windows for Linux, and of AMD.
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def is_gpu(wanted: str) -> bool:
    """Tells whether a device is a GPU; loads torch only where there may be one.

    Args:
        wanted: A device, or "auto".
    """
    if wanted != "auto":
        return wanted != "cpu"
    if not (any(map(Path.exists, map(Path, DRIVERS))) or shutil.which("nvidia-smi")):
        return False
    return available_device() != "cpu"


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
