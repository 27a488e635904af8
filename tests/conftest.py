"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with golden vectors and real demonstrations, where there is one."""
    named = os.environ.get("DP_BENCH_SHARED")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip("no folder of golden vectors (set DP_BENCH_SHARED)")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Small tensors are fastest on one thread, above all on a busy machine."""
    import torch

    torch.set_num_threads(1)
