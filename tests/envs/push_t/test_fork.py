"""The fork of PushT: its start, and the verdict on a path from there."""

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.data import readers
from dp_bench.envs.push_t import fork
from dp_bench.envs.push_t.geometry import TABLE
from pushing import on_table

TASK = registry.task("pusht")
FORK = TASK.fork
AT, LEFT, RIGHT = (0, 201), (-90, 60), (90, 60)


def in_block(path, state):
    """Converts positions on the table to (across, along) in the block's frame."""
    points = (path - state[2:4]) @ [1, 1j] * np.exp(-1j * state[4])
    return np.stack([points.real, points.imag], axis=1)


@pytest.mark.parametrize(
    ("points", "verdict"),
    [
        pytest.param([AT, LEFT, (-90, -20), (0, -20)], (-1, True), id="left"),
        pytest.param([AT, RIGHT, (90, -20), (0, -20)], (1, True), id="right"),
        pytest.param([AT, LEFT, (-50, 80)], (-1, True), id="halfway"),
        pytest.param([AT, LEFT, (-90, -9), (70, -9)], (-1, True), id="crosses behind"),
        pytest.param(
            [AT, LEFT, (-9, 150), RIGHT, (90, -9)],
            (1, False),
            id="crosses before",
        ),
        pytest.param([AT, LEFT, RIGHT, LEFT], (-1, False), id="there and back"),
        pytest.param([AT, (29, 150), (-29, 140)], (0, False), id="no side"),
        pytest.param([AT], (0, False), id="stands still"),
    ],
)
def test_the_judge_names_the_side_and_the_commitment_of_a_path(points, verdict):
    assert fork.way_round(on_table(*points), FORK.start) == verdict


def mirrored(points):
    """Mirrors points at the line x + y = 512, the axis of the table and the outline."""
    return TABLE - np.asarray(points)[..., ::-1]


def test_a_mirrored_path_gets_the_mirrored_verdict():
    rng = np.random.default_rng(0)
    verdicts = set()
    for _ in range(200):
        path = on_table(AT) + rng.normal(size=(12, 2)).cumsum(axis=0) * 25
        side, committed = fork.way_round(path, FORK.start)
        verdicts.add((side, committed))
        assert fork.way_round(mirrored(path), FORK.start) == (-side, committed)
    assert len(verdicts) == 5, "both sides with and without commitment, and neither"


def test_left_and_right_of_the_fork_are_mirror_images():
    np.testing.assert_allclose(mirrored(FORK.start[:2]), FORK.start[:2])
    scene = fork.outlines(FORK.start)
    for name, within in (("block", 1e-9), ("goal", 1e-9), ("table", 1.0)):
        (outline,) = scene[name]
        apart = np.abs(outline[:, None] - mirrored(outline)).max(axis=-1)
        assert apart.min(axis=1).max() <= within, name


def test_the_fork_is_a_state_at_rest_in_which_the_task_is_unsolved():
    env = TASK.make_env()
    _, info = env.reset(options={"state": FORK.start})
    np.testing.assert_allclose(info["state"], FORK.start)
    for _ in range(3):
        *_, info = env.step(np.array(FORK.start[:2]))
    np.testing.assert_allclose(info["state"], FORK.start)
    assert info["coverage"] < 0.5


def test_demonstrations_take_both_ways(shared):
    """Judges every passage in which the finger goes from the stem around the block."""
    file = shared / "data/pusht/pusht_cchi_v7_replay.zarr.zip"
    if not file.exists():
        pytest.skip("needs the replay file")
    demos = readers.read(file, TASK, None)
    sides = []
    for end, start in zip(
        demos.episode_ends, [0, *demos.episode_ends[:-1]], strict=True
    ):
        row = start
        while row < end:
            state, path = demos.states[row], demos.states[row : min(row + 40, end), :2]
            u, v = in_block(path, state).T
            turned = (state[4] - FORK.start[4] + np.pi) % (2 * np.pi) - np.pi
            before = v[0] > 140 and abs(u[0]) < 30 and abs(turned) < 0.6
            if before and (v < 0).any():
                sides.append(fork.way_round(path, state)[0])
                row += 40
            row += 1
    assert len(sides) > 30
    assert 1 / 3 < np.mean(np.array(sides) < 0) < 2 / 3
