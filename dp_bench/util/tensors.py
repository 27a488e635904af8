"""Tensors on disk: safetensors files that carry a few JSON facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.errors import BadInput
from dp_bench.util.files import atomic_write
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
        save_file(data, part, metadata={"facts": json.dumps(facts)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], JsonObject]:
    """Reads tensors and facts that `save_tensors` wrote.

    Raises:
        BadInput: When the file is damaged, or another program wrote it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            facts = json.loads((file.metadata() or {}).get("facts", "null"))
    except (SafetensorError, ValueError) as error:
        raise BadInput(
            f"{path} is damaged or not a safetensors file ({error}); "
            "delete it and train again"
        ) from None
    if not isinstance(facts, dict):
        raise BadInput(f"{path} was not written by dp-bench; delete it and train again")
    return tensors, facts
