"""What training does with unusual demonstrations, in sentences for people."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dp_bench.data.windows import short_episodes
from dp_bench.horizons import Horizons
from dp_bench.policies.base import Policy


def constant_dimensions(policy: Policy) -> list[str]:
    """Says which dimensions a policy treats as constant, in up to two sentences.

    Args:
        policy: Just fitted; loaded weights do not tell.
    """
    sentences = []
    actions, obs = policy.action_normalizer, policy.obs_normalizer
    if actions.constant.any():
        given = actions.inverse(torch.zeros_like(actions.offset))
        values = ", ".join(
            f"{i} = {float(given[i]):.6g}" for i in _numbers(actions.constant)
        )
        sentences.append(
            f"action dimensions that are constant in the demonstrations, and in every "
            f"decision: {values}"
        )
    if obs.constant.any():
        numbers = ", ".join(map(str, _numbers(obs.constant)))
        sentences.append(
            f"observation dimensions that count as constant and are not scaled "
            f"(policy.obs_min_range): {numbers}"
        )
    return sentences


def padded_episodes(episode_ends: np.ndarray, horizons: Horizons) -> list[str]:
    """Says how many episodes are shorter than a window, in up to one sentence."""
    short = len(short_episodes(episode_ends, horizons))
    if not short:
        return []
    return [
        f"{short} of {len(episode_ends)} training episodes have fewer than "
        f"{horizons.least_steps} steps; each gives one window of {horizons.prediction} "
        f"steps, which repeats its last step"
    ]


def _numbers(mask: Tensor) -> list[int]:
    """Lists where a mask `(D,)` is true."""
    return [int(i) for i in mask.nonzero()[:, 0]]
