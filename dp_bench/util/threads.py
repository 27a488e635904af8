"""Cores of this process, and the threads that torch computes with."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

# Idle OpenMP threads spin for a long time. Beside a third process on two cores, an
# update then took 3 s instead of 16 ms. A short spin costs nothing on an idle machine.
# torch reads the variable when it is loaded.
SPIN = {"GOMP_SPINCOUNT": "10000"}


def cores() -> int:
    """Counts the cores that this process may use: a job of a cluster gets a part."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Sets the threads of torch while the block runs, if torch is loaded.

    Sums then have one order, whatever the machine and the processes beside this one.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
