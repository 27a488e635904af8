"""The fork of PushT: its start, and the verdict on a path from there."""

import itertools

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
LEFT_ROUND, RIGHT_ROUND = [(-90, -20), (0, -20)], [(90, -20), (0, -20)]


@pytest.mark.parametrize(
    ("points", "verdict"),
    [
        pytest.param([AT, LEFT, *LEFT_ROUND], (-1, True, True), id="left"),
        pytest.param([AT, RIGHT, *RIGHT_ROUND], (1, True, True), id="right"),
        pytest.param([AT, LEFT, (-50, 80)], (0, False, False), id="halfway"),
        pytest.param(
            [AT, LEFT, (-90, -9), (70, -9)], (-1, True, True), id="crosses behind"
        ),
        pytest.param(
            [AT, LEFT, (-9, 150), RIGHT, (90, -9)],
            (1, False, True),
            id="crosses before",
        ),
        pytest.param(
            [AT, LEFT, RIGHT, LEFT, (-90, -9)], (-1, False, True), id="there and back"
        ),
        pytest.param([AT, LEFT, RIGHT, LEFT], (0, False, False), id="wavers"),
        pytest.param([AT, (29, 150), (-29, -9)], (0, False, True), id="no side"),
        pytest.param([AT], (0, False, False), id="stands still"),
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
    for _ in range(400):
        path = on_table(AT) + rng.normal(size=(30, 2)).cumsum(axis=0) * 60
        way = fork.way_round(path, FORK.start)
        verdicts.add(way)
        mirror = fork.way_round(mirrored(path), FORK.start)
        assert mirror == way._replace(side=-way.side)
    assert len(verdicts) == 6, "sides with and without commitment; neither; not round"


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


def recorded(*points, at=(320.0, 192.0), turned=0.0):
    """States of an episode: the finger along points, the block in another pose."""
    angle = FORK.start[4] + turned
    along = np.array([complex(*p) for p in points]) * np.exp(1j * angle)
    block = np.tile([*at, angle], (len(points), 1))
    return np.column_stack([along.real + at[0], along.imag + at[1], block])


def line(*corners, steps=10):
    """Points on the lines between corners, `steps` on each."""
    pairs = itertools.pairwise(np.array(corners, float))
    return np.concatenate([np.linspace(a, b, steps, endpoint=False) for a, b in pairs])


def sides(states):
    paths = fork.passages(states, FORK.start, FORK.steps)
    return [fork.way_round(path, FORK.start) for path in paths]


def test_passages_of_demonstrations_are_those_that_stand_before_the_choice():
    """The block lies elsewhere and is turned: the passage is moved onto the fork."""
    left, right = [AT, LEFT, *LEFT_ROUND], [AT, RIGHT, *RIGHT_ROUND]
    pose = {"at": (200.0, 300.0), "turned": 0.4}
    assert sides(recorded(*line(*left), **pose)) == [(-1, True, True)]
    [path] = fork.passages(recorded(*line(*right), **pose), FORK.start, FORK.steps)
    np.testing.assert_allclose(path, on_table(*line(*right)), atol=1e-9)
    assert sides(recorded(*line(*left), turned=0.7)) == [], "the block lies askew"
    assert sides(recorded(*line(LEFT, *LEFT_ROUND))) == [], "the finger is beside it"


def test_each_stay_before_the_choice_counts_once():
    waits = [AT] * 60
    assert sides(recorded(*waits, *line(AT, LEFT, *LEFT_ROUND))) == [(-1, True, True)]
    assert sides(recorded(*waits)) == [(0, False, False)]
    assert sides(recorded(*waits[:30])) == [], "the episode ends before the choice"
    twice = line(AT, LEFT, *LEFT_ROUND), line(AT, RIGHT, *RIGHT_ROUND)
    far = np.tile([300.0, -20.0], (40, 1))
    states = recorded(*twice[0], *far, *twice[1])
    assert [way.side for way in sides(states)] == [-1, 1]


def test_demonstrations_take_both_ways(shared):
    """Judges every passage in which the finger goes from the stem around the block."""
    file = shared / "data/pusht/pusht_cchi_v7_replay.zarr.zip"
    if not file.exists():
        pytest.skip("needs the replay file")
    demos = readers.read(file, TASK, None)
    ways = [
        way
        for k in range(demos.num_episodes)
        for way in sides(demos.states[demos.episode(k)])
    ]
    taken = np.array([way.side for way in ways if way.side])
    assert len(taken) > 30
    assert 1 / 3 < np.mean(taken < 0) < 2 / 3
