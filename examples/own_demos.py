"""Writes demonstrations of your own for a task that exists: python own_demos.py FILE.

Random numbers stand for what you recorded. The file is then used by
`dp-bench train --task pusht --demos FILE`.
"""

import sys

import numpy as np

from dp_bench.data.demos import Demos
from dp_bench.data.hdf5 import save

rng = np.random.default_rng(0)
episode_ends = np.array([60, 130, 200])  # one past the last row of each episode
rows = episode_ends[-1]
demos = Demos(
    task="pusht",
    source="mine",
    obs={"keypoints": rng.uniform(0, 512, (rows, 20))},
    actions=rng.uniform(0, 512, (rows, 2)),  # executed from the same row of obs
    states=rng.uniform(0, 512, (rows, 5)),  # what reset(options={"state": ...}) takes
    rewards=np.zeros(rows),
    scores=np.zeros(3),  # of each episode, in [0, 1]
    episode_ends=episode_ends,
)
save(demos, sys.argv[1])
print(f"{demos.num_episodes} episodes, digest {demos.digest[:12]}")
