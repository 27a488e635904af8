"""Robomimic: velocity and position control."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("robosuite", reason="needs robosuite: 'dp-bench[robomimic]'")
from dp_bench.envs.robomimic.controllers import (
    controllers_of,
    first_rows,
    rotation_of,
)
from robomimic_envs import each_task, env_of, some_actions


@each_task
def test_position_control_follows_velocity_control_through_targets(name):
    one, other = env_of(name), env_of(name, "position")
    one.reset(seed=2)
    other.reset(seed=2)
    for action in some_actions(one, 8):
        target = one.target(action)
        state = one.step(action)[-1]["state"]
        np.testing.assert_allclose(other.step(target)[-1]["state"], state, atol=1e-5)


def test_a_rotation_follows_from_its_first_two_rows():
    rotations = Rotation.random(5, np.random.default_rng(0))
    rows = first_rows(rotations)
    np.testing.assert_array_equal(rows[1], rotations[1].as_matrix()[:2].ravel())
    for turn, six in zip(rotations, rows, strict=True):
        again = rotation_of(six)
        assert (again * turn.inv()).magnitude() < 1e-7
        skewed = np.concatenate([3 * six[:3], 0.5 * six[3:] + 0.2 * six[:3]])
        again = rotation_of(skewed)
        assert (again * turn.inv()).magnitude() < 1e-7


@pytest.mark.parametrize("rows", [np.zeros(6), [1, 0, 0, 2, 0, 0]])
def test_the_hand_keeps_its_rotation_if_the_rows_give_none(rows):
    assert rotation_of(np.array(rows, np.float64)) is None
    env = env_of("can", "position")
    env.reset(seed=0)
    hold = env.target(np.zeros(7))
    hold[3:9] = rows
    before = controllers_of(env.suite)[0].ref_ori_mat.copy()
    for _ in range(5):
        env.step(hold)
    change = Rotation.from_matrix(controllers_of(env.suite)[0].ref_ori_mat @ before.T)
    assert change.magnitude() < 0.02
