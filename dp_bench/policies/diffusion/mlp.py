"""A residual MLP for Diffusion Policy, made for CPUs: dense products only.

Letters: B batch, T = Tp steps of the sequence of actions, W width, K times, L blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from dp_bench.policies.layers import Linear, mish, sinusoidal_embedding


class Block(nn.Module):
    """A residual block of two dense layers, shifted by the condition."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = Linear(width, width)
        self.second = Linear(width, width)

    def forward(
        self, x: Tensor, shift: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Maps `(B, W)` to `(B, W)`; `shift` is `(B, W)`, too."""
        inner = mish(self.first(self.norm(x), dtype) + shift)
        return x + self.second(inner, dtype)


class Mlp(nn.Module):
    """Predicts the target of the objective for a sequence, given observations.

    The whole sequence is one vector. Every block adds a shift, which it computes from
    the condition [embedding of the time, observations] by a linear layer; these layers
    are stored as one, `shifts`. See `Network` for the three ways to call it.

    Args:
        action_dim: Da.
        obs_features: Size of the flattened observations, To * Do.
        steps: Tp.
        width: W.
        blocks: L.
        step_dim: Size of the embedding of a time; even.
    """

    def __init__(
        self,
        action_dim: int,
        obs_features: int,
        *,
        steps: int,
        width: int = 512,
        blocks: int = 3,
        step_dim: int = 64,
    ) -> None:
        super().__init__()
        self.step_dim = step_dim
        self.inward = Linear(steps * action_dim, width)
        self.embedding = nn.Sequential(
            nn.Linear(step_dim, 4 * step_dim), nn.Mish(), nn.Linear(4 * step_dim, width)
        )
        self.obs_layers = nn.ModuleList(
            [Linear(obs_features, width), Linear(width, width)]
        )
        self.shifts = Linear(width, (1 + blocks) * width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.outward = nn.Linear(width, steps * action_dim)

    def forward(
        self, x: Tensor, t: Tensor, obs: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Predicts the target for `x`; see `Network`."""
        condition = mish(self._of_times(t) + self._of_obs(obs, dtype))
        return self.denoise(x, self.shifts(condition, dtype), dtype)

    def conditions(self, t: Tensor, obs: Tensor) -> Tensor:
        """Computes the shifts of all blocks, `(K, B, (1 + L) W)`."""
        return self.shifts(mish(self._of_times(t)[:, None] + self._of_obs(obs)))

    def denoise(
        self, x: Tensor, condition: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Predicts the target for `x` from shifts `(B, (1 + L) W)`."""
        first, *others = condition.chunk(1 + len(self.blocks), dim=-1)
        y = self.inward(x.flatten(1), dtype) + first
        for block, shift in zip(self.blocks, others, strict=True):
            y = block(y, shift, dtype)
        return self.outward(mish(self.norm(y))).view(x.shape)

    def _of_times(self, t: Tensor) -> Tensor:
        """Embeds times `(K,)` as `(K, W)`."""
        return self.embedding(sinusoidal_embedding(t, self.step_dim))

    def _of_obs(self, obs: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Encodes observations `(B, To, Do)` as `(B, W)`."""
        first, second = cast(Iterable[Linear], self.obs_layers)
        return second(mish(first(obs.flatten(1), dtype)), dtype)
