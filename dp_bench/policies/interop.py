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

    | kind | forward | by keyword |
    |---|---|---|
    | unet1d | `(noisy_actions (B, Tp, Da), timesteps (B,), obs (B, To, Do)) -> (B, Tp, Da)` | `n_groups` (8) |
    | transformer | the same | `n_head` |
    | lstm_gmm | `(obs (B, T, Do)) -> torch.distributions.MixtureSameFamily` | `n_modes` (5) |
    | bet | `(obs (B, T, Do)) -> (B, T, K + K Da)`: K logits, then offsets by cluster | `n_head` |

    Args:
        kind: Which network, of those above.
        weights: Arrays under the published parameter names.
        **sizes: What the weights cannot tell.

    Returns:
        A module in evaluation mode.

    Raises:
        BadInput: For an unknown kind, or weights that do not fit it.
    """  # noqa: E501
    if kind not in KINDS:
        raise BadInput(f"no network kind {kind!r}; there are {', '.join(KINDS)}")
    try:
        return KINDS[kind](weights, **sizes).eval()
    except BadInput:
        raise
    except KeyError as error:
        raise BadInput(f"the weights of a {kind!r} lack {error}") from None
    except TypeError as error:
        raise BadInput(f"sizes {sorted(sizes)} do not fit {kind!r}: {error}") from None
    except (IndexError, ValueError, ZeroDivisionError):
        raise BadInput(
            f"a weight or a size of the {kind!r} has a wrong shape"
        ) from None


def _unet1d(weights: Mapping[str, np.ndarray], *, n_groups: int = 8) -> nn.Module:
    import torch

    from dp_bench.policies.diffusion.unet import Unet

    published = _Published(weights)
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
    ours, take, layer = published.ours, published.take, published.layer

    def conv_block(our: str, theirs: str) -> None:
        layer(f"{our}.conv", f"{theirs}.block.0", _as_linear)
        layer(f"{our}.norm", f"{theirs}.block.1")

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
    layer("step_embedding.mlp.0", "diffusion_step_encoder.1")
    layer("step_embedding.mlp.2", "diffusion_step_encoder.3")
    conv_block("last", "final_conv.0")
    layer("out", "final_conv.1", _as_linear)
    return published.load_into(unet)


def _transformer(weights: Mapping[str, np.ndarray], *, n_head: int) -> nn.Module:
    from dp_bench.policies.diffusion.transformer import Transformer

    published = _Published(weights)
    take, layer = published.take, published.layer
    published.ignore("_dummy_variable", "mask", "memory_mask")
    condition_layers = published.count("encoder.layers")
    layers = published.count("decoder.layers")
    network = Transformer(
        published["input_emb.weight"].shape[1],
        published["cond_obs_emb.weight"].shape[1],
        obs_steps=published["cond_pos_emb"].shape[1] - 1,
        steps=published["pos_emb"].shape[1],
        width=published["input_emb.weight"].shape[0],
        heads=n_head,
        layers=layers,
        condition_layers=condition_layers,
    )
    published.ours["positions"] = take("pos_emb")[0]
    published.ours["memory_positions"] = take("cond_pos_emb")[0]
    layer("action_token", "input_emb")
    layer("obs_token", "cond_obs_emb")
    layer("norm", "ln_f")
    layer("head", "head")

    def attention(our: str, theirs: str) -> None:
        for part in ("weight", "bias"):
            name = f"{our}.inward.{part}"
            published.ours[name] = take(f"{theirs}.in_proj_{part}")
        layer(f"{our}.outward", f"{theirs}.out_proj")

    def whole(our: str, theirs: str, norms: int) -> None:
        attention(f"{our}.attention", f"{theirs}.self_attn")
        layer(f"{our}.widen", f"{theirs}.linear1")
        layer(f"{our}.narrow", f"{theirs}.linear2")
        for k in range(norms):
            layer(f"{our}.norms.{k}", f"{theirs}.norm{k + 1}")

    for i in range(condition_layers):
        whole(f"encoder.{i}", f"encoder.layers.{i}", norms=2)
    if not condition_layers:
        layer("encoder.0", "encoder.0")
        layer("encoder.1", "encoder.2")
    for i in range(layers):
        whole(f"decoder.{i}", f"decoder.layers.{i}", norms=3)
        attention(f"decoder.{i}.cross", f"decoder.layers.{i}.multihead_attn")
    return published.load_into(network)


def _lstm_gmm(weights: Mapping[str, np.ndarray], *, n_modes: int = 5) -> nn.Module:
    from dp_bench.baselines.lstm_gmm import LstmGmmNetwork

    # the heads stand there twice, under two names; one of them is asked for
    heads = "nets.decoder.nets"
    published = _Published(
        {n: w for n, w in weights.items() if not n.startswith("nets.rnn.per_step_net.")}
    )
    take, layer = published.take, published.layer
    network = LstmGmmNetwork(
        published["nets.rnn.nets.weight_ih_l0"].shape[1],
        published[f"{heads}.mean.weight"].shape[0] // n_modes,
        hidden=published["nets.rnn.nets.weight_hh_l0"].shape[1],
        layers=sum(n.startswith("nets.rnn.nets.weight_ih_l") for n in weights),
        modes=n_modes,
    )
    for name in network.lstm.state_dict():
        published.ours[f"lstm.{name}"] = take(f"nets.rnn.nets.{name}")
    layer("mean", f"{heads}.mean")
    layer("std", f"{heads}.scale")
    layer("logits", f"{heads}.logits")
    return published.load_into(network)


def _bet(weights: Mapping[str, np.ndarray], *, n_head: int) -> nn.Module:
    import torch

    from dp_bench.baselines.bet import BetNetwork

    published = _Published(weights)
    take, layer = published.take, published.layer
    layers = published.count("model.blocks")
    published.ignore(*(f"model.blocks.{i}.attn.mask" for i in range(layers)))
    width, obs_dim = published["model.tok_emb.weight"].shape
    network = BetNetwork(
        obs_dim,
        len(published["model.head.weight"]),
        steps=published["model.pos_emb"].shape[1],
        width=width,
        heads=n_head,
        layers=layers,
    )
    published.ours["positions"] = take("model.pos_emb")[0]
    published.ours["head.weight"] = take("model.head.weight")
    layer("token", "model.tok_emb")
    layer("norm", "model.ln_f")
    for i in range(layers):
        our, theirs = f"layers.{i}", f"model.blocks.{i}"
        for part in ("weight", "bias"):
            inward = [
                take(f"{theirs}.attn.{n}.{part}") for n in ("query", "key", "value")
            ]
            published.ours[f"{our}.attention.inward.{part}"] = torch.cat(inward)
        layer(f"{our}.attention.outward", f"{theirs}.attn.proj")
        layer(f"{our}.norms.0", f"{theirs}.ln1")
        layer(f"{our}.norms.1", f"{theirs}.ln2")
        layer(f"{our}.widen", f"{theirs}.mlp.0")
        layer(f"{our}.narrow", f"{theirs}.mlp.2")
    return published.load_into(network)


class _Published(dict[str, Any]):
    """Published weights, and in `ours` those that have found their place."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        import torch

        super().__init__(
            {name: torch.as_tensor(np.asarray(w)) for name, w in weights.items()}
        )
        self.ours: dict[str, Tensor] = {}
        self.used: set[str] = set()

    def take(self, name: str) -> Tensor:
        """The weight of this name, which thereby counts as used."""
        self.used.add(name)
        return self[name]

    def ignore(self, *names: str) -> None:
        """Counts names as used that hold nothing learned, there or not."""
        self.used.update(names)

    def count(self, prefix: str) -> int:
        """How many numbered parts there are under a name."""
        dots = prefix.count(".") + 1
        return len({n.split(".")[dots] for n in self if n.startswith(f"{prefix}.")})

    def layer(
        self,
        our: str,
        theirs: str,
        weight: Callable[[Tensor], Tensor] = lambda weight: weight,
    ) -> None:
        """Takes the weight, laid out anew, and the bias of a layer."""
        self.ours[f"{our}.weight"] = weight(self.take(f"{theirs}.weight"))
        self.ours[f"{our}.bias"] = self.take(f"{theirs}.bias")

    def load_into(self, network: nn.Module) -> nn.Module:
        """Gives a network what was taken; refuses weights that were not."""
        unused = sorted(set(self) - self.used)
        if unused:
            raise BadInput(f"weights that this network has no place for: {unused}")
        try:
            network.load_state_dict(self.ours)
        except RuntimeError as error:
            raise BadInput(f"weights do not fit the network: {error}") from None
        return network


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


KINDS: dict[str, Callable[..., Any]] = {
    "unet1d": _unet1d,
    "transformer": _transformer,
    "lstm_gmm": _lstm_gmm,
    "bet": _bet,
}
