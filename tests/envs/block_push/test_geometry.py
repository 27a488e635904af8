"""Geometry of BlockPush: distances, the way in a step, and starts."""

import math

import numpy as np
import pytest

from dp_bench.envs.block_push.env import BlockPush as Env
from dp_bench.envs.block_push.geometry import (
    PLACES,
    POSE,
    PUSHER,
    distance_to_way,
    share_of_way,
    start,
)
from pushing import states_along, table, turn_between


def test_distances_to_a_way():
    way = (1.0, 1.0, 3.0, 0.0)  # from (1, 1) to (4, 1)
    for point, distance in (((2, 3), 2), ((1, 1), 0), ((-3, 4), 5), ((8, -2), 5)):
        assert distance_to_way(*point, *way) == pytest.approx(distance)
    assert distance_to_way(3, 4, 0, 0, 0, 0) == 5


def test_the_pusher_lags_less_behind_a_closer_target():
    """It never overshoots, and never exceeds its speed."""
    ways = np.linspace(1e-6, 1.2, 2000)
    come = np.array([share_of_way(way) for way in ways]) * ways
    assert (np.diff(come) >= -1e-15).all()
    assert (come < ways).all()
    assert come.max() == pytest.approx(1 / (4 * 3.1))
    assert come[ways < 0.03][-1] == pytest.approx(0.03 - 3.1 * 0.03**2, abs=1e-3)
    states = states_along(Env(), table(pusher=(0.3, -0.3)), [(0.03, 0)])
    np.testing.assert_allclose(states[1, PUSHER], [0.33 - 3.1 * 0.03**2, -0.3])


def test_starts_follow_the_documented_distribution():
    starts = np.array([Env().reset(seed=seed)[1]["state"] for seed in range(300)])
    places, blocks = starts[:, PLACES].reshape(-1, 2, 3), starts[:, POSE]
    blocks = blocks.reshape(-1, 2, 3)
    for numbers, low, high in (
        (blocks[..., 0], 0.3, 0.5),
        (blocks[..., 1], -0.35, -0.05),
        (blocks[..., 2], 1.0, math.pi),
        (np.sort(places[..., 0])[:, 0], 0.275, 0.285),
        (np.sort(places[..., 0])[:, 1], 0.515, 0.525),
        (places[..., 1], 0.1925, 0.2075),
        (turn_between(0, places[..., 2]), -math.pi / 30, math.pi / 30),
    ):
        assert low <= numbers.min() < low + 0.05 * (high - low)
        assert high >= numbers.max() > high - 0.05 * (high - low)
    assert np.abs(np.diff(blocks[..., 0])).min() > 0.1
    assert np.abs(np.diff(places[..., 0])).min() > 0.12
    assert 0.4 < (places[:, 0, 0] < 0.4).mean() < 0.6
    np.testing.assert_array_equal(starts[:, 6:10], [[0.3, -0.4] * 2] * 300)
    assert not starts[:, 16:].any()


REDRAWN = 79  # the published simulator drew this start again


def test_starts_match_the_published_demonstrations(published):
    for seed, obs in enumerate(published[0]):
        drawn = start(np.random.RandomState(seed))[:16]
        apart = obs[0] - drawn
        apart[[2, 5, 12, 15]] = turn_between(
            drawn[[2, 5, 12, 15]], obs[0, [2, 5, 12, 15]]
        )
        assert (np.abs(apart).max() < 2e-3) == (seed != REDRAWN), seed
