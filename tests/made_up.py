"""Made-up runs that several test files write to disk."""

from typing import Any

from dp_bench.checkpoint import RunInfo


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
        "split_digest": "s" * 12,
        "train_episodes": 3,
        "train_seed": 0,
        "obs_dim": 20,
        "action_dim": 2,
    }
    return RunInfo(**(facts | changes))
