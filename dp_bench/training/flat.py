"""Many parameters in one vector."""

from __future__ import annotations

import torch
from torch import Tensor


class FlatParameters:
    """The parameters of one group, laid one after the other in one vector `values`.

    Each operation has a fixed price on a CPU. Clipping, the optimiser and the moving
    average then take one operation for all parameters instead of one for each.

    Args:
        params: Of any shapes, all float32; they become views of `values`.
    """

    def __init__(self, params: list[Tensor]) -> None:
        self.params = params
        self.values = torch.nn.Parameter(
            torch.cat([p.detach().flatten() for p in self.params])
        )
        for p, piece in zip(params, self.split(self.values.detach()), strict=True):
            p.data = piece

    def split(self, vector: Tensor) -> list[Tensor]:
        """Views a vector like `values` as one piece per parameter, in its shape."""
        pieces = vector.split([p.numel() for p in self.params])
        return [
            piece.view(p.shape) for p, piece in zip(self.params, pieces, strict=True)
        ]

    def gather_gradients(self) -> None:
        """Moves the gradients of the parameters to the gradient of `values`."""
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.params]
        self.values.grad = torch.cat([g.flatten() for g in grads])
        for p in self.params:
            p.grad = None
