"""Which elements are at their goals, and the order in which they got there."""

from __future__ import annotations

import numpy as np

from ..scores import ELEMENTS
from .franka import BONUS_THRESH, OBS_ELEMENT_GOALS, OBS_ELEMENT_INDICES

# The positions that each element is judged by, and their goals, element by element.
_INDICES = np.concatenate([OBS_ELEMENT_INDICES[name] for name in ELEMENTS])
_GOALS = np.concatenate([OBS_ELEMENT_GOALS[name] for name in ELEMENTS])
_FIRST = np.cumsum([0, *(len(OBS_ELEMENT_GOALS[name]) for name in ELEMENTS[:-1])])


def at_goal(q: np.ndarray) -> np.ndarray:
    """Tells which elements are at their goals, bool `(..., 7)`.

    Args:
        q: Positions of robot and objects, `(..., 30)`.
    """
    errors = q[..., _INDICES] - _GOALS
    squared = np.add.reduceat(errors * errors, _FIRST, axis=-1)
    near: np.ndarray = np.sqrt(squared) < BONUS_THRESH
    return near


def updated_order(order: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Adds the elements that are newly at their goals to the order.

    Args:
        order: 1 for the element done first, and so on; 0 for elements not done, `(7,)`.
        near: Which elements are at their goals now, `(7,)`.
    """
    new = near & (order == 0)
    if not new.any():
        return order
    updated = order.copy()
    updated[new] = np.count_nonzero(order) + np.arange(1, np.count_nonzero(new) + 1)
    return updated
