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
