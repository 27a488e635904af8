"""Motion of BlockPush against laws and the published simulator."""

import math

import numpy as np
import pytest

from dp_bench.envs.block_push import env as block_push
from dp_bench.envs.block_push.env import BlockPush as Env
from dp_bench.envs.block_push.geometry import BLOCK, POSE, PUSHER, PUSHER_RADIUS, SPEED
from pushing import CENTRE, pushes, states_along, table, turn_between

MODEL, _ = block_push.physics()
FRICTION, GRAVITY = MODEL.pair_friction[0, 0], -MODEL.opt.gravity[2]


def along(state, direction, steps):
    """Pushes at 0.15 m/s and returns the states."""
    return states_along(Env(), state, [0.015 * np.array(direction)] * steps)


def test_a_block_that_is_not_pushed_rests():
    """The pusher goes to and fro 4 mm from it, and turns."""
    state = table((0.4, 0.0, 0.0), pusher=(0.37, -0.1))
    to_and_fro = [(0, 0.02 if i % 20 < 10 else -0.02) for i in range(100)]
    states = states_along(Env(), state, to_and_fro)
    assert np.ptp(states[:, PUSHER], axis=0)[1] > 0.15
    np.testing.assert_allclose(states[:, POSE], np.tile(state[POSE], (101, 1)), 0, 1e-6)


def test_a_block_stays_where_a_resting_pusher_touches_it():
    pushed = along(table(), (0, 1), 8)[-1]
    assert pushed[1] > -0.09
    held = states_along(Env(), pushed, np.zeros((100, 2)))
    assert held[-1, 1] - held[0, 1] < 0.003  # it slides on while the pusher catches up
    np.testing.assert_allclose(
        held[5:, POSE], np.tile(held[-1, POSE], (96, 1)), 0, 1e-6
    )


@pytest.mark.parametrize("yaw", [0.0, 0.4, 1.2])
@pytest.mark.parametrize("direction", [(0, 1), (0.6, 0.8), (-1, 0)])
def test_a_pushed_block_keeps_to_the_pusher(yaw, direction):
    """It is never further than contact allows, nor nearer than half its width."""
    direction = np.array(direction)
    block, pusher = CENTRE, CENTRE - 0.05 * direction
    states = along(table((*block, yaw), pusher=pusher), direction, 12)
    gaps = np.linalg.norm(states[3:, :2] - states[3:, PUSHER], axis=1)
    assert gaps.min() > 0.02 + PUSHER_RADIUS - 1e-3
    assert gaps.max() < block_push.TOUCH + 1e-3
    assert (states[-1, :2] - states[0, :2]) @ direction > 0.1


@pytest.mark.parametrize("speed", [0.4, 0.8])
def test_a_released_block_slides_as_far_as_friction_lets_it(speed):
    state = table((0.4, 0.0, 0.3))
    state[16:18] = speed * np.array([0.6, 0.8])
    states = states_along(Env(), state, np.zeros((4, 2)))
    slid = states[-1, :2] - states[0, :2]
    far = speed**2 / (2 * FRICTION * GRAVITY)
    np.testing.assert_allclose(slid, far * np.array([0.6, 0.8]), 0, 0.15 * far)
    assert not states[-1, SPEED].any()
    assert abs(turn_between(states[0, 2], states[-1, 2])) < 1e-6


def test_a_block_stops_at_once_when_the_pusher_leaves_it():
    pushed = along(table(), (0, 1), 8)[-1]
    assert np.linalg.norm(pushed[16:18]) > 0.1
    away = states_along(Env(), pushed, [(0, -0.1), (0, -0.1)])
    assert np.linalg.norm(away[-1, :2] - pushed[:2]) < 1e-3
    assert not away[-1, SPEED].any()


def test_a_push_off_the_centre_turns_a_block_away_from_it():
    for offset in (-0.01, 0.01):
        states = along(table(pusher=(0.4 + offset, -0.15)), (0, 1), 8)
        turn = turn_between(states[0, 2], states[-1, 2])
        assert np.sign(turn) == np.sign(offset)
        assert 0.1 < abs(turn) < 1


