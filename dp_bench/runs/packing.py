"""Packing a trained run into a small folder, to send or to ship it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.errors import BadInput
from dp_bench.runs.folder import RunFolder
from dp_bench.util.tensors import (
    digest_of,
    in_full_precision,
    load_tensors,
    save_tensors,
)

if TYPE_CHECKING:
    from torch import Tensor

SMALL = 256  # numbers; a tensor with fewer keeps its precision, normalizers among them


@dataclass(frozen=True)
class Packed:
    """What packing a run did.

    Attributes:
        size: Of the packed folder [bytes].
        change: Largest change of a weight by the rounding, as a share of the largest
            weight of its tensor.
    """

    size: int
    change: float


def pack(run: RunFolder, out: Path) -> Packed:
    """Writes a run folder that has the last weights only, in half precision.

    Tensors of fewer than 256 numbers keep their precision. Rounding moves actions a
    little, so evaluate the packed run before you report a number of it.

    Args:
        run: A trained run.
        out: The new run folder.

    Raises:
        BadInput: When the run is not trained, when `out` holds another run, or when a
            weight is too large for half precision.
    """
    run.info()  # refuses a folder that is no run
    if not run.weights.is_file():
        raise BadInput(
            f"{run.path} is not trained yet: it has no {run.weights.name}; finish its "
            "training first"
        )
    if out.is_dir() and any(out.iterdir()):
        raise BadInput(f"{out} is not empty; choose a new folder")
    packed = RunFolder(out)
    tensors, facts = load_tensors(run.weights)
    rounded = {name: _rounded(name, tensor) for name, tensor in tensors.items()}
    save_tensors(packed.weights, rounded, facts)
    packed.copy_info(run, digest_of(in_full_precision(rounded)))
    size = sum(file.stat().st_size for file in out.iterdir())
    return Packed(size, max(_change(tensors[name], rounded[name]) for name in tensors))


def _rounded(name: str, tensor: Tensor) -> Tensor:
    """Rounds a large tensor to half precision; others stay as they are."""
    import torch

    if tensor.dtype != torch.float32 or tensor.numel() < SMALL:
        return tensor
    half = tensor.half()
    if not torch.isfinite(half).all():
        raise BadInput(
            f"{name} holds a weight of {tensor.abs().max():.3g}, and half precision "
            f"ends at {torch.finfo(half.dtype).max:.0f}; such a run cannot be packed"
        )
    return half


def _change(tensor: Tensor, rounded: Tensor) -> float:
    """Largest change of a number, as a share of the largest number."""
    if rounded.dtype == tensor.dtype:
        return 0.0
    largest = float(tensor.abs().max())
    return float((rounded.to(tensor.dtype) - tensor).abs().max()) / (largest or 1.0)
