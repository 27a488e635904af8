"""Geometry of PushT against counted points, recorded keypoints and laws."""

import math

import numpy as np
import pytest

from dp_bench.envs.push_t import geometry
from dp_bench.envs.push_t.geometry import GOAL, Pose, coverage, keypoints, overlap


def random_poses(num, seed=0):
    rng = np.random.default_rng(seed)
    low, high = [150, 150, -7], [360, 360, 7]
    return [Pose(*pose) for pose in rng.uniform(low, high, (num, 3))]


def test_coverage_agrees_with_counting_points():
    """Counts the points of a fine grid over the outline that the block covers."""
    step = 0.25
    xs, ys = np.meshgrid(np.arange(-60, 60, step), np.arange(0, 120, step))
    grid = np.stack([xs.ravel(), ys.ravel()], axis=1) + step / 2

    def inside(points):
        u, v = points[:, 0], points[:, 1]
        bar = (np.abs(u) < 60) & (v > 0) & (v < 30)
        return bar | ((np.abs(u) < 15) & (v >= 30) & (v < 120))

    def turn(angle):
        return np.array(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        )

    outline = grid[inside(grid)] @ turn(GOAL.angle).T + GOAL[:2]
    right_angles = [Pose(250.0, 262.0, GOAL.angle + k * math.pi / 2) for k in range(4)]
    for pose in [*random_poses(40), *right_angles]:
        counted = inside((outline - pose[:2]) @ turn(pose.angle)).mean()
        assert coverage(pose) == pytest.approx(counted, abs=2e-3), pose


def test_the_block_covers_all_of_the_outline_in_one_pose_only():
    assert coverage(GOAL) == pytest.approx(1.0, abs=1e-12)
    turned = Pose(GOAL.x, GOAL.y, GOAL.angle + 2 * math.pi)
    assert coverage(turned) == pytest.approx(1.0, abs=1e-12)
    assert coverage(Pose(GOAL.x + 1, GOAL.y, GOAL.angle)) < 0.99
    assert coverage(Pose(20.0, 20.0, 0.0)) == 0.0


def test_overlap_is_symmetric_and_ignores_a_common_motion():
    shift = Pose(31.0, -12.0, 0.0)
    for one, other in zip(random_poses(200), random_poses(200, seed=1), strict=True):
        area = overlap(one, other)
        assert area == pytest.approx(overlap(other, one), abs=1e-6)
        shifted = [Pose(*np.add(pose, shift)) for pose in (one, other)]
        assert area == pytest.approx(overlap(*shifted), abs=1e-6)
        c, s = math.cos(0.7), math.sin(0.7)
        rotated = [
            Pose(c * x - s * y, s * x + c * y, angle + 0.7)
            for x, y, angle in (one, other)
        ]
        assert area == pytest.approx(overlap(*rotated), abs=1e-6)


def test_the_quick_return_skips_no_overlap(monkeypatch):
    rng = np.random.default_rng(0)
    poses = [Pose(*p) for p in rng.uniform([60, 60, 0], [450, 450, 7], (2000, 3))]
    quick = [coverage(pose) for pose in poses]
    monkeypatch.setattr(geometry, "REACH", math.inf)
    np.testing.assert_allclose(quick, [coverage(p) for p in poses], 0, 1e-12)


def test_keypoints_match_the_demonstrations(replay):
    arrays, _ = replay
    states = arrays["state"].astype(np.float64)
    ours = np.array([keypoints(Pose(*row)) for row in states[:, 2:].tolist()])
    error = np.abs(ours.reshape(-1, 9, 2) - arrays["keypoint"]).max(axis=(1, 2))
    moved = (np.diff(states[:, 2:], axis=0) != 0).any(axis=1)
    resting = ~np.concatenate([[True], moved]) & ~np.concatenate([moved, [True]])
    assert resting.sum() > 10_000
    assert error[resting].max() < 1e-4
    assert np.median(error[~resting]) < 0.02  # recorded a little off while it moves