@pytest.mark.parametrize("offset", [-0.012, -0.006, 0.003, 0.009])
def test_a_block_turns_about_as_fast_as_one_on_four_corners(offset, monkeypatch):
    """A pusher that sticks takes the touched point of a block along.

    Under force f and torque m a sliding block moves by k f and turns by k m / c^2, c
    being how far from the centre friction acts, at the corners here. At the touched
    point r, both together give the way of the pusher, k f + k m / c^2 (-ry, rx).
    """
    monkeypatch.setattr(block_push, "SPIN", 0.0)
    reach = 0.02 + PUSHER_RADIUS
    start = table((0.4, 0.0, 0.0), pusher=(0.4 - reach, offset))
    states = states_along(Env(), start, [(0.004, 0)] * 3)
    rx, ry, c = -0.02, offset, BLOCK / math.sqrt(2)
    across = np.array([-ry, rx])
    way = states[3, PUSHER] - states[1, PUSHER]
    moved = np.linalg.solve(np.eye(2) + np.outer(across, across) / c**2, way)
    turned = across @ moved / c**2
    measured = turn_between(states[1, 2], states[3, 2])
    assert measured == pytest.approx(turned, rel=0.2)
    np.testing.assert_allclose(states[3, :2] - states[1, :2], moved, 0, 5e-4)


def test_a_block_pushes_the_other_one():
    second = (0.4, -0.04, 0.0)
    states = along(table(second=second), (0, 1), 14)
    assert states[-1, 4] - states[0, 4] > 0.05
    between = np.linalg.norm(states[:, 3:5] - states[:, :2], axis=1)
    assert between.min() > BLOCK - 1e-3


@pytest.fixture
def motion():
    """A push that moves and turns one block, and not the other."""
    state = table((0.39, -0.06, 0.3), (0.45, 0.2, 1.0), (0.4, -0.12))
    return state, np.array([(0.0, 0.015)] * 9 + [(0.02, -0.01)] * 2 + [(-0.015, 0)] * 6)


@pytest.fixture
def collision():
    """A push of one turned block into the other."""
    state = table((0.4, -0.06, 0.3), (0.42, 0.0, 1.0), (0.4, -0.12))
    return state, np.array([(0.0, 0.015)] * 9)


def moved_about(state, matrix, yaw_of):
    """Rotates or mirrors a state about the centre of the table."""
    moved = state.copy()
    for xy in (0, 3, 6, 8, 10, 13):
        moved[xy : xy + 2] = CENTRE + matrix @ (state[xy : xy + 2] - CENTRE)
    for xy in (16, 19):
        moved[xy : xy + 2] = matrix @ state[xy : xy + 2]
        moved[xy + 2] = np.linalg.det(matrix) * state[xy + 2]
    for yaw in (2, 5, 12, 15):
        moved[yaw] = yaw_of(state[yaw]) % math.pi
    return moved


def alike(one, other, within=1e-5):
    """Checks that observations agree; yaws may differ ten times as much [rad, m]."""
    yaws = [2, 5, 12, 15]
    rest = np.setdiff1d(np.arange(16), yaws)
    np.testing.assert_allclose(one[..., rest], other[..., rest], 0, within)
    turns = turn_between(one[..., yaws], other[..., yaws])
    np.testing.assert_allclose(turns, 0, 0, 10 * within)


@pytest.mark.parametrize(("what", "within"), [("motion", 1e-5), ("collision", 1e-3)])
@pytest.mark.parametrize("angle", [0.7, math.pi / 2, math.pi])
def test_blocks_on_a_rotated_table_move_alike(what, within, angle, request):
    """Rounding errors grow while blocks rub against each other."""
    state, steps = request.getfixturevalue(what)
    c, s = math.cos(angle), math.sin(angle)
    matrix = np.array([[c, -s], [s, c]])
    one = states_along(Env(), state, steps)
    assert np.ptp(one[:, :2], axis=0).max() > 0.05
    turned = moved_about(state, matrix, lambda yaw: yaw + angle)
    other = states_along(Env(), turned, steps @ matrix.T)
    expected = [moved_about(row, matrix, lambda yaw: yaw + angle) for row in one]
    alike(other, np.array(expected), within)


