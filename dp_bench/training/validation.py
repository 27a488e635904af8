"""Validation of averaged weights on episodes that training never sees."""

from __future__ import annotations

import numpy as np
import torch

from dp_bench.policies.base import Policy
from dp_bench.seeds import Purpose, derive
from dp_bench.training.batches import Batches

MAX_BATCHES = 8
MAX_WINDOWS = 64


@torch.no_grad()
def validation_loss(policy: Policy, batches: Batches) -> float:
    """Returns the loss on validation windows, with the same noise every time.

    Args:
        policy: With averaged weights, in evaluation mode.
        batches: Validation data; at most `MAX_BATCHES` are used.
    """
    generator = torch.Generator(batches.obs.device)
    losses = []
    for k in range(min(batches.per_epoch, MAX_BATCHES)):
        generator.manual_seed(derive(Purpose.VALIDATION_NOISE, k))
        obs, actions = batches.at(k)
        losses.append(float(policy.loss(policy.encode(obs), actions, generator)))
    return float(np.mean(losses))


@torch.no_grad()  # IBC needs gradients, so inference mode cannot be used
def action_error(policy: Policy, batches: Batches) -> float:
    """Returns the mean squared error of the actions that would be executed, normalised.

    Each window counts as the start of an episode, with its own random draws, the same
    every time. The error shows how one method develops. It does not compare methods: a
    multimodal policy is further from the one action in the demonstration.

    Args:
        policy: With averaged weights, in evaluation mode.
        batches: Validation data; at most `MAX_WINDOWS` windows are used, evenly spread.
    """
    count = min(MAX_WINDOWS, len(batches))
    windows = torch.linspace(0, len(batches) - 1, count).long()
    obs, actions = batches.rows(windows.to(batches.obs.device))
    generators = [
        torch.Generator().manual_seed(derive(Purpose.VALIDATION_NOISE, 1, k))
        for k in range(count)
    ]
    observed = policy.encode(obs)[:, : policy.horizons.obs]
    decided = policy.decide(observed, generators, [None] * count)
    return float((decided - actions[:, policy.horizons.executed]).square().mean())
