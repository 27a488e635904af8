"""Demonstrations of BlockPush: their actions for position control."""

import numpy as np

from dp_bench.data.demos import Demos
from dp_bench.envs.block_push.demos import targets
from dp_bench.envs.block_push.geometry import AIM
from pushing import table


def test_displacements_make_targets_within_the_workspace():
    states = np.tile(table(), (3, 1))
    states[:, AIM] = [[0.3, 0.1], [0.69, 0.1], [0.2, -0.49]]
    demos = Demos(
        task="blockpush",
        source="made-up",
        obs={"state": states[:, :16]},
        actions=[[0.02, -0.01], [0.1, 0.0], [0.0, -0.1]],
        states=states,
        rewards=np.zeros(3),
        scores=[0.0],
        episode_ends=[3],
    )
    expected = [[0.32, 0.09], [0.7, 0.1], [0.2, -0.5]]
    np.testing.assert_allclose(targets(demos), expected, 0, 1e-8)
