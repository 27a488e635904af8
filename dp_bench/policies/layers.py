"""Layers that the networks of several methods share.

Letters: B batch, T steps of a sequence, S steps of the memory it attends to, W width.

Matrix products take a `dtype` and round their operands to it (bfloat16 on a processor
that multiplies it natively). Inputs and outputs keep their own type.
"""

from __future__ import annotations

import math
from typing import Protocol, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp_bench.errors import BadInput

FEW = 4096  # elements; below, one slow operation is faster than several fast ones
FEW_PAIRS = 8  # pairs of query and key; up to here training multiplies attention out


class _Group(TypedDict):
    params: list[Tensor]
    weight_decay: float


class ParameterGroup(_Group, total=False):
    """Parameters that share a weight decay, as torch's optimisers name them.

    `lr_factor` multiplies the learning rate; 1 where it is missing.
    """

    lr_factor: float


class Context(Protocol):
    """What a `torch.autograd.Function` passes from its forward to its backward pass."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keeps tensors for the backward pass."""


def product(x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """Computes `F.linear` with operands rounded to `dtype`, in the type of `x`."""
    if dtype == x.dtype:
        return F.linear(x, weight, bias)
    return F.linear(x.to(dtype), weight.to(dtype), bias.to(dtype)).to(x.dtype)


class Linear(nn.Linear):
    """A linear layer that rounds the operands of its matrix product."""

    def forward(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Maps `(..., features in)` to `(..., features out)`, of the type of `x`."""
        return product(x, self.weight, self.bias, dtype or x.dtype)


class _Mish(torch.autograd.Function):
    """`torch.nn.functional.mish` (Misra, 2019), three times as fast on a CPU.

    Let `e = exp(x)` and `n = e + e^2 / 2`. Then tanh(log(1 + e)) is `n / (n + 1)`, and
    its derivative is `(e + e^2) / (n + 1)^2`. Beyond `x = 15` both are constant in
    float32. The forward pass computes the slope, as it has e and n already.
    """

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        e = x.clamp(max=15.0).exp_()
        n = torch.addcmul(e, e, e, value=0.5)
        inverse = (n + 1).reciprocal_()
        slope = e.addcmul_(e, e).mul_(inverse).mul_(inverse)
        share = n.mul_(inverse)
        ctx.save_for_backward(slope.mul_(x).add_(share))
        return share.mul_(x)

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> Tensor:  # type: ignore[override]
        (slope,) = ctx.saved_tensors
        return grad * slope


def mish(x: Tensor) -> Tensor:
    """Computes `x * tanh(softplus(x))`, by whichever way is fastest."""
    if torch.is_grad_enabled() and x.requires_grad:
        return _Mish.apply(x)
    if int(x.numel()) < FEW:
        return F.mish(x)
    e = x.clamp(max=15.0).exp_()
    n = e.addcmul_(e, e, value=0.5)
    return (n / (n + 1)).mul_(x)


def dropout(x: Tensor, share: float) -> Tensor:
    """Drops elements as `torch.nn.functional.dropout`, several times faster on a CPU.

    A CPU draws random numbers one after another; here one draw of 64 bits serves four
    elements. The share is rounded to a multiple of 2^-16, and the remaining elements
    are scaled to make up for exactly that share.
    """
    if x.device.type != "cpu":
        return F.dropout(x, share)
    dropped = min(round(share * 2**16), 2**16 - 1)
    draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64)
    draws.random_(-(2**63), None)
    kept = draws.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - 2**15
    return x * kept.to(x.dtype).mul_(2**16 / (2**16 - dropped))


def sinusoidal_embedding(t: Tensor, dim: int) -> Tensor:
    """Embeds diffusion steps `(B,)` as sines and cosines, `(B, dim)`; `dim` is even."""
    half = dim // 2
    exponents = torch.arange(half, device=t.device)
    phase = t[:, None] * torch.exp(-math.log(10_000) / (half - 1) * exponents)
    return torch.cat([phase.sin(), phase.cos()], dim=-1)


def masked(seen: Tensor) -> Tensor:
    """Turns a mask `(T, S)`, true where visible, into terms of attention scores."""
    return torch.zeros(seen.shape).masked_fill(~seen, -torch.inf)


def check_transformer(width: int, heads: int, layers: int) -> None:
    """Checks the sizes of a transformer.

    Raises:
        BadInput: For a size below 1, or heads that do not divide the width.
    """
    if min(width, heads, layers) < 1:
        raise BadInput(
            f"width, heads and layers must be at least 1, "
            f"got {width}, {heads} and {layers}"
        )
    if width % heads:
        raise BadInput(f"width {width} must be a multiple of heads {heads}")


def _attend_to_few(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Computes `scaled_dot_product_attention` for a handful of tokens.

    The kernel for CPUs works in blocks of many tokens, and is slow for few. This
    function multiplies every query `(B, H, T, D)` with every key `(B, H, S, D)`, and
    adds `mask` `(T, S)`. Returns `(B, H, T, D)`.
    """
    scores = (q[:, :, :, None] * k[:, :, None]).sum(-1) * q.shape[-1] ** -0.5 + mask
    return (scores.softmax(-1)[..., None] * v[:, :, None]).sum(-2)


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017).

    `inward` is the layers of queries, keys and values in one, in this order.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        check_transformer(width, heads, 1)
        self.width, self.heads, self.dropout = width, heads, dropout
        self.inward = Linear(width, 3 * width)
        self.outward = Linear(width, width)

    def keys_values(self, memory: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Computes keys and values `(B, S, 2 W)` of a memory `(B, S, W)`."""
        weight, bias = self.inward.weight[self.width :], self.inward.bias[self.width :]
        return product(memory, weight, bias, dtype or memory.dtype)

    def forward(
        self,
        x: Tensor,
        mask: Tensor,
        keys_values: Tensor | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Lets `(B, T, W)` attend to itself, or to the memory behind `keys_values`."""
        dtype = dtype or x.dtype
        weight, bias, w = self.inward.weight, self.inward.bias, self.width
        if keys_values is None:
            q, k, v = self.inward(x, dtype).chunk(3, dim=-1)
        else:
            q = product(x, weight[:w], bias[:w], dtype)
            k, v = keys_values.chunk(2, dim=-1)

        def heads(z: Tensor) -> Tensor:
            return z.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, T, W/H)

        q, k, v = heads(q), heads(k), heads(v)
        share = self.dropout if self.training else 0.0
        on_cpu = q.device.type == "cpu"  # its attention kernel has no fast dropout
        if share and on_cpu:
            scores = torch.baddbmm(
                mask,
                q.flatten(0, 1),
                k.flatten(0, 1).transpose(1, 2),
                alpha=(self.width / self.heads) ** -0.5,
            )  # (B H, T, S)
            shares = dropout(scores.softmax(-1), share)
            mixed = (shares @ v.flatten(0, 1)).view(q.shape)
        elif torch.is_grad_enabled() and on_cpu and mask.numel() <= FEW_PAIRS:
            mixed = _attend_to_few(q, k, v, mask)
        else:
            mixed = F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=share
            )
        mixed = mixed.transpose(1, 2).flatten(2)
        return self.outward(mixed, dtype)


