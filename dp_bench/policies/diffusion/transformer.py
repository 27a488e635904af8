"""The time-series diffusion transformer, DP-T (Chi et al., 2023, section 3.1).

Letters: B batch, T = Tp steps of the sequence of actions, S = 1 + To tokens of the
memory (the diffusion step, then the observations), W width, K diffusion steps.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from dp_bench.policies.layers import (
    Attention,
    Linear,
    TransformerLayer,
    dropout,
    initialise_as_gpt,
    masked,
    mish,
    sinusoidal_embedding,
)


class Transformer(nn.Module):
    """Predicts the target of the objective for a sequence, given observations.

    Every noisy action is a token and attends to itself and to earlier ones. The
    diffusion step and the observations are tokens of a memory; action i attends to the
    step and to observations 0 to i. See `Network` for the three ways to call it.

    Args:
        action_dim: Da.
        obs_dim: Do.
        obs_steps: To.
        steps: Tp.
        width: W.
        heads: Attention heads; divides W.
        layers: Layers of the decoder.
        condition_layers: Layers of the memory's encoder; with 0 the encoder is an MLP,
            which sees each token alone.
        causal: Whether the encoder hides later observations from earlier ones. If it
            hides none, action i can be inferred from the observations after it.
        dropout: Dropout of attention weights and of the output of each layer.
        embedding_dropout: Dropout of tokens.
    """

    def __init__(
        self,
        action_dim: int,
        obs_dim: int,
        *,
        obs_steps: int,
        steps: int,
        width: int = 256,
        heads: int = 4,
        layers: int = 8,
        condition_layers: int = 0,
        causal: bool = False,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.width, self.embedding_dropout = width, embedding_dropout
        self.action_token = nn.Linear(action_dim, width)
        self.obs_token = nn.Linear(obs_dim, width)
        self.positions = nn.Parameter(torch.empty(steps, width))
        self.memory_positions = nn.Parameter(torch.empty(1 + obs_steps, width))
        self.encoder = nn.ModuleList(
            TransformerLayer(width, heads, dropout=dropout, inner_dropout=dropout)
            for _ in range(condition_layers)
        )
        if not condition_layers:
            self.encoder.extend([Linear(width, 4 * width), Linear(4 * width, width)])
        self.decoder = nn.ModuleList(
            TransformerLayer(
                width, heads, dropout=dropout, memory=True, inner_dropout=dropout
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, action_dim)
        self.condition_layers = condition_layers

        initialise_as_gpt(self)
        nn.init.normal_(self.positions, std=0.02)
        nn.init.normal_(self.memory_positions, std=0.02)
        i, s = torch.arange(steps)[:, None], torch.arange(1 + obs_steps)
        encoded = torch.ones(1 + obs_steps, 1 + obs_steps, dtype=torch.bool)
        for name, seen in (
            ("mask", torch.arange(steps) <= i),
            ("memory_mask", s - 1 <= i),  # token s is observation s - 1; 0 is the step
            ("encoder_mask", encoded.tril() if causal else encoded),
        ):
            self.register_buffer(name, masked(seen), persistent=False)
        self.mask: Tensor
        self.memory_mask: Tensor
        self.encoder_mask: Tensor

    def forward(
        self, x: Tensor, t: Tensor, obs: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Predicts the target for `x`; see `Network`."""
        tokens = torch.cat([self._step_tokens(t), self._obs_tokens(obs)], dim=1)
        memory = self._encoded(self._dropped(tokens), dtype)
        return self.denoise(x, self._keys_values(memory, dtype), dtype)

    def conditions(self, t: Tensor, obs: Tensor) -> Tensor:
        """Computes keys and values of every layer, `(K, layers, B, S, 2 W)`.

        If the encoder is an MLP, no token of the memory sees another, and the tokens of
        observations are computed once for all K.
        """
        steps, seen = self._step_tokens(t), self._obs_tokens(obs)
        k, b = len(t), len(obs)
        if self.condition_layers:
            tokens = torch.cat(
                [
                    steps[:, None].expand(k, b, -1, -1),
                    seen.expand(k, *seen.shape),
                ],
                dim=2,
            )
            keys_values = self._keys_values(self._encoded(tokens.flatten(0, 1)))
            return keys_values.unflatten(1, (k, b)).transpose(0, 1)
        of_steps = self._keys_values(self._encoded(steps))  # (layers, K, 1, 2 W)
        of_obs = self._keys_values(self._encoded(seen))  # (layers, B, To, 2 W)
        of_steps = of_steps.transpose(0, 1)[:, :, None].expand(-1, -1, b, -1, -1)
        return torch.cat([of_steps, of_obs.expand(k, *of_obs.shape)], dim=3)

    def denoise(
        self, x: Tensor, condition: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Predicts the target for `x` from keys and values `(layers, B, S, 2 W)`."""
        dtype = dtype or x.dtype
        y = self._dropped(self.action_token(x) + self.positions[: x.shape[1]])
        for layer, keys_values in zip(self.decoder, condition, strict=True):
            y = layer(y, self.mask, keys_values, self.memory_mask, dtype)
        return self.head(self.norm(y))

    def _step_tokens(self, t: Tensor) -> Tensor:
        """Embeds diffusion steps `(B,)` as tokens `(B, 1, W)`."""
        return (sinusoidal_embedding(t, self.width) + self.memory_positions[0])[:, None]

    def _obs_tokens(self, obs: Tensor) -> Tensor:
        """Embeds observations `(B, To, Do)` as tokens `(B, To, W)`."""
        return self.obs_token(obs) + self.memory_positions[1:]

    def _encoded(self, tokens: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Encodes tokens `(B, S, W)` into the memory `(B, S, W)`."""
        dtype = dtype or tokens.dtype
        if self.condition_layers:
            for layer in self.encoder:
                tokens = layer(tokens, self.encoder_mask, dtype=dtype)
            return tokens
        widen, narrow = self.encoder
        return narrow(mish(widen(tokens, dtype)), dtype)

    def _keys_values(self, memory: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Computes keys and values of every layer for a memory `(B, S, W)`.

        Returns `(layers, B, S, 2 W)`.
        """
        crosses = [cast(Attention, layer.cross) for layer in self.decoder]
        return torch.stack([cross.keys_values(memory, dtype) for cross in crosses])

    def _dropped(self, x: Tensor) -> Tensor:
        if not (self.training and self.embedding_dropout):
            return x
        return dropout(x, self.embedding_dropout)
