"""DP-T with adaptive layer norm (Peebles and Xie, 2023; Zhu et al., 2024, ScaleDP).

Letters: B batch, T = Tp steps of the sequence of actions, W width, K times, L layers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp_bench.policies.layers import (
    Attention,
    Linear,
    dropout,
    initialise_as_gpt,
    mish,
    product,
    sinusoidal_embedding,
)

PARTS = 6  # of the condition of a layer: shift, scale and gate, of two parts each


class AdaptiveLayer(nn.Module):
    """Self-attention and an MLP, whose inputs and outputs the condition scales.

    Args:
        width: W.
        heads: Attention heads; divides W.
        dropout: Dropout of attention weights and of each part's output.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = Attention(width, heads, dropout)
        self.widen = Linear(width, 4 * width)
        self.narrow = Linear(4 * width, width)
        self.dropout = dropout

    def forward(
        self,
        x: Tensor,
        mask: Tensor,
        condition: Tensor,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Maps `(B, T, W)` to `(B, T, W)`, with a condition `(B, 6 W)`."""
        dtype = dtype or x.dtype
        shift, scale, gate, shift_2, scale_2, gate_2 = condition.unflatten(
            1, (PARTS, 1, -1)
        ).unbind(1)  # (B, 1, W) each
        inner = torch.addcmul(shift, 1 + scale, self.norm(x))
        x = x + gate * self._dropped(self.attention(inner, mask, dtype=dtype))
        inner = torch.addcmul(shift_2, 1 + scale_2, self.norm(x))
        inner = F.gelu(product(inner, self.widen.weight, self.widen.bias, dtype))
        inner = product(inner, self.narrow.weight, self.narrow.bias, dtype)
        return x + gate_2 * self._dropped(inner)

    def _dropped(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout) if self.training and self.dropout else x


class AdaptiveTransformer(nn.Module):
    """Predicts the target of the objective for a sequence, given observations.

    Every action is a token and attends to all others. Time and observations make one
    vector, and each layer computes shifts, scales and gates from it. All gates begin at
    zero: an untrained layer passes its input on. See `Network` for the three ways to
    call it.

    Args:
        action_dim: Da.
        obs_features: Size of the flattened observations, To * Do.
        steps: Tp.
        width: W; even.
        heads: Attention heads; divides W.
        layers: L.
        dropout: Dropout of attention weights and of the output of each part.
    """

    def __init__(
        self,
        action_dim: int,
        obs_features: int,
        *,
        steps: int,
        width: int = 256,
        heads: int = 4,
        layers: int = 8,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.width = width
        self.action_token = nn.Linear(action_dim, width)
        self.positions = nn.Parameter(torch.empty(steps, width))
        self.time_layers = nn.Sequential(
            nn.Linear(width, width), nn.Mish(), nn.Linear(width, width)
        )
        self.obs_layers = nn.Sequential(
            nn.Linear(obs_features, width), nn.Mish(), nn.Linear(width, width)
        )
        self.layers = nn.ModuleList(
            AdaptiveLayer(width, heads, dropout) for _ in range(layers)
        )
        self.modulation = Linear(width, (PARTS * layers + 2) * width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.head = nn.Linear(width, action_dim)

        initialise_as_gpt(self)
        nn.init.normal_(self.positions, std=0.02)
        nn.init.zeros_(self.modulation.weight)
        self.register_buffer("mask", torch.zeros(steps, steps), persistent=False)
        self.mask: Tensor

    def forward(
        self, x: Tensor, t: Tensor, obs: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Predicts the target for `x`; see `Network`."""
        condition = mish(self._of_times(t) + self.obs_layers(obs.flatten(1)))
        return self.denoise(x, self.modulation(condition, dtype), dtype)

    def conditions(self, t: Tensor, obs: Tensor) -> Tensor:
        """Computes shifts, scales and gates of all layers, `(K, B, (6 L + 2) W)`."""
        of_obs = self.obs_layers(obs.flatten(1))
        return self.modulation(mish(self._of_times(t)[:, None] + of_obs))

    def denoise(
        self, x: Tensor, condition: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Predicts the target for `x` from a condition `(B, (6 L + 2) W)`."""
        sizes = [PARTS * self.width] * len(self.layers) + [2 * self.width]
        *conditions, last = condition.split(sizes, dim=-1)
        y = self.action_token(x) + self.positions[: x.shape[1]]
        for layer, part in zip(self.layers, conditions, strict=True):
            y = layer(y, self.mask, part, dtype)
        shift, scale = last.unflatten(1, (2, 1, -1)).unbind(1)
        return self.head(torch.addcmul(shift, 1 + scale, self.norm(y)))

    def _of_times(self, t: Tensor) -> Tensor:
        """Embeds times `(K,)` as `(K, W)`."""
        return self.time_layers(sinusoidal_embedding(t, self.width))
