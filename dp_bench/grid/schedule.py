"""How long a grid takes on several workers, and how many workers pay."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

LITTLE = 0.05  # a gain below this share of the time does not pay


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Returns when the last cell ends [s], if free workers take the next in order.

    Args:
        seconds: Duration of each cell [s], in the order in which they begin.
        workers: Number of cells that run at a time.
    """
    busy_until = [0.0] * max(1, min(workers, len(seconds)))
    for duration in seconds:
        heapq.heappush(busy_until, heapq.heappop(busy_until) + duration)
    return max(busy_until)


def worthwhile(seconds: Sequence[float]) -> int:
    """Returns the number of workers beyond which more of them save less than 5 %."""
    shortest = min(makespan(seconds, n) for n in range(1, len(seconds) + 1))
    return next(
        n
        for n in range(1, len(seconds) + 1)
        if makespan(seconds, n) <= (1 + LITTLE) * shortest
    )