def test_blocks_on_a_mirrored_table_move_alike_if_the_pusher_turns_backwards(
    motion, monkeypatch
):
    state, steps = motion
    matrix = np.diag([-1.0, 1.0])
    one = states_along(Env(), state, steps)
    monkeypatch.setattr(block_push, "SPIN", -block_push.SPIN)
    other = states_along(Env(), moved_about(state, matrix, np.negative), steps @ matrix)
    alike(other, np.array([moved_about(row, matrix, np.negative) for row in one]))


def test_swapped_blocks_move_alike(collision):
    state, steps = collision

    def exchanged(rows):
        order = [3, 4, 5, 0, 1, 2, *range(6, 16), 19, 20, 21, 16, 17, 18]
        order += [24, 25, 22, 23]
        return rows[..., order]

    one = states_along(Env(), state, steps)
    assert np.ptp(one[:, POSE], axis=0)[[1, 4]].min() > 0.02
    alike(states_along(Env(), exchanged(state), steps), exchanged(one), 1e-3)


def test_skipped_physics_would_move_nothing(monkeypatch):
    for seed in range(3):
        start, actions = pushes(seed)
        quick = states_along(Env(), start, actions)
        with monkeypatch.context() as patch:
            patch.setattr(block_push, "TOUCH", math.inf)
            np.testing.assert_allclose(
                quick, states_along(Env(), start, actions), 0, 1e-9
            )


@pytest.mark.parametrize(
    ("steps", "within"), [(1, 0.001), (3, 0.002), (10, 0.006), (30, 0.03)]
)
def test_blocks_move_as_in_the_published_simulator(published, steps, within):
    """Median distance [m] after some steps, from states in which a block is pushed."""
    env, rng = Env(), np.random.default_rng(steps)
    apart = []
    while len(apart) < 120:
        seed = rng.integers(1000)
        obs, actions = published[0][seed], published[1][seed]
        row = rng.integers(len(obs) - steps)
        start = np.concatenate([obs[row], np.zeros(10)])
        states = states_along(env, start, actions[row : row + steps])
        for xy in (slice(0, 2), slice(3, 5)):
            if np.linalg.norm(obs[row + steps, xy] - obs[row, xy]) > 0.003:
                apart.append(np.linalg.norm(obs[row + steps, xy] - states[-1, xy]))
    assert np.median(apart) < within


def test_the_pusher_follows_like_the_published_one(published):
    env, errors = Env(), []
    for seed in range(20):
        obs, actions = published[0][seed], published[1][seed]
        start = np.concatenate([obs[0], np.zeros(10)])
        states = states_along(env, start, actions[:-1])
        errors.append(np.linalg.norm(states[:, PUSHER] - obs[:, PUSHER], axis=1))
    assert np.median(np.concatenate(errors)) < 1e-3
    assert np.concatenate(errors).max() < 5e-3


def test_the_simulated_scene_has_the_sizes_of_the_geometry():
    assert MODEL.opt.timestep == 1 / block_push.PHYSICS_RATE
    assert MODEL.geom("pusher").size[0] == PUSHER_RADIUS
    for k in (1, 2):
        block, foot = MODEL.geom(f"block {k}"), MODEL.geom(f"foot {k}")
        np.testing.assert_array_equal(block.size, BLOCK / 2)
        assert foot.pos[2] - foot.size[0] == -BLOCK / 2  # it stands on its foot
        mass = MODEL.body_mass[block.bodyid[0]]
        inertia = MODEL.body_inertia[block.bodyid[0]]
        np.testing.assert_allclose(inertia, mass * BLOCK**2 / 6, 1e-12)
    assert MODEL.stat.meaninertia == pytest.approx(mass / 10)
    np.testing.assert_allclose(MODEL.pair_solref[:, 0], 2 * MODEL.opt.timestep, 1e-12)
    np.testing.assert_array_equal(MODEL.pair_friction[:, :2], FRICTION)
