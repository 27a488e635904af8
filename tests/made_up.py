"""Made-up runs and demonstrations that several test files use."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dp_bench.data.demos import Demonstration, Demos
from dp_bench.runs.folder import RunFolder, build_policy
from dp_bench.runs.info import RunInfo
from dp_bench.util.tensors import save_tensors


def run_info(**changes: Any) -> RunInfo:
    """A run of DP-C on PushT with a network that is trained in a moment."""
    facts = {
        "task": "pusht",
        "obs_kind": "keypoints",
        "control": "position",
        "method": "dp_c",
        "preset": "smoke",
        "policy": {"channels": [8, 16], "step_dim": 8, "sample_steps": 2},
        "training": {},
        "demos_source": "made-up",
        "demos_digest": "d" * 64,
        "split_digest": "5" * 12,
        "train_episodes": 3,
        "train_seed": 0,
        "obs_dim": 20,
        "action_dim": 2,
    }
    return RunInfo(**(facts | changes))


def written_run(path: Path, **changes: Any) -> RunFolder:
    """Such a run on disk, with the weights that it would begin with."""
    info = run_info(**changes)
    folder = RunFolder(path)
    folder.write_info(info)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        policy = build_policy(info)
    corners = torch.tensor([[0.0], [512.0]])
    policy.fit(
        corners.expand(2, policy.obs_dim),
        corners.expand(2, policy.action_dim),
        torch.Generator(),
    )
    save_tensors(folder.weights, policy.state_dict(), {"update": 5, "seconds": 1.0})
    return folder


def wander(env_seed: int) -> Demonstration | None:
    """Plays an episode like a script that fails from every fifth start."""
    if env_seed % 5 == 4:
        return None
    rng = np.random.default_rng(env_seed)
    steps = 3 + env_seed % 4
    return Demonstration(
        obs={"state": rng.random((steps, 5))},
        actions=rng.random((steps, 2)),
        states=rng.random((steps, 5)),
        rewards=rng.random(steps),
        score=1.0,
        notes={"env_seed": env_seed, "way": env_seed % 2},
    )


def stumble(env_seed: int) -> None:
    """Fails like a script that never succeeds."""


def demonstrations(task: str, lengths: tuple[int, ...], seed: int = 0) -> Demos:
    """Random episodes of these lengths, with states of 26 numbers."""
    rng, rows = np.random.default_rng(seed), sum(lengths)
    return Demos(
        task=task,
        source="scripted",
        obs={"state": rng.random((rows, 16)).astype(np.float32)},
        actions=rng.random((rows, 2)),
        states=rng.random((rows, 26)).round(),
        rewards=rng.random(rows),
        scores=np.ones(len(lengths)),
        episode_ends=np.cumsum(lengths),
    )


def pusht_demos(lengths: Sequence[int] = (3, 5, 4), **changes: Any) -> Demos:
    """Random demonstrations of PushT with images; `changes` replaces attributes."""
    rng = np.random.default_rng(0)
    num_rows = sum(lengths)
    arrays = {
        "obs": {
            "state": rng.random((num_rows, 5), np.float32),
            "image": rng.integers(0, 255, (num_rows, 8, 8, 3), np.uint8),
        },
        "actions": rng.random((num_rows, 2), np.float32),
        "states": rng.random((num_rows, 5)),
        "rewards": rng.random(num_rows, np.float32),
        "scores": rng.random(len(lengths)),
        "episode_ends": np.cumsum(lengths),
        "env_kwargs": {"obs": "state", "legacy": False},
        "notes": {"env_seed": np.arange(len(lengths)) + 7},
    }
    return Demos(task="pusht", source="human", **(arrays | changes))


def assert_same_demos(one: Demos, other: Demos) -> None:
    """Fails unless both hold the same arrays, of the same types."""
    assert (one.task, one.source) == (other.task, other.source)
    assert one.env_kwargs == other.env_kwargs
    assert one.obs.keys() == other.obs.keys()
    names = ("actions", "states", "rewards", "scores", "episode_ends")
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    pairs += [(one.obs[kind], other.obs[kind]) for kind in one.obs]
    assert one.notes.keys() == other.notes.keys()
    pairs += [(one.notes[name], other.notes[name]) for name in one.notes]
    for left, right in pairs:
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
