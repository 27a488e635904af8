"""Weights of published implementations -> our networks.

The published names are those of the reference implementation of Diffusion Policy
(Chi et al., 2023); only the layout is translated, never the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dp_bench.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor, nn


def reference_network(
    kind: str, weights: Mapping[str, np.ndarray], **sizes: Any
) -> nn.Module:
    """Builds our network with published weights.

    Args:
        kind: Which network: "unet1d".
        weights: Arrays under the published parameter names.
        **sizes: What the weights cannot tell: `n_groups` for "unet1d" (8 by default).

    Returns:
        A module in evaluation mode, with `forward(noisy_actions (B, Tp, Da),
        timesteps (B,), obs (B, To, Do)) -> (B, Tp, Da)`.

    Raises:
        BadInput: For an unknown kind, or weights that do not fit it.
    """
    if kind not in KINDS:
        raise BadInput(f"no network kind {kind!r}; there are {', '.join(KINDS)}")
    try:
        return KINDS[kind](weights, **sizes).eval()
    except KeyError as error:
        raise BadInput(f"the weights of a {kind!r} lack {error}") from None
    except TypeError as error:
        raise BadInput(f"sizes {sorted(sizes)} do not fit {kind!r}: {error}") from None


def _unet1d(weights: Mapping[str, np.ndarray], *, n_groups: int = 8) -> nn.Module:
    import torch
    from torch import nn

    from dp_bench.diffusion.unet import Unet

    published = {name: torch.as_tensor(np.asarray(w)) for name, w in weights.items()}
    levels = len({n.split(".")[1] for n in published if n.startswith("down_modules.")})
    firsts = [
        published[f"down_modules.{i}.0.blocks.0.block.0.weight"] for i in range(levels)
    ]
    step_dim = published["diffusion_step_encoder.1.weight"].shape[1]
    condition = published["down_modules.0.0.cond_encoder.1.weight"].shape[1]
    unet = Unet(
        firsts[0].shape[1],
        condition - step_dim,
        channels=tuple(len(first) for first in firsts),
        kernel_size=firsts[0].shape[2],
        groups=n_groups,
        step_dim=step_dim,
    )
    used: set[str] = set()

    def take(name: str) -> Tensor:
        used.add(name)
        return published[name]

    ours: dict[str, Tensor] = {}

    def layer(our: str, theirs: str, weight: Callable[[Tensor], Tensor]) -> None:
        ours[f"{our}.weight"] = weight(take(f"{theirs}.weight"))
        ours[f"{our}.bias"] = take(f"{theirs}.bias")

    def conv_block(our: str, theirs: str) -> None:
        layer(f"{our}.conv", f"{theirs}.block.0", _as_linear)
        layer(f"{our}.norm", f"{theirs}.block.1", _as_is)

    names = [
        (f"down.{i}.{j}", f"down_modules.{i}.{j}")
        for i in range(levels)
        for j in (0, 1)
    ]
    names += [(f"middle.{j}", f"mid_modules.{j}") for j in (0, 1)]
    names += [
        (f"up.{i}.{j}", f"up_modules.{i}.{j}")
        for i in range(levels - 1)
        for j in (0, 1)
    ]
    for our, theirs in names:
        conv_block(f"{our}.first", f"{theirs}.blocks.0")
        conv_block(f"{our}.second", f"{theirs}.blocks.1")
        if f"{theirs}.residual_conv.weight" in published:
            layer(f"{our}.skip", f"{theirs}.residual_conv", _as_linear)
    for part in ("weight", "bias"):
        films = [take(f"{theirs}.cond_encoder.1.{part}") for _, theirs in names]
        ours[f"film.{part}"] = torch.cat(films)
    for i in range(levels - 1):
        layer(f"shrink.{i}", f"down_modules.{i}.2.conv", _as_linear)
        layer(f"grow.{i}", f"up_modules.{i}.2.conv", _as_grow)
    layer("step_embedding.mlp.0", "diffusion_step_encoder.1", _as_is)
    layer("step_embedding.mlp.2", "diffusion_step_encoder.3", _as_is)
    conv_block("last", "final_conv.0")
    layer("out", "final_conv.1", _as_linear)
    _load(unet, ours, unused=set(published) - used)

    class Reference(nn.Module):
        """Flattens observations, as the published network leaves to its caller."""

        def __init__(self) -> None:
            super().__init__()
            self.unet = unet

        def forward(
            self, noisy_actions: Tensor, timesteps: Tensor, obs: Tensor
        ) -> Tensor:
            return self.unet(noisy_actions, timesteps, obs.flatten(1))

    return Reference()


def _as_is(weight: Tensor) -> Tensor:
    return weight


def _as_linear(weight: Tensor) -> Tensor:
    """A convolution kernel `(c_out, c_in, K)` as a linear layer `(c_out, K c_in)`."""
    return weight.transpose(1, 2).flatten(1)


def _as_grow(weight: Tensor) -> Tensor:
    """A transposed kernel `(c_in, c_out, 4)` as its even and odd linear layers.

    Output 2t sums kernel step 3 at t - 1 and 1 at t; output 2t + 1 sums 2 at t and 0
    at t + 1.
    """
    import torch

    w = weight.permute(2, 1, 0)  # (4, c_out, c_in)
    even, odd = torch.cat([w[3], w[1]], dim=1), torch.cat([w[2], w[0]], dim=1)
    return torch.stack([even, odd])


def _load(network: nn.Module, weights: dict[str, Tensor], unused: set[str]) -> None:
    if unused:
        raise BadInput(f"weights that this network has no place for: {sorted(unused)}")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise BadInput(f"weights do not fit the network: {error}") from None


KINDS: dict[str, Callable[..., Any]] = {"unet1d": _unet1d}
