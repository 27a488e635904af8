"""Scores of episodes, in [0, 1], from their rewards and infos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.task import Outcome

if TYPE_CHECKING:
    from dp_bench.util.types import Info

ELEMENTS = (  # of Kitchen
    "bottom burner",
    "top burner",
    "light switch",
    "slide cabinet",
    "hinge cabinet",
    "microwave",
    "kettle",
)
ENOUGH = 4  # elements of Kitchen that make a success


def best_reward(
    rewards: Sequence[float] | np.ndarray, infos: Sequence[Info]
) -> Outcome:
    """Scores an episode of PushT by its best moment, as published.

    The block need not stay there. `final_iou` is its overlap at the end.

    Args:
        rewards: Reward of each step, `(L,)`, in [0, 1].
        infos: Info of each step, with `success` and `iou`.

    Raises:
        BadInput: When the episode has no steps.
    """
    _check_length(rewards)
    return Outcome(
        score=float(np.max(rewards)),
        success=any(bool(info["success"]) for info in infos),
        sub_scores={"final_iou": float(infos[-1]["iou"])},
        **_successes(infos),
    )


def different_rewards(
    rewards: Sequence[float] | np.ndarray, infos: Sequence[Info]
) -> Outcome:
    """Scores an episode of BlockPush by the sum of its different rewards, as published.

    `p1` tells whether at least one block entered a target, `p2` whether both did.
    `order` is twice the number of the block that first entered a target, plus the
    number of that target, both from 0. There is no `order` if no block entered a
    target, or if two did in the same step.

    Args:
        rewards: Reward of each step, `(L,)`: 0, 0.49, 0.51 and sums of them.
        infos: Info of each step, with `entered`, `(2, 2)`, by block and target.

    Raises:
        BadInput: When the episode has no steps.
    """
    _check_length(rewards)
    total = float(np.unique(rewards).sum())
    sub_scores = {"p1": float(total > 0.4), "p2": float(total > 0.9)}
    entered = np.array([info["entered"] for info in infos]).reshape(len(infos), 4)
    (steps,) = np.nonzero(entered.any(axis=1))
    if len(steps):
        (entries,) = np.nonzero(entered[steps[0]])
        if len(entries) == 1:
            sub_scores["order"] = float(entries[0])
    return Outcome(
        score=min(total, 1.0),
        success=total > 0.9,
        sub_scores=sub_scores,
        **_successes(infos),
    )


def solved(rewards: Sequence[float] | np.ndarray, infos: Sequence[Info]) -> Outcome:
    """Scores an episode of Robomimic: 1 if it solved the task, else 0.

    Args:
        rewards: Reward of each step, `(L,)`.
        infos: Info of each step, with `success`.

    Raises:
        BadInput: When the episode has no steps.
    """
    _check_length(rewards)
    success = any(bool(info["success"]) for info in infos)
    return Outcome(
        score=float(success), success=success, sub_scores={}, **_successes(infos)
    )


def elements_done(
    rewards: Sequence[float] | np.ndarray, infos: Sequence[Info]
) -> Outcome:
    """Scores an episode of Kitchen by its finished elements, four of which score 1.

    `p1` to `p7` tell whether the robot finished at least that many elements, and
    `elements` counts them. A sub-score with the name of an element tells whether it is
    finished. `sequence` lists the finished elements in their order, as digits: 67 for
    the sixth element, the microwave, and then the seventh, the kettle; 0 for none.
    `order` is its first four digits. There is no `order` below four elements.

    An element that moves away again stays finished. So an episode that succeeded ends
    in success only if at least four elements are at their goals in the last step.

    Args:
        rewards: Reward of each step, `(L,)`: the number of elements it finished.
        infos: Info of each step. The last one has `order`, `(7,)`: 1 for the element
            that was finished first, and so on; 0 for unfinished ones; and `at_goal`,
            `(7,)`: which elements are at their goals.

    Raises:
        BadInput: When the episode has no steps.
    """
    _check_length(rewards)
    order = np.asarray(infos[-1]["order"])
    done, digits = int(np.count_nonzero(order)), sequence(order)
    sub_scores = {f"p{k}": float(done >= k) for k in range(1, len(ELEMENTS) + 1)}
    sub_scores["elements"] = float(done)
    for element, rank in zip(ELEMENTS, order, strict=True):
        sub_scores[element.replace(" ", "_")] = float(rank > 0)
    sub_scores["sequence"] = float(digits)
    if done >= ENOUGH:
        sub_scores["order"] = float(str(digits)[:ENOUGH])
    near = infos[-1].get("at_goal")
    return Outcome(
        score=min(done / ENOUGH, 1.0),
        success=done >= ENOUGH,
        sub_scores=sub_scores,
        success_once=done >= ENOUGH,
        success_at_end=None if near is None else int(np.sum(near)) >= ENOUGH,
    )


def sequence(order: np.ndarray) -> int:
    """Writes the finished elements of Kitchen as digits from 1 to 7; 0 for none.

    Args:
        order: 1 for the element that was finished first, and so on; 0 for unfinished
            ones, `(7,)`.
    """
    order = np.asarray(order)
    done = np.argsort(order, kind="stable")[np.count_nonzero(order == 0) :]
    return int("".join(str(element + 1) for element in done) or 0)


def _successes(infos: Sequence[Info]) -> dict[str, bool | None]:
    """Tells whether `success` held at any step, and at the last; None if unknown."""
    if not all("success" in info for info in infos):
        return {"success_once": None, "success_at_end": None}
    successes = [bool(info["success"]) for info in infos]
    return {"success_once": any(successes), "success_at_end": successes[-1]}


def _check_length(rewards: Sequence[float] | np.ndarray) -> None:
    if len(rewards) == 0:
        raise BadInput("an episode of 0 steps has no score: it must have at least 1")
