"""Tensors on disk: safetensors files with a few JSON facts and a checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.errors import BadInput
from dp_bench.util.files import atomic_write
from dp_bench.util.json_text import parsed
from dp_bench.util.types import JsonObject

if TYPE_CHECKING:
    from torch import Tensor


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: JsonObject) -> None:
    """Writes tensors and JSON facts to one file; a failed write leaves the old file.

    Raises:
        BadInput: When the disk is full or the folder cannot be written.
    """
    from safetensors.torch import save_file

    with atomic_write(path) as part:
        data = {name: t.detach().contiguous().cpu() for name, t in tensors.items()}
        text = json.dumps(facts)
        save_file(data, part, metadata={"facts": text, "sha256": _checksum(data, text)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], JsonObject]:
    """Reads tensors and facts that `save_tensors` wrote.

    Files from before checksums carry none, and load without this check.

    Raises:
        BadInput: When the file is damaged, its content differs from its checksum, or
            another program wrote it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        text = metadata.get("facts", "null")
        facts = parsed(text)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from None
    except (SafetensorError, ValueError) as error:
        raise BadInput(
            f"{path} is damaged or not a safetensors file ({error}); "
            "delete it and train again"
        ) from None
    if not isinstance(facts, dict):
        raise BadInput(f"{path} was not written by dp-bench; delete it and train again")
    checksum = metadata.get("sha256")
    unknown = metadata.keys() - {"facts", "sha256", "format"}
    if unknown or (checksum is not None and checksum != _checksum(tensors, text)):
        raise BadInput(
            f"{path} is damaged (its content differs from its checksum); "
            "delete it and train again"
        )
    return tensors, facts


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Hashes tensors, with names, types and shapes, to 12 hex digits."""
    data = {name: t.detach().contiguous().cpu() for name, t in tensors.items()}
    return _checksum(data, "")[:12]


def in_full_precision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turns tensors that are stored in half precision into float32."""
    import torch

    return {
        name: tensor.float() if tensor.dtype == torch.float16 else tensor
        for name, tensor in tensors.items()
    }


def _checksum(tensors: Mapping[str, Tensor], facts: str) -> str:
    """Hashes facts and tensors, with names, types and shapes."""
    import torch

    digest = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        header = json.dumps([name, str(tensor.dtype), list(tensor.shape)])
        digest.update(header.encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
