"""Translates published weights of Diffusion Policy's networks (Chi et al., 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dp_bench.policies.diffusion.transformer import Transformer
from dp_bench.policies.diffusion.unet import Unet
from dp_bench.policies.published import PublishedWeights


def unet(weights: PublishedWeights, *, n_groups: int = 8) -> nn.Module:
    """Builds a `Unet` from published weights."""
    levels = weights.count("down_modules")
    first_kernels = [
        weights[f"down_modules.{i}.0.blocks.0.block.0.weight"] for i in range(levels)
    ]
    step_dim = weights["diffusion_step_encoder.1.weight"].shape[1]
    condition = weights["down_modules.0.0.cond_encoder.1.weight"].shape[1]
    network = Unet(
        first_kernels[0].shape[1],
        condition - step_dim,
        channels=tuple(len(kernel) for kernel in first_kernels),
        kernel_size=first_kernels[0].shape[2],
        groups=n_groups,
        step_dim=step_dim,
    )
    _residual_blocks(weights, levels)
    for i in range(levels - 1):
        weights.layer(f"shrink.{i}", f"down_modules.{i}.2.conv", _as_linear)
        weights.layer(f"grow.{i}", f"up_modules.{i}.2.conv", _as_grow)
    weights.layer("step_embedding.mlp.0", "diffusion_step_encoder.1")
    weights.layer("step_embedding.mlp.2", "diffusion_step_encoder.3")
    _conv_block(weights, "last", "final_conv.0")
    weights.layer("out", "final_conv.1", _as_linear)
    return weights.load_into(network)


def transformer(weights: PublishedWeights, *, n_head: int) -> nn.Module:
    """Builds a `Transformer` from published weights."""
    weights.ignore(["_dummy_variable", "mask", "memory_mask"])
    condition_layers = weights.count("encoder.layers")
    layers = weights.count("decoder.layers")
    network = Transformer(
        weights["input_emb.weight"].shape[1],
        weights["cond_obs_emb.weight"].shape[1],
        obs_steps=weights["cond_pos_emb"].shape[1] - 1,
        steps=weights["pos_emb"].shape[1],
        width=weights["input_emb.weight"].shape[0],
        heads=n_head,
        layers=layers,
        condition_layers=condition_layers,
    )
    weights.ours["positions"] = weights.take("pos_emb")[0]
    weights.ours["memory_positions"] = weights.take("cond_pos_emb")[0]
    weights.layer("action_token", "input_emb")
    weights.layer("obs_token", "cond_obs_emb")
    weights.layer("norm", "ln_f")
    weights.layer("head", "head")
    for i in range(condition_layers):
        _transformer_layer(weights, f"encoder.{i}", f"encoder.layers.{i}", norms=2)
    if not condition_layers:
        weights.layer("encoder.0", "encoder.0")
        weights.layer("encoder.1", "encoder.2")
    for i in range(layers):
        our, theirs = f"decoder.{i}", f"decoder.layers.{i}"
        _transformer_layer(weights, our, theirs, norms=3)
        _attention(weights, f"{our}.cross", f"{theirs}.multihead_attn")
    return weights.load_into(network)


def _residual_blocks(weights: PublishedWeights, levels: int) -> None:
    """Translates all residual blocks; their conditions become the one layer `film`."""
    names = [
        (f"{our}.{i}.{j}", f"{theirs}.{i}.{j}")
        for our, theirs, count in (
            ("down", "down_modules", levels),
            ("up", "up_modules", levels - 1),
        )
        for i in range(count)
        for j in (0, 1)
    ]
    middle = [(f"middle.{j}", f"mid_modules.{j}") for j in (0, 1)]
    names[2 * levels : 2 * levels] = middle  # film has the order of the forward pass
    for our, theirs in names:
        _conv_block(weights, f"{our}.first", f"{theirs}.blocks.0")
        _conv_block(weights, f"{our}.second", f"{theirs}.blocks.1")
        if f"{theirs}.residual_conv.weight" in weights:
            weights.layer(f"{our}.skip", f"{theirs}.residual_conv", _as_linear)
    for part in ("weight", "bias"):
        films = [weights.take(f"{theirs}.cond_encoder.1.{part}") for _, theirs in names]
        weights.ours[f"film.{part}"] = torch.cat(films)


def _conv_block(weights: PublishedWeights, our: str, theirs: str) -> None:
    weights.layer(f"{our}.conv", f"{theirs}.block.0", _as_linear)
    weights.layer(f"{our}.norm", f"{theirs}.block.1")


def _transformer_layer(
    weights: PublishedWeights, our: str, theirs: str, *, norms: int
) -> None:
    _attention(weights, f"{our}.attention", f"{theirs}.self_attn")
    weights.layer(f"{our}.widen", f"{theirs}.linear1")
    weights.layer(f"{our}.narrow", f"{theirs}.linear2")
    for k in range(norms):
        weights.layer(f"{our}.norms.{k}", f"{theirs}.norm{k + 1}")


def _attention(weights: PublishedWeights, our: str, theirs: str) -> None:
    for part in ("weight", "bias"):
        weights.ours[f"{our}.inward.{part}"] = weights.take(f"{theirs}.in_proj_{part}")
    weights.layer(f"{our}.outward", f"{theirs}.out_proj")


def _as_linear(kernel: Tensor) -> Tensor:
    """Lays out a convolution kernel `(c_out, c_in, K)` as `TimeConv` does."""
    return kernel.transpose(1, 2).flatten(1)


def _as_grow(kernel: Tensor) -> Tensor:
    """Lays out a transposed convolution kernel `(c_in, c_out, 4)` as `Grow` does.

    Output 2t sums kernel step 3 at t - 1 and step 1 at t; output 2t + 1 sums step 2 at
    t and step 0 at t + 1.
    """
    k = kernel.permute(2, 1, 0)  # (4, c_out, c_in)
    even, odd = torch.cat([k[3], k[1]], dim=1), torch.cat([k[2], k[0]], dim=1)
    return torch.stack([even, odd])
