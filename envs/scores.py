"""What an episode was worth: from its rewards and infos to a score in [0, 1]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.task import Outcome


def best_reward(
    rewards: Sequence[float] | np.ndarray, infos: Sequence[Mapping[str, Any]]
) -> Outcome:
    """Scores an episode of PushT by its best moment, as published.

    It need not stay there: `final_iou` tells how the block lay at the end.

    Args:
        rewards: Reward of each step, `(L,)`, in [0, 1].
        infos: Info of each step, with `success` and `iou`.

    Raises:
        BadInput: When the episode has no steps.
    """
    if len(rewards) == 0:
        raise BadInput("an episode of 0 steps has no score: it must have at least 1")
    return Outcome(
        score=float(np.max(rewards)),
        success=any(bool(info["success"]) for info in infos),
        sub_scores={"final_iou": float(infos[-1]["iou"])},
    )


def different_rewards(
    rewards: Sequence[float] | np.ndarray, infos: Sequence[Mapping[str, Any]]
) -> Outcome:
    """Scores an episode of BlockPush by the sum of its different rewards, as published.

    `p1` and `p2` tell whether at least one block, and both blocks, came into targets.
    `order` tells which way the episode went: twice the number of the block that first
    entered a target, plus the number of that target, both from 0. It is left out where
    no block entered one, or both did in the same step.

    Args:
        rewards: Reward of each step, `(L,)`: 0, 0.49, 0.51 and sums of them.
        infos: Info of each step, with `entered`, `(2, 2)`: block, target.

    Raises:
        BadInput: When the episode has no steps.
    """
    if len(rewards) == 0:
        raise BadInput("an episode of 0 steps has no score: it must have at least 1")
    total = float(np.unique(rewards).sum())
    sub_scores = {"p1": float(total > 0.4), "p2": float(total > 0.9)}
    entered = np.array([info["entered"] for info in infos]).reshape(len(infos), 4)
    (steps,) = np.nonzero(entered.any(axis=1))
    if len(steps):
        (ways,) = np.nonzero(entered[steps[0]])
        if len(ways) == 1:
            sub_scores["order"] = float(ways[0])
    return Outcome(score=min(total, 1.0), success=total > 0.9, sub_scores=sub_scores)
