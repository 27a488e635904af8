"""The latest observations of each lane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.policies.spaces import Observations, named


class History:
    """Keeps the latest observations of each lane, oldest first, by key.

    Args:
        length: How many of them, To.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._latest: Observations = {}  # (B, To, ...) each

    def add(self, batch: Observations, fresh: np.ndarray) -> None:
        """Adds the next observation of each lane.

        Args:
            batch: `(B, ...)` by key.
            fresh: Lanes in which an episode begins, `(B,)` bool. Their history is
                padded with this observation.

        Raises:
            BadInput: When an observation has another shape than the ones before it.
        """
        for key, values in batch.items():
            if key not in self._latest:
                shape = (len(values), self._length, *values.shape[1:])
                self._latest[key] = np.empty(shape, values.dtype)
            latest = self._latest[key]
            if values.shape[1:] != latest.shape[2:]:
                raise BadInput(
                    f"agent.act was given {named(key)} of shape {values.shape[1:]} "
                    f"after observations of shape {latest.shape[2:]}"
                )
            latest = self._latest[key] = widened(latest, values)
            latest[:, :-1] = latest[:, 1:]
            latest[:, -1] = values
            latest[fresh] = values[fresh, None]

    def of(self, lanes: Sequence[int] | np.ndarray) -> Observations:
        """Copies the histories `(b, To, ...)` of some lanes, by key."""
        return {key: latest[lanes] for key, latest in self._latest.items()}


def widened(buffer: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns a buffer in a number type that also holds new values.

    The first values may be whole numbers or half precision and later ones not, so the
    first ones must not decide on the type.
    """
    return buffer.astype(np.result_type(buffer.dtype, values.dtype), copy=False)
