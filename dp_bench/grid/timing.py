"""Timing calls for a forecast."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 0.5  # how long a call is repeated [s]
SHARE = 0.05  # of the work, which a probe never exceeds: a smoke test is short


def part_of(work: int) -> int:
    """Counts the share of some work that a probe may do, at least one."""
    return max(1, int(SHARE * work))


def timed(work: Callable[[], object], at_most: int) -> float:
    """Times one call [s], after a first call that may have to set something up."""
    work()
    calls, begun = 0, time.perf_counter()
    while not calls or (time.perf_counter() - begun < SECONDS and calls < at_most):
        work()
        calls += 1
    return (time.perf_counter() - begun) / calls
