"""Kitchen: the layout of observations, and their noise."""

import numpy as np
import pytest

pytest.importorskip(
    "gymnasium_robotics", reason="needs gymnasium-robotics: 'dp-bench[kitchen]'"
)
from dp_bench.envs.kitchen.env import Kitchen
from dp_bench.envs.kitchen.franka import joint_targets
from dp_bench.envs.kitchen.observations import obs_noise, positions


def test_compensated_noise_leaves_the_targets_where_they_were():
    """With noise added in training, a demonstration still leads to the same place."""
    rng = np.random.default_rng(0)
    observed = rng.uniform(-0.1, 0.1, (40, 59))
    velocities = rng.uniform(-0.3, 0.3, (40, 9))
    for obs_kind in ("full", "qpos"):
        noise, follows = obs_noise(obs_kind, "velocity")
        drawn = noise * rng.uniform(-1, 1, (40, len(noise)))
        before = joint_targets(observed[:, :9], velocities)
        after = joint_targets(
            observed[:, :9] + drawn[:, :9], velocities + drawn @ follows.T
        )
        np.testing.assert_allclose(after, before, atol=1e-12)
        assert np.abs(drawn[:, :7]).max() > 0.009  # of evaluation: 0.1 of 0.1 rad
        assert not obs_noise(obs_kind, "position").follows.any()


def test_both_observations_hold_the_same_positions():
    both = [Kitchen(obs=obs).reset(seed=2)[0] for obs in ("full", "qpos")]
    np.testing.assert_array_equal(positions(both[0]), both[1])
