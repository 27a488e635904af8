"""Which dimensions of the demonstrations count as constant, for people."""

from __future__ import annotations

from torch import Tensor

from dp_bench.policies.base import Policy


def constant_dimensions(policy: Policy) -> list[str]:
    """Says which dimensions a policy treats as constant, in up to two sentences.

    Args:
        policy: Just fitted; loaded weights do not tell.
    """
    sentences = []
    actions, obs = policy.action_normalizer, policy.obs_normalizer
    if actions.constant.any():
        values = ", ".join(
            f"{i} = {-float(actions.offset[i]):.6g}" for i in _numbers(actions.constant)
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


def _numbers(mask: Tensor) -> list[int]:
    """Lists where a mask `(D,)` is true."""
    return [int(i) for i in mask.nonzero()[:, 0]]
