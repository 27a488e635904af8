"""Fixtures that several test files share."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

OPENGL = os.environ.get("MUJOCO_GL")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with golden vectors and real demonstrations; skips the test without it."""
    named = os.environ.get("DP_BENCH_SHARED")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip("no folder of golden vectors (set DP_BENCH_SHARED)")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _robosuite_chooses_no_opengl() -> None:
    """Undoes what importing robosuite does to the environment of the tests."""
    os.environ.pop("MUJOCO_GL", None)
    if OPENGL is not None:
        os.environ["MUJOCO_GL"] = OPENGL


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Small tensors are fastest on one thread, above all on a busy machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="module")
def _collecting_garbage_stays_fast() -> Iterator[None]:
    """Sets aside what earlier tests left: robosuite collects at every reset."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True, scope="session")
def _signals_can_be_tested() -> None:
    """Shells start background jobs with Ctrl-C ignored, and nohup with SIGHUP."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def demos_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up demonstrations of PushT: four short random walks."""
    import numpy as np

    from dp_bench.data import hdf5
    from dp_bench.data.demos import Demos

    rng = np.random.default_rng(0)
    ends = np.array([24, 44, 70, 95])

    def walk(width: int) -> np.ndarray:
        return np.clip(rng.normal(size=(95, width)).cumsum(0) * 10 + 256, 0, 512)

    path = tmp_path_factory.mktemp("demos") / "tiny.hdf5"
    demos = Demos(
        task="pusht",
        source="made-up",
        obs={"keypoints": walk(20), "state": walk(5)},
        actions=walk(2),
        states=walk(5),
        rewards=np.zeros(95),
        scores=np.full(4, 0.5),
        episode_ends=ends,
    )
    hdf5.save(demos, path)
    return path
