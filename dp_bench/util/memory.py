"""How much memory is free, and how the C library manages it."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Of glibc's `mallopt`, with the largest values that it takes.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LARGEST = (1 << 31) - 1  # bytes

# Linux counts memory by groups of processes.
GROUPS, OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def keep_freed_memory() -> None:
    """Makes glibc keep freed memory of this process for its next use.

    Usually it gives large blocks back to the system at once, and takes new ones for the
    next update of a training, page by page: a tenth to a fifth of the time of an update
    from images. Only for a process that trains and then ends: its memory never
    shrinks. Other C libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(MMAP_THRESHOLD, LARGEST)
    mallopt(TRIM_THRESHOLD, LARGEST)


def free_memory(device: torch.device) -> float:
    """Returns the free memory of a device [bytes]; infinite where it is not known."""
    if device.type == "cuda":
        import torch

        return float(torch.cuda.mem_get_info(device)[0])
    return free_main_memory()


def free_main_memory() -> float:
    """Returns the free memory of the CPU [bytes]; infinite where it is not known."""
    return min(_free_on_machine(), _free_in_group())


def _free_on_machine() -> float:
    try:
        # Linux counts what it would free, such as copies of files.
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        sizes = dict(line.split(":") for line in lines)
        return 1024 * float(sizes["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return float("inf")


def _free_in_group() -> float:
    """Returns what a container or a job of a cluster may still take [bytes].

    Linux counts the memory of groups of processes (cgroup v2), each within another.
    Copies of files count, too, but are given up when memory is short. The older groups
    (v1) are not read.
    """
    try:
        lines = OWN_GROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return float("inf")
    places = [GROUPS / line[len("0::/") :] for line in lines if line[:4] == "0::/"]
    groups = [group for place in places for group in (place, *place.parents)]
    return min(map(_free_within, groups), default=float("inf"))


def _free_within(group: Path) -> float:
    """Returns what one group may still take [bytes]; infinite without a limit."""
    try:
        limit, taken, stat = (
            (group / f"memory.{name}").read_text(encoding="utf-8").strip()
            for name in ("max", "current", "stat")
        )
        sizes = dict(line.split() for line in stat.splitlines())
        taken_by_us = float(taken) - float(sizes["inactive_file"])
        return float("inf") if limit == "max" else max(0.0, float(limit) - taken_by_us)
    except (OSError, KeyError, ValueError):
        return float("inf")
