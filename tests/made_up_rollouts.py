"""Rollouts from the fork of PushT, on paths that a test chooses."""

import numpy as np

from dp_bench import registry
from dp_bench.evaluation.multimodality import Rollout

FORK = registry.task("pusht").fork
AT, LEFT, RIGHT = (0, 201), (-90, 60), (90, 60)  # in the frame of the block
BEHIND = (0, -20)  # the bar: a finger there is round


def rollouts(paths, **changes):
    return [
        Rollout(
            **{
                "task": "pusht",
                "method": "bet",
                "preset": "smoke",
                "obs_kind": "keypoints",
                "control": "position",
                "settings": "5" * 8,
                "demos_digest": "d" * 64,
                "split_digest": "9" * 12,
                "order_digest": "0" * 12,
                "train_seed": 0,
                "step": 7,
                "env_seed": env_seed,
                "start": FORK.start,
                "path": tuple(map(tuple, np.asarray(path).tolist())),
                "commit": "",
                "versions": {},
                **changes,
            }
        )
        for env_seed, path in enumerate(paths)
    ]
