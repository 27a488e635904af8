"""The temporal U-Net of Diffusion Policy (Chi et al., 2023; after Janner et al., 2022).

Letters: B batch, T steps of the sequence, C channels, K steps under a kernel, F scales
and biases of all blocks together (films). Sequences are `(B, T, C)` throughout: K
neighbouring steps then lie side by side in memory, and a convolution along time is one
matrix product. At these sizes a CPU multiplies matrices several times faster than it
convolves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp_bench.errors import BadInput
from dp_bench.policies.layers import Context, mish, product, sinusoidal_embedding

NARROW = 32  # a matrix with a side below this is cheap to multiply in full precision


def neighbours(x: Tensor, size: int, *, stride: int = 1, padding: int = 0) -> Tensor:
    """Lays `size` neighbouring steps side by side, with zeros beyond the ends.

    Maps `(B, T, C)` to `(B, (T + 2 padding - size) // stride + 1, size * C)`.
    """
    batch, steps, features = map(int, x.shape)  # plain numbers, also while tracing
    if padding:
        beyond = x.new_zeros(batch, padding, features)
        x = torch.cat([beyond, x, beyond], dim=1)
    padded = steps + 2 * padding
    windows = (padded - size) // stride + 1
    shape = (batch, windows, size * features)
    return x.as_strided(shape, (padded * features, stride * features, 1)).contiguous()


class _Context(Context, Protocol):
    layout: tuple[int, int, int, int]  # sizes that the backward pass needs


class _Neighbours(torch.autograd.Function):
    """`neighbours` with a backward pass of `size` additions."""

    @staticmethod
    def forward(
        ctx: _Context, x: Tensor, size: int, stride: int, padding: int
    ) -> Tensor:
        ctx.layout = (x.shape[1], size, stride, padding)
        return neighbours(x, size, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx: _Context, grad: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        steps, size, stride, padding = ctx.layout
        batch, windows, width = grad.shape
        grad = grad.view(batch, windows, size, width // size)
        total = grad.new_zeros(batch, steps + 2 * padding, width // size)
        reach = (windows - 1) * stride + 1
        for k in range(size):
            total[:, k : k + reach : stride] += grad[:, :, k]
        return total[:, padding : padding + steps], None, None, None


class _TimeConv(torch.autograd.Function):
    """`F.linear(neighbours(x))` at stride 1, all matrix products backward too.

    The gradient of the input is the same operation on the gradient of the output, with
    the kernel reversed. The operands of all products are rounded to `dtype`; inputs and
    outputs have the type of `x`.
    """

    @staticmethod
    def forward(
        ctx: _Context, x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype
    ) -> Tensor:
        batch, steps, c_in = x.shape
        size = weight.shape[1] // c_in
        columns = neighbours(x.to(dtype), size, padding=size // 2).flatten(0, 1)
        weight = weight.to(dtype)
        ctx.save_for_backward(columns, weight)  # (B T, K c_in)
        ctx.layout = (batch, steps, c_in, size)
        flat = F.linear(columns, weight, bias.to(dtype))
        return flat.view(batch, steps, -1).to(x.dtype)

    @staticmethod
    def backward(
        ctx: _Context, grad: Tensor
    ) -> tuple[Tensor | None, Tensor, Tensor, None]:  # type: ignore[override]
        columns, weight = ctx.saved_tensors
        batch, steps, c_in, size = ctx.layout
        outside = grad.dtype  # the type of x
        c_out = len(weight)
        grad_bias = grad.sum((0, 1))
        grad = grad.to(weight.dtype)
        grad_x = None
        if ctx.needs_input_grad[0]:
            turned = weight.view(c_out, size, c_in).flip(1).transpose(0, 1)
            around = neighbours(grad, size, padding=size // 2)
            grad_x = (around @ turned.reshape(size * c_out, c_in)).to(outside)
        grad_weight = grad.reshape(batch * steps, c_out).t() @ columns
        return grad_x, grad_weight.to(outside), grad_bias, None


class TimeConv(nn.Linear):
    """A convolution along time: a linear layer over neighbouring steps.

    Its weight is `(c_out, K * c_in)`, step after step. The initial values are
    distributed as in `torch.nn.Conv1d`.
    """

    def __init__(self, c_in: int, c_out: int, size: int, *, stride: int = 1) -> None:
        super().__init__(size * c_in, c_out)
        self.size, self.stride = size, stride

    def forward(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Maps `(B, T, c_in)` to `(B, ceil(T / stride), c_out)`.

        The operands of matrix products are rounded to `dtype`, but for the narrow
        layers that read or write actions.
        """
        dtype = dtype if dtype and min(self.weight.shape) >= NARROW else x.dtype
        if self.size == 1:
            return product(x, self.weight, self.bias, dtype)
        padding = self.size // 2
        if not torch.is_grad_enabled():
            x = neighbours(x, self.size, stride=self.stride, padding=padding)
            return F.linear(x, self.weight, self.bias)
        if self.stride == 1:
            return _TimeConv.apply(x, self.weight, self.bias, dtype)
        x = _Neighbours.apply(x, self.size, self.stride, padding)
        return product(x, self.weight, self.bias, dtype)


