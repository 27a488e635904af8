"""Splitting demonstrations, by episode, into training and validation."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput


@dataclass(frozen=True, eq=False)
class Split:
    """Which episodes train and which validate.

    Attributes:
        train: Episode numbers, `(E1,)`, int64, increasing.
        validation: Episode numbers, `(E2,)`, int64, increasing; none in `train`.
    """

    train: np.ndarray
    validation: np.ndarray

    @property
    def digest(self) -> str:
        """Short hash of both lists, 12 hex digits."""
        lists = json.dumps([self.train.tolist(), self.validation.tolist()])
        return hashlib.sha256(lists.encode()).hexdigest()[:12]


def split_episodes(
    demos: Demos,
    rng: np.random.Generator,
    *,
    validation_share: float,
    train_episodes: int | None = None,
) -> Split:
    """Draws the validation episodes; the first of the other episodes train.

    Args:
        demos: E episodes.
        rng: Draws the validation episodes.
        validation_share: Share of the episodes held back, in [0, 1): rounded, but at
            least one episode when above 0, and never all of them.
        train_episodes: How many of the other episodes train, in recorded order. All of
            them train when this is None or larger than their number.

    Raises:
        BadInput: When the share or the count is out of range.
    """
    if not 0 <= validation_share < 1:
        raise BadInput(f"validation_share must be in [0, 1), got {validation_share}")
    if train_episodes is not None and train_episodes < 1:
        raise BadInput(f"train_episodes must be at least 1, got {train_episodes}")
    num_validation = 0
    if validation_share > 0:
        wanted = max(round(demos.num_episodes * validation_share), 1)
        num_validation = min(wanted, demos.num_episodes - 1)
    order = rng.permutation(demos.num_episodes).astype(np.int64)
    validation = np.sort(order[:num_validation])
    train = np.sort(order[num_validation:])[:train_episodes]
    return Split(train, validation)
