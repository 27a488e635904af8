"""Where a run was made: commit, package versions, machine."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from dp_bench.util.types import JsonObject

# Packages whose version can change a number in the results.
NUMBER_MOVERS = (
    "numpy",
    "torch",
    "diffusers",
    "scikit-learn",
    "gymnasium",
    "pymunk",
    "mujoco",
    "gymnasium-robotics",
    "robosuite",
    "pillow",
)


# Environment variable: the commit, where the code travelled without its checkout.
COMMIT = "DP_BENCH_COMMIT"


@functools.cache
def commit() -> str:
    """Names the commit of this checkout, with "+" after it when files have changed.

    Returns "" where the package was installed without its git checkout.
    """
    if COMMIT in os.environ:
        return os.environ[COMMIT]
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""

    def git(*arguments: str) -> str:
        process = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        return process.stdout.strip()

    try:
        code = ("dp_bench", "envs", "baselines", "setup.cfg")
        changed = git("status", "--porcelain", "--", *code)
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


@functools.cache
def versions() -> dict[str, str]:
    """Lists the versions of Python, dp-bench and the packages that can move numbers."""
    by_package = {"python": platform.python_version()}
    for package in ("dp-bench", *NUMBER_MOVERS):
        with contextlib.suppress(metadata.PackageNotFoundError):
            by_package[package] = metadata.version(package)
    return by_package


def machine() -> JsonObject:
    """Describes the machine: CPU model, cores, torch's threads, GPU (None without)."""
    import torch

    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    threads = torch.get_num_threads()
    cores = os.cpu_count()
    return {"processor": model, "cores": cores, "threads": threads, "gpu": gpu}
