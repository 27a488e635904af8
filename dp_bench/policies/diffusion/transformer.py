"""The time-series diffusion transformer, DP-T (Chi et al., 2023, section 3.1).

Letters: B batch, T = Tp steps of the sequence of actions, S = 1 + To tokens of the
memory (the diffusion step, then the observations), W width, K denoising steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dp_bench.policies.layers import (
    Linear,
    TransformerLayer,
    dropout,
    initialise_as_gpt,
    masked,
    mish,
    waves,
)


class Transformer(nn.Module):
    """Predicts the noise in a sequence of actions, given observations.

    Noisy actions are tokens that see each other up to themselves; the diffusion step
    and the observations are tokens of a memory, and action i sees the observations up
    to i.

    Args:
        action_dim: Da.
        obs_dim: Do.
        obs_steps: To.
        steps: Tp.
        width: W.
        heads: Divides W.
        layers: Of the decoder.
        condition_layers: Of an encoder of the memory; with 0 an MLP, which sees each
            token alone.
        causal: Whether the encoder shows an observation those before it only. If it
            shows all, action i can read off later ones what it was.
        dropout: Of attention, and of what each layer adds.
        embedding_dropout: Of tokens.
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
        """Predicts the noise.

        Args:
            x: Noisy actions, `(B, Tp, Da)`.
            t: Diffusion steps, `(B,)`.
            obs: Observations, `(B, To, Do)`.
            dtype: Type of the operands of matrix products, that of `x` if left out.

        Returns:
            Noise, `(B, Tp, Da)`.
        """
        tokens = torch.cat([self._step_tokens(t), self._obs_tokens(obs)], dim=1)
        memory = self._encoded(self._sparse(tokens), dtype)
        return self.denoise(x, self._keys_values(memory, dtype), dtype)

    def conditions(self, t: Tensor, obs: Tensor) -> Tensor:
        """What `denoise` needs at steps `(K,)` with observations `(B, To, Do)`.

        Keys and values of every layer, `(K, layers, B, S, 2 W)`. Without layers in the
        encoder, no token of the memory sees another: those of observations are
        computed once for all K.
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
            found = self._keys_values(self._encoded(tokens.flatten(0, 1)))
            return found.unflatten(1, (k, b)).transpose(0, 1)
        of_steps = self._keys_values(self._encoded(steps))  # (layers, K, 1, 2 W)
        of_obs = self._keys_values(self._encoded(seen))  # (layers, B, To, 2 W)
        of_steps = of_steps.transpose(0, 1)[:, :, None].expand(-1, -1, b, -1, -1)
        return torch.cat([of_steps, of_obs.expand(k, *of_obs.shape)], dim=3)

    def denoise(
        self, x: Tensor, condition: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Predicts noise in `(B, Tp, Da)` from one of `conditions`."""
        dtype = dtype or x.dtype
        y = self._sparse(self.action_token(x) + self.positions[: x.shape[1]])
        for layer, keys_values in zip(self.decoder, condition, strict=True):
            y = layer(y, self.mask, keys_values, self.memory_mask, dtype)
        return self.head(self.norm(y))

    def _step_tokens(self, t: Tensor) -> Tensor:
        """The tokens of diffusion steps `(B,)`, `(B, 1, W)`."""
        return (waves(t, self.width) + self.memory_positions[0])[:, None]

    def _obs_tokens(self, obs: Tensor) -> Tensor:
        """The tokens of observations `(B, To, Do)`, `(B, To, W)`."""
        return self.obs_token(obs) + self.memory_positions[1:]

    def _encoded(self, tokens: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """The memory made of tokens `(B, S, W)`."""
        dtype = dtype or tokens.dtype
        if self.condition_layers:
            for layer in self.encoder:
                tokens = layer(tokens, self.encoder_mask, dtype=dtype)
            return tokens
        widen, narrow = self.encoder
        return narrow(mish(widen(tokens, dtype)), dtype)

    def _keys_values(self, memory: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Keys and values of every layer for `(B, S, W)`, `(layers, B, S, 2 W)`."""
        layers: list[Any] = list(self.decoder)
        return torch.stack([x.cross.keys_values(memory, dtype) for x in layers])

    def _sparse(self, x: Tensor) -> Tensor:
        if not (self.training and self.embedding_dropout):
            return x
        return dropout(x, self.embedding_dropout)