class TransformerLayer(nn.Module):
    """A pre-norm layer: self-attention, attention to a memory if any, then an MLP.

    Args:
        width: W.
        heads: Attention heads; divides W.
        dropout: Dropout of attention weights and of each part's output.
        memory: Whether the layer attends to a memory.
        inner_dropout: Dropout of the MLP's hidden units.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        dropout: float = 0.0,
        memory: bool = False,
        inner_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 + memory))
        self.attention = Attention(width, heads, dropout)
        self.cross = Attention(width, heads, dropout) if memory else None
        self.widen = Linear(width, 4 * width)
        self.narrow = Linear(4 * width, width)
        self.dropout, self.inner_dropout = dropout, inner_dropout

    def forward(
        self,
        x: Tensor,
        mask: Tensor,
        keys_values: Tensor | None = None,
        memory_mask: Tensor | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Maps `(B, T, W)` to `(B, T, W)`.

        Args:
            x: The sequence.
            mask: Added to the scores of self-attention, `(T, T)`; see `masked`.
            keys_values: Keys and values of the memory, `(B, S, 2 W)`.
            memory_mask: Added to the scores of attention to the memory, `(T, S)`.
            dtype: Type of the operands of matrix products.
        """
        dtype = dtype or x.dtype
        share = self.dropout
        seen = self.attention(self.norms[0](x), mask, dtype=dtype)
        x = x + self._dropped(seen, share)
        if self.cross is not None:
            assert keys_values is not None
            assert memory_mask is not None
            seen = self.cross(self.norms[1](x), memory_mask, keys_values, dtype)
            x = x + self._dropped(seen, share)
        y = product(self.norms[-1](x), self.widen.weight, self.widen.bias, dtype)
        y = self._dropped(F.gelu(y), self.inner_dropout)
        y = product(y, self.narrow.weight, self.narrow.bias, dtype)
        return x + self._dropped(y, share)

    def _dropped(self, x: Tensor, share: float) -> Tensor:
        return dropout(x, share) if self.training and share else x


def initialise_as_gpt(network: nn.Module) -> None:
    """Draws small normal weights and sets biases to zero (Radford et al., 2019)."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def decay_matrices(network: nn.Module, weight_decay: float) -> list[ParameterGroup]:
    """Groups parameters so that only the weights of linear layers decay."""
    decayed: list[Tensor] = [
        m.weight for m in network.modules() if isinstance(m, nn.Linear)
    ]
    names = set(map(id, decayed))
    rest: list[Tensor] = [p for p in network.parameters() if id(p) not in names]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
