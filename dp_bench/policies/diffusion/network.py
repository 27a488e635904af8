"""What Diffusion Policy asks of a network, and a faster way to ask it for one lane."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn


class Network(Protocol):
    """A network that maps noisy actions to a sequence of the same shape.

    The objective decides what it predicts: the noise, the actions, or a velocity.

    Training calls the network as a whole. A sampler first calls `conditions` once a
    decision, and then `denoise` once a denoising step: what depends on the observations
    or on the time alone is computed only once.

    The operands of large matrix products are rounded to `dtype` where one is given;
    everything else has the type of `x`.
    """

    def __call__(
        self, x: Tensor, t: Tensor, obs: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Predicts the objective's target.

        Args:
            x: Noisy actions, `(B, Tp, Da)`.
            t: Times, `(B,)`: diffusion steps, say.
            obs: Observations, `(B, To, Do)`.
            dtype: Type of the operands of large matrix products.

        Returns:
            The prediction, `(B, Tp, Da)`.
        """
        ...

    def conditions(self, t: Tensor, obs: Tensor) -> Tensor:
        """Computes the conditions that `denoise` takes.

        Args:
            t: Times, `(K,)`.
            obs: Observations, `(B, To, Do)`.

        Returns:
            One condition for each time, `(K, ...)`.
        """
        ...

    def denoise(
        self, x: Tensor, condition: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Predicts the target, given one row of `conditions`.

        Args:
            x: Noisy actions, `(B, Tp, Da)`.
            condition: Its shape is that of the network's own conditions.
            dtype: Type of the operands of large matrix products.

        Returns:
            The prediction, `(B, Tp, Da)`.
        """
        ...


class _Denoise(nn.Module):
    """Makes the `denoise` of a network the `forward` of a module, as tracing needs."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.network.denoise(x, condition)


def traced(
    network: Network, x: Tensor, condition: Tensor
) -> Callable[[Tensor, Tensor], Tensor]:
    """Records `network.denoise` as a list of operations that runs without Python.

    For one lane the arithmetic is so little that Python takes half of the time. The
    recording works for inputs of the shapes of `x` and `condition` only. It refers to
    the network's weights, so it follows when other weights are loaded.
    """
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # sizes become constants, on purpose
        shapes = (torch.zeros(x.shape), torch.zeros(condition.shape))
        return torch.jit.trace(_Denoise(network), shapes, check_trace=False)