class Grow(nn.Module):
    """Doubles a sequence: a transposed convolution of size 4, stride 2, padding 1.

    Such a convolution computes every even step from (t - 1, t) and every odd step from
    (t, t + 1), each by a linear layer; `weight` is `(2, C, 2 C)` for even and odd.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(4 * channels)  # as in torch.nn.ConvTranspose1d
        uniform = nn.init.uniform_
        self.weight = nn.Parameter(
            uniform(torch.empty(2, channels, 2 * channels), -bound, bound)
        )
        self.bias = nn.Parameter(uniform(torch.empty(channels), -bound, bound))

    def forward(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Maps `(B, T, C)` to `(B, 2 T, C)`."""
        dtype = dtype or x.dtype
        if torch.is_grad_enabled():
            pairs = _Neighbours.apply(x, 2, 1, 1)
        else:
            pairs = neighbours(x, 2, padding=1)  # (B, T + 1, 2 C)
        even = product(pairs[:, :-1], self.weight[0], self.bias, dtype)
        odd = product(pairs[:, 1:], self.weight[1], self.bias, dtype)
        return torch.stack([even, odd], dim=2).flatten(1, 2)


class ConvBlock(nn.Module):
    """A convolution that keeps the length, then group norm and Mish."""

    def __init__(self, c_in: int, c_out: int, *, size: int, groups: int) -> None:
        super().__init__()
        self.conv = TimeConv(c_in, c_out, size)
        self.norm = nn.GroupNorm(groups, c_out)

    def forward(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Maps `(B, T, c_in)` to `(B, T, c_out)`."""
        x = self.conv(x, dtype)
        image = x.unsqueeze(2).permute(0, 3, 1, 2)  # (B, C, T, 1), channels last
        return mish(self.norm(image).permute(0, 2, 3, 1).flatten(1, 2))


class ResidualBlock(nn.Module):
    """Two convolutions; between them the condition scales and shifts every channel."""

    def __init__(self, c_in: int, c_out: int, *, size: int, groups: int) -> None:
        super().__init__()
        self.first = ConvBlock(c_in, c_out, size=size, groups=groups)
        self.second = ConvBlock(c_out, c_out, size=size, groups=groups)
        self.skip = TimeConv(c_in, c_out, 1) if c_in != c_out else None

    def forward(
        self, x: Tensor, film: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Maps `(B, T, c_in)` and scale and bias `(B, 2 c_out)` to `(B, T, c_out)`."""
        scale, bias = film.unflatten(1, (2, 1, -1)).unbind(1)  # (B, 1, c_out) each
        inner = torch.addcmul(bias, scale, self.first(x, dtype))
        residual = x if self.skip is None else self.skip(x, dtype)
        return self.second(inner, dtype) + residual


class StepEmbedding(nn.Module):
    """Embeds a diffusion step: sines and cosines, then an MLP."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.Mish(), nn.Linear(4 * dim, dim)
        )

    def forward(self, t: Tensor) -> Tensor:
        """Embeds diffusion steps `(B,)` as `(B, dim)`."""
        return self.mlp(sinusoidal_embedding(t, self.dim))


class Unet(nn.Module):
    """Predicts the target of the objective for a sequence, given observations.

    Every residual block computes its scales and biases from the condition [step
    embedding, observations] by a linear layer of its own. These layers are stored as
    one, `film`: a forward pass multiplies by it once, and a sampler computes the two
    halves of the product apart, each only when it changes. See `Network` for the three
    ways to call the network.

    Args:
        action_dim: Da.
        obs_features: Size of the flattened observations, To * Do.
        channels: Channels of each level, outermost first; the sequence is halved
            between levels.
        kernel_size: Kernel size of the convolutions along time; odd.
        groups: Groups of every group norm; divides every entry of `channels`.
        step_dim: Size of the step embedding; even.

    Raises:
        BadInput: When the sizes do not fit together.
    """

    def __init__(
        self,
        action_dim: int,
        obs_features: int,
        *,
        channels: tuple[int, ...] = (256, 512, 1024),
        kernel_size: int = 5,
        groups: int = 8,
        step_dim: int = 256,
    ) -> None:
        super().__init__()
        if not channels or any(c % groups for c in channels):
            raise BadInput(f"channels {channels} must be multiples of groups {groups}")
        if kernel_size % 2 == 0:
            raise BadInput(f"kernel_size must be odd, got {kernel_size}")
        if step_dim % 2 or step_dim < 4:
            raise BadInput(f"step_dim must be even and at least 4, got {step_dim}")

        def pair(c_in: int, c_out: int) -> nn.ModuleList:
            sizes = {"size": kernel_size, "groups": groups}
            return nn.ModuleList(
                [
                    ResidualBlock(c_in, c_out, **sizes),
                    ResidualBlock(c_out, c_out, **sizes),
                ]
            )

        outer, inner = channels[0], channels[-1]
        ins = (action_dim, *channels[:-1])
        self.step_embedding = StepEmbedding(step_dim)
        self.down = nn.ModuleList(map(pair, ins, channels))
        self.shrink = nn.ModuleList(TimeConv(c, c, 3, stride=2) for c in channels[:-1])
        self.middle = pair(inner, inner)
        steps_up = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.up = nn.ModuleList(pair(2 * c_in, c_out) for c_in, c_out in steps_up)
        self.grow = nn.ModuleList(Grow(c_out) for _, c_out in steps_up)
        self.last = ConvBlock(outer, outer, size=kernel_size, groups=groups)
        self.out = TimeConv(outer, action_dim, 1)

        self.step_dim = step_dim
        self.film_sizes = [2 * b.second.conv.out_features for b in self.blocks()]
        self.film = nn.Linear(step_dim + obs_features, sum(self.film_sizes))

    def blocks(self) -> list[ResidualBlock]:
        """Lists the residual blocks in the order of their parts of `film`."""
        pairs = cast(list[nn.ModuleList], [*self.down, self.middle, *self.up])
        return cast(list[ResidualBlock], [block for pair in pairs for block in pair])

    def forward(
        self, x: Tensor, t: Tensor, obs: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Predicts the target for `x`; see `Network`."""
        dtype = dtype or x.dtype
        condition = mish(torch.cat([self.step_embedding(t), obs.flatten(1)], dim=-1))
        film = product(condition, self.film.weight, self.film.bias, dtype)
        return self.denoise(x, film, dtype)

    def conditions(self, t: Tensor, obs: Tensor) -> Tensor:
        """Computes the films `(K, B, F)`, a sum over steps and observations."""
        of_steps = F.linear(
            mish(self.step_embedding(t)), self.film.weight[:, : self.step_dim]
        )
        of_obs = F.linear(
            mish(obs.flatten(1)), self.film.weight[:, self.step_dim :], self.film.bias
        )
        return of_obs + of_steps[:, None]

    def denoise(
        self, x: Tensor, condition: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Predicts the target for `x` from films `(B, F)`."""
        down = cast(Iterable[nn.ModuleList], self.down)
        up = cast(Iterable[nn.ModuleList], self.up)
        films = iter(condition.split(self.film_sizes, dim=1))
        skips = []
        for level, pair in enumerate(down):
            for block in pair:
                x = block(x, next(films), dtype)
            skips.append(x)
            if level < len(self.shrink):
                x = self.shrink[level](x, dtype)  # T -> T / 2
        for block in self.middle:
            x = block(x, next(films), dtype)
        for pair, grow in zip(up, self.grow, strict=True):
            x = torch.cat([x, skips.pop()], dim=-1)
            for block in pair:
                x = block(x, next(films), dtype)
            x = grow(x, dtype)  # T -> 2 T
        return self.out(self.last(x, dtype))
