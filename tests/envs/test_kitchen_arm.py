"""The arm of Kitchen: kinematics, gravity and speed."""

import itertools

import numpy as np
import pytest

pytest.importorskip(
    "gymnasium_robotics", reason="needs gymnasium-robotics: 'dp-bench[kitchen]'"
)
from dp_bench.envs.kitchen.arm import ACTION_REACH, SHARE, Arm, Pose, axes
from dp_bench.envs.kitchen.env import Kitchen
from dp_bench.envs.kitchen.franka import ARM


def test_yaw_and_pitch_turn_the_hands_axes():
    """Ahead is y, right is x, and the hand's first axis points up."""
    np.testing.assert_allclose(axes(0, 0)[:, 2], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(axes(0, 0)[:, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(axes(np.pi / 2, 0)[:, 2], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(axes(0, np.pi / 2)[:, 2], [0, 0, 1], atol=1e-12)
    for yaw, pitch in itertools.product((-0.7, 0.2), (-0.3, 0.4)):
        A = axes(yaw, pitch)
        np.testing.assert_allclose(A @ A.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(A) == pytest.approx(1)


def test_inverse_kinematics_undoes_kinematics():
    """The angles of a pose, solved from other angles, give the pose again."""
    arm, rng = Arm(), np.random.default_rng(0)
    start = Kitchen(noise=0).reset()[1]["state"][ARM]
    for _ in range(20):
        goal = arm.pose(np.clip(start + rng.normal(0, 0.15, 7), arm._low, arm._high))
        q = start
        for _ in range(5):
            q, error = arm.solve(q, Pose(*goal))
        assert error < 0.005
        assert (q >= arm._low).all()
        assert (q <= arm._high).all()
        pose = arm.pose(q)
        np.testing.assert_allclose(pose.position, goal.position, atol=0.005)


def test_the_arm_stays_in_place_if_actions_compensate_gravity():
    """Without compensation it sinks: targets count from the observed joints."""
    arm, moved = Arm(), []
    for share in (1.0, 0.0):
        env = Kitchen(noise=0)
        state = env.reset()[1]["state"]
        start = state[ARM].copy()
        for _ in range(25):
            action = np.zeros(9, np.float32)
            action[ARM] = share * arm.sag(state[ARM]) / ACTION_REACH
            state = env.step(action)[-1]["state"]
        moved.append(np.abs(state[ARM] - start).max())
    assert moved[0] < 0.02 < 0.2 < moved[1]


def test_joints_follow_as_fast_as_plans_assume():
    """A joint that moves steadily covers SHARE of the distance to its target."""
    arm = Arm()
    for joint in range(7):
        env = Kitchen(noise=0)
        state = env.reset()[1]["state"]
        action_of_joint = -0.3 if joint in (0, 2, 6) else 0.3
        for _ in range(4):
            before, action = state[ARM].copy(), np.zeros(9, np.float32)
            action[ARM] = arm.sag(before) / ACTION_REACH
            action[joint] += action_of_joint
            state = env.step(action)[-1]["state"]
        share = (state[ARM] - before)[joint] / (action_of_joint * ACTION_REACH)
        assert share == pytest.approx(SHARE[joint], abs=0.08)
