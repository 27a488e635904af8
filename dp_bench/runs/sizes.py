"""Whether settings ask for a network of about the size of its weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dp_bench.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor, nn

N = TypeVar("N", bound="nn.Module")

SPARE_TENSORS, SPARE_NUMBERS = 1000, 1 << 20  # that a policy may hold unsaved


def built(build: Callable[[], N], tensors: Mapping[str, Tensor], file: Path) -> N:
    """Makes a network, and refuses settings of a far larger one than a file holds.

    A tensor is refused when it becomes part of the network, and takes no memory before
    numbers are drawn for it.

    Args:
        build: Makes the network.
        tensors: What the file holds.
        file: The file of weights, for errors.

    Raises:
        BadInput: When the network has more than twice as many tensors or numbers.
    """
    from torch.nn.modules.module import (
        register_module_buffer_registration_hook as on_buffer,
    )
    from torch.nn.modules.module import (
        register_module_parameter_registration_hook as on_parameter,
    )

    held = sum(tensor.numel() for tensor in tensors.values())
    left = [2 * len(tensors) + SPARE_TENSORS, 2 * held + SPARE_NUMBERS]
    fault = BadInput(
        f"{file} holds {held} numbers, and the settings in run.json ask for far more: "
        f"one of the two files is damaged or of another run"
    )

    def count(_: nn.Module, name: str, tensor: Tensor | None) -> None:
        if tensor is not None:
            left[0] -= 1
            left[1] -= tensor.numel()
            if min(left) < 0:
                raise fault

    with contextlib.ExitStack() as stack:
        for register in (on_buffer, on_parameter):
            stack.callback(register(count).remove)
        try:
            return build()
        except (RuntimeError, MemoryError, OverflowError):  # sizes beyond torch's
            raise fault from None
