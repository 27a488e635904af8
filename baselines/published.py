"""Translates published weights of the baselines' networks."""

from __future__ import annotations

import torch
from torch import nn

from dp_bench.baselines.bet import BetNetwork
from dp_bench.baselines.lstm_gmm import LstmGmmNetwork
from dp_bench.policies.published import PublishedWeights


def lstm_gmm(weights: PublishedWeights, *, n_modes: int = 5) -> nn.Module:
    """Builds an `LstmGmmNetwork` from weights of robomimic."""
    # The file holds the heads twice, under two names; one copy is enough.
    weights.ignore([n for n in weights if n.startswith("nets.rnn.per_step_net.")])
    heads = "nets.decoder.nets"
    network = LstmGmmNetwork(
        weights["nets.rnn.nets.weight_ih_l0"].shape[1],
        weights[f"{heads}.mean.weight"].shape[0] // n_modes,
        hidden=weights["nets.rnn.nets.weight_hh_l0"].shape[1],
        layers=sum(n.startswith("nets.rnn.nets.weight_ih_l") for n in weights),
        modes=n_modes,
    )
    for name in network.lstm.state_dict():
        weights.ours[f"lstm.{name}"] = weights.take(f"nets.rnn.nets.{name}")
    weights.layer("mean", f"{heads}.mean")
    weights.layer("std", f"{heads}.scale")
    weights.layer("logits", f"{heads}.logits")
    return weights.load_into(network)


def bet(weights: PublishedWeights, *, n_head: int) -> nn.Module:
    """Builds a `BetNetwork` from weights of Shafiullah et al. (2022)."""
    layers = weights.count("model.blocks")
    weights.ignore([f"model.blocks.{i}.attn.mask" for i in range(layers)])
    width, obs_dim = weights["model.tok_emb.weight"].shape
    network = BetNetwork(
        obs_dim,
        len(weights["model.head.weight"]),
        steps=weights["model.pos_emb"].shape[1],
        width=width,
        heads=n_head,
        layers=layers,
    )
    weights.ours["positions"] = weights.take("model.pos_emb")[0]
    weights.ours["head.weight"] = weights.take("model.head.weight")
    weights.layer("token", "model.tok_emb")
    weights.layer("norm", "model.ln_f")
    for i in range(layers):
        our, theirs = f"layers.{i}", f"model.blocks.{i}"
        for part in ("weight", "bias"):
            inward = [
                weights.take(f"{theirs}.attn.{name}.{part}")
                for name in ("query", "key", "value")
            ]
            weights.ours[f"{our}.attention.inward.{part}"] = torch.cat(inward)
        weights.layer(f"{our}.attention.outward", f"{theirs}.attn.proj")
        weights.layer(f"{our}.norms.0", f"{theirs}.ln1")
        weights.layer(f"{our}.norms.1", f"{theirs}.ln2")
        weights.layer(f"{our}.widen", f"{theirs}.mlp.0")
        weights.layer(f"{our}.narrow", f"{theirs}.mlp.2")
    return weights.load_into(network)
