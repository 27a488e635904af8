"""PushT: physics and score against recorded truth, geometry against laws."""

import math
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import dp_bench  # noqa: F401 (registers the environment)
from dp_bench.data.demos import Demos
from dp_bench.envs.push_t import env as push_t
from dp_bench.envs.push_t.env import CONTROLS, GOAL, OBS_KINDS, Pose, PushT
from dp_bench.envs.scores import best_reward
from dp_bench.errors import BadInput

ENV_ID = "dp_bench/PushT-v0"
START = [100.0, 100.0, 256.0, 200.0, 1.0]


@pytest.fixture(scope="module")
def replay(shared):
    """Arrays of the human demonstrations, and where their episodes end."""
    zarr = pytest.importorskip("zarr", minversion="2.18", reason="reads the replay")
    path = shared / "data/pusht/pusht_cchi_v7_replay.zarr.zip"
    if not path.exists() or int(zarr.__version__.split(".")[0]) > 2:
        pytest.skip("needs the replay file and zarr 2")
    with zarr.ZipStore(str(path), mode="r") as store:
        root = zarr.open_group(store, mode="r")
        names = ("action", "state", "keypoint")
        arrays = {name: root["data"][name][:] for name in names}
        arrays["frames"] = np.stack([root["data/img"][row] for row in (0, 1000, 9000)])
        return arrays, root["meta/episode_ends"][:]


def pushing_actions(env, seed, steps):
    """Targets around the block, so that it is touched often."""
    rng = np.random.default_rng(seed)
    block = env.unwrapped.reset(seed=seed)[1]["state"][2:4]
    return np.clip(block + rng.normal(0, 80, (steps, 2)), 0, 512).astype(np.float32)


def random_poses(num, seed=0):
    rng = np.random.default_rng(seed)
    low, high = [150, 150, -7], [360, 360, 7]
    return [Pose(*pose) for pose in rng.uniform(low, high, (num, 3))]


def states_along(env, start, actions):
    """Full-precision states that actions lead through, the start included."""
    _, info = env.reset(options={"state": start})
    infos = [info, *(env.step(action)[-1] for action in actions)]
    return np.array([info["state"] for info in infos])


# ------------------------------------------------------------- against recorded truth


def test_rollouts_of_the_reference_are_met(shared):
    with np.load(shared / "golden/pusht_rollouts.npz") as golden:
        rollouts = {name: golden[name] for name in golden.files}
    env = PushT(obs="state", legacy=True)
    for episode in {name.split("/")[0] for name in rollouts}:
        env.reset(options={"state": rollouts[f"{episode}/init"]})
        for i, action in enumerate(rollouts[f"{episode}/action"]):
            _, reward, _, _, info = env.step(action)
            where = f"episode {episode}, step {i}"
            for name, value in (
                ("state", info["state"]),
                ("reward", reward),
                ("coverage", info["coverage"]),
            ):
                np.testing.assert_allclose(
                    value, rollouts[f"{episode}/{name}"][i], 0, 1e-6, err_msg=where
                )


def test_human_demonstrations_replay_and_score_what_they_should(replay):
    arrays, ends = replay
    states = arrays["state"].astype(np.float64)
    env = PushT(obs="state")
    best = []
    for start, end in zip([0, *ends[:39]], ends[:40], strict=True):
        _, info = env.reset(options={"state": states[start]})
        covered = [info["coverage"]]
        for row in range(start, end):
            if row <= start + 20:
                np.testing.assert_allclose(
                    info["state"][:4], states[row, :4], 0, 1e-4, err_msg=f"row {row}"
                )
            info = env.step(arrays["action"][row])[-1]
            covered.append(info["coverage"])
        best.append(max(covered))
    assert np.mean(best) == pytest.approx(0.901, abs=0.001)


def test_keypoints_are_those_of_the_demonstrations(replay):
    arrays, _ = replay
    states = arrays["state"].astype(np.float64)
    ours = np.array([push_t.keypoints(Pose(*row)) for row in states[:, 2:].tolist()])
    error = np.abs(ours.reshape(-1, 9, 2) - arrays["keypoint"]).max(axis=(1, 2))
    moved = (np.diff(states[:, 2:], axis=0) != 0).any(axis=1)
    resting = ~np.concatenate([[True], moved]) & ~np.concatenate([moved, [True]])
    assert resting.sum() > 10_000
    assert error[resting].max() < 1e-4
    assert np.median(error[~resting]) < 0.02  # recorded a little off while it moves


def test_images_look_like_the_recorded_ones(replay):
    arrays, _ = replay
    for row, frame in zip((0, 1000, 9000), arrays["frames"], strict=True):
        ours = push_t.image_of(tuple(arrays["state"][row].astype(np.float64)))
        error = np.abs(ours.astype(np.float64) - frame)
        assert error.mean() < 0.4, f"row {row}"  # of 255
        assert (error.max(axis=-1) > 10).mean() < 0.01, f"row {row}"


def test_converted_demonstrations_hold_the_rewards_of_the_states_they_led_to(replay):
    arrays, ends = replay
    demos = push_t.demos_from_replay(arrays, ends)
    env = PushT(obs="keypoints")
    first_end = int(ends[0])
    for row in (0, 50, first_end - 2):
        _, info = env.reset(options={"state": demos.states[row + 1]})
        expected = push_t.reward(info["coverage"])
        assert demos.rewards[row] == pytest.approx(expected, abs=1e-4)
    assert demos.rewards[first_end - 1] == demos.rewards[first_end - 2]
    obs, _ = env.reset(options={"state": demos.states[0]})
    np.testing.assert_allclose(demos.obs["keypoints"][0], obs, 0, 0.003)
    np.testing.assert_array_equal(demos.obs["state"], arrays["state"])
    assert demos.scores.shape == ends.shape
    assert demos.scores[0] == pytest.approx(demos.rewards[:first_end].max())
    assert 0.85 < demos.scores.mean() < 1


def test_human_displacements_lead_where_human_positions_lead(replay):
    demos = push_t.demos_from_replay(*replay)
    displaced = push_t.displacements(demos)
    for k in range(5):
        rows = demos.episode(k)
        by_position, by_velocity = (
            states_along(env, demos.states[rows.start], actions[rows])
            for env, actions in (
                (PushT(obs="state"), demos.actions),
                (PushT(obs="state", control="velocity"), displaced),
            )
        )
        # Recorded as float32: errors of the finger add up, and pushing enlarges them.
        finger = np.abs(by_velocity - by_position)[:, :2]
        assert finger.max() < 1e-3, f"episode {k}"
        np.testing.assert_allclose(by_velocity, by_position, 0, 0.01)


def test_the_starts_of_the_reference():
    rs = np.random.RandomState(100_003)
    expected = [rs.randint(50, 450), rs.randint(50, 450)]
    expected += [rs.randint(100, 400), rs.randint(100, 400)]
    expected += [(rs.randn() * 2 * np.pi - np.pi) % (2 * np.pi)]
    _, info = PushT(obs="state").reset(seed=100_003)
    # The physics step moves a block that starts in a wall or under the finger.
    np.testing.assert_allclose(info["state"], expected, 0, 1e-9)


# ------------------------------------------------------------------- geometry and laws


def test_coverage_agrees_with_counting_points():
    """Points of a fine grid over the outline, and which of them the block holds."""
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
        assert push_t.coverage(pose) == pytest.approx(counted, abs=2e-3), pose


def test_the_block_covers_all_of_the_outline_in_one_pose_only():
    assert push_t.coverage(GOAL) == pytest.approx(1.0, abs=1e-12)
    turned = Pose(GOAL.x, GOAL.y, GOAL.angle + 2 * math.pi)
    assert push_t.coverage(turned) == pytest.approx(1.0, abs=1e-12)
    assert push_t.coverage(Pose(GOAL.x + 1, GOAL.y, GOAL.angle)) < 0.99
    assert push_t.coverage(Pose(20.0, 20.0, 0.0)) == 0.0


def test_overlap_is_symmetric_and_moves_with_both():
    shift = Pose(31.0, -12.0, 0.0)
    for one, other in zip(random_poses(200), random_poses(200, seed=1), strict=True):
        area = push_t.overlap(one, other)
        assert area == pytest.approx(push_t.overlap(other, one), abs=1e-6)
        shifted = [Pose(*np.add(pose, shift)) for pose in (one, other)]
        assert area == pytest.approx(push_t.overlap(*shifted), abs=1e-6)
        c, s = math.cos(0.7), math.sin(0.7)
        rotated = [
            Pose(c * x - s * y, s * x + c * y, angle + 0.7)
            for x, y, angle in (one, other)
        ]
        assert area == pytest.approx(push_t.overlap(*rotated), abs=1e-6)


def test_the_early_out_hides_no_overlap(monkeypatch):
    rng = np.random.default_rng(0)
    poses = [Pose(*p) for p in rng.uniform([60, 60, 0], [450, 450, 7], (2000, 3))]
    quick = [push_t.coverage(pose) for pose in poses]
    monkeypatch.setattr(push_t, "REACH", math.inf)
    np.testing.assert_allclose(quick, [push_t.coverage(p) for p in poses], 0, 1e-12)


# ------------------------------------------------------------------------ the contract


@pytest.mark.parametrize("obs", OBS_KINDS)
def test_it_is_a_gymnasium_environment(obs, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    if obs != "state":  # the window once is enough
        monkeypatch.setitem(PushT.metadata, "render_modes", ["rgb_array"])
    else:
        pytest.importorskip("pygame")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Targets are in px, as in the demonstrations; policies scale them themselves.
        warnings.filterwarnings("ignore", ".*symmetric and normalized space.*")
        for control in CONTROLS if obs == "state" else CONTROLS[:1]:
            check_env(gym.make(ENV_ID, obs=obs, control=control).unwrapped)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_it_vectorises(mode):
    envs = gym.make_vec(ENV_ID, num_envs=3, vectorization_mode=mode, obs="state")
    try:
        obs, _ = envs.reset(seed=[4, 5, 4])
        np.testing.assert_array_equal(obs[0], obs[2])
        assert not np.array_equal(obs[0], obs[1])
        for _ in range(5):
            _, _, _, _, infos = envs.step(np.tile(np.float32([[256, 256]]), (3, 1)))
        assert infos["state"].shape == (3, 5)
        np.testing.assert_array_equal(infos["state"][0], infos["state"][2])
    finally:
        envs.close()


@pytest.mark.parametrize("obs", OBS_KINDS)
def test_same_seed_and_actions_give_the_same_episode(obs):
    env = gym.make(ENV_ID, obs=obs)
    actions = pushing_actions(env, seed=3, steps=20)

    def play():
        first, _ = env.reset(seed=3)
        return [first, *(env.step(action)[0] for action in actions)]

    assert gym.utils.env_checker.data_equivalence(play(), play(), exact=True)


def test_an_episode_does_not_depend_on_the_one_before():
    env, fresh = PushT(obs="state"), PushT(obs="state")
    for action in pushing_actions(env, seed=1, steps=40):
        env.step(action)
    actions = pushing_actions(env, seed=2, steps=40)
    env.reset(seed=2)
    fresh.reset(seed=2)
    for action in actions:
        np.testing.assert_array_equal(env.step(action)[0], fresh.step(action)[0])


def test_resets_without_a_seed_vary_and_can_be_repeated():
    env = PushT(obs="state")
    env.reset(seed=7)
    some = [env.reset()[0] for _ in range(3)]
    assert not np.array_equal(some[0], some[1])
    env.reset(seed=7)
    np.testing.assert_array_equal(some, [env.reset()[0] for _ in range(3)])


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (it is what is checked)
    env = PushT()
    env.reset(seed=1)
    env.reset()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("obs", OBS_KINDS)
def test_observations_are_not_views_of_each_other(obs):
    env = PushT(obs=obs)

    def arrays(value):
        return list(value.values()) if isinstance(value, dict) else [value]

    first, info = env.reset(options={"state": START})
    kept = [array.copy() for array in arrays(first)]
    state = info["state"].copy()
    second, *_, later = env.step(np.array([256.0, 256.0]))
    for one, copy, two in zip(arrays(first), kept, arrays(second), strict=True):
        assert not np.shares_memory(one, two)
        np.testing.assert_array_equal(one, copy)
        assert not np.array_equal(one, two)
    assert not np.shares_memory(info["state"], later["state"])
    np.testing.assert_array_equal(info["state"], state)


def test_a_state_is_where_it_was_put():
    _, info = PushT().reset(options={"state": START})
    np.testing.assert_allclose(info["state"], START, 0, 1e-9)
    _, info = PushT(legacy=True).reset(options={"state": START})
    # Turned about the centre of gravity, 45 px along the stem, which stays.
    x, y = START[2] + 45 * math.sin(1.0), START[3] + 45 - 45 * math.cos(1.0)
    np.testing.assert_allclose(info["state"][2:], [x, y, 1.0], 0, 1e-9)


def test_an_episode_goes_on_from_a_state_between_pushes():
    """`info["state"]` is enough to come back to a block at rest."""
    env = PushT(obs="state")
    for action in pushing_actions(env, seed=5, steps=30):
        env.step(action)
    for _ in range(30):  # wait for the finger to stand still, away from the block
        *_, info = env.step(np.array([20.0, 20.0]))
    _, again = PushT(obs="state").reset(options={"state": info["state"]})
    np.testing.assert_allclose(again["state"], info["state"], 0, 1e-6)


def test_it_ends_when_the_outline_is_covered():
    env = PushT(obs="state")
    env.reset(options={"state": [60.0, 60.0, *GOAL]})
    _, reward, terminated, truncated, info = env.step(np.array([60.0, 60.0]))
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["success"]
    assert info["coverage"] == pytest.approx(1.0)
    assert info["iou"] == pytest.approx(1.0)


def test_registration_cuts_an_episode_off_after_300_steps():
    env = gym.make(ENV_ID, obs="state")
    env.reset(options={"state": START})
    ends = [env.step(np.float32([100, 100]))[3] for _ in range(300)]
    assert ends == [False] * 299 + [True]


@pytest.mark.parametrize("obs", ["state", "keypoints"])
def test_observations_stay_in_their_space_however_hard_one_pushes(obs):
    """Through the walls, from starts at the edge, to targets beyond the table."""
    env = PushT(obs=obs)
    for seed in range(15):
        rng = np.random.default_rng(seed)
        first, info = env.reset(seed=seed)
        assert first in env.observation_space
        for _ in range(8):
            block = info["state"][2:4]
            behind = block + 130 * rng.normal(size=2)
            through = 2 * block - behind + 600 * np.sign(block - behind)
            for target in (behind, through):
                for _ in range(8):
                    observed, *_, info = env.step(target)
                    assert observed in env.observation_space


def test_targets_beyond_the_table_are_moved_to_its_edge():
    ends = []
    for target in ([900.0, -50.0], [512.0, 0.0]):
        env = PushT(obs="state")
        env.reset(options={"state": [400, 60, 150, 300, 0]})
        for _ in range(10):
            observed, *_ = env.step(np.array(target))
        ends.append(observed)
    np.testing.assert_array_equal(*ends)


def test_a_displacement_counts_from_where_the_finger_is():
    """Pushes around the block, some of them to targets beyond the table."""
    position, velocity = (PushT(obs="state", control=control) for control in CONTROLS)
    targets = pushing_actions(position, seed=2, steps=60).astype(np.float64)
    targets[::7] += 500
    start = position.reset(seed=2)[1]["state"]
    states = states_along(position, start, targets)
    moved = np.ptp(states[:, 2:], axis=0)
    assert moved.min() > 0.1
    again = states_along(velocity, start, targets - states[:-1, :2])
    np.testing.assert_allclose(again, states, 0, 1e-6)


def test_a_finger_that_shall_not_move_stays():
    env = PushT(obs="state", control="velocity")
    states = states_along(env, START, np.zeros((10, 2)))
    np.testing.assert_array_equal(states[:, :2], [START[:2]] * 11)


def test_a_displacement_and_where_the_finger_was_make_the_target():
    demos = Demos(
        task="pusht",
        source="made-up",
        obs={"state": np.zeros((3, 5))},
        actions=[[110.0, 90.0], [0.0, 512.0], [7.5, 7.5]],
        states=[[100.0, 100.0, *GOAL], [0.1, 0.1, *GOAL], [7.5, 7.0, *GOAL]],
        rewards=np.zeros(3),
        scores=[0.5, 0.5],
        episode_ends=[2, 3],
    )
    displaced = push_t.displacements(demos)
    assert displaced.dtype == np.float64
    np.testing.assert_array_equal(displaced, [[10, -10], [-0.1, 511.9], [0, 0.5]])


@pytest.mark.parametrize(
    ("action", "named"),
    [([np.nan, 1.0], "nan"), ([1.0, np.inf], "inf"), ([1.0], "(1,)")],
)
@pytest.mark.parametrize("control", CONTROLS)
def test_a_bad_action_is_named(action, named, control):
    env = PushT(control=control)
    env.reset(seed=0)
    with pytest.raises(BadInput) as refused:
        env.step(np.array(action))
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: PushT(obs="pixels"), "keypoints"),
        (lambda: PushT(control="torque"), "'torque'; it has position, velocity"),
        (lambda: PushT(render_mode="ansi"), "rgb_array"),
        (lambda: PushT().reset(seed=2**32), "2**32 - 1"),
        (lambda: PushT().reset(options={"state": [1.0, 2.0]}), "(2,)"),
        (lambda: PushT().reset(options={"state": [1, 1, np.nan, 1, 1]}), "nan"),
        (lambda: PushT().reset(options={"state": [1, 1, 5000, 1, 1]}), "5000"),
        (lambda: PushT().reset(options={"start": START}), "'state'"),
        (lambda: push_t.demos_from_replay({}, np.array([3])), "'action'"),
        (
            lambda: push_t.demos_from_replay(
                {"action": np.zeros((3, 7))}, np.array([3])
            ),
            "(3, 7)",
        ),
    ],
)
def test_bad_input_names_the_value_and_the_rule(call, named):
    with pytest.raises(BadInput) as refused:
        call()
    assert named in str(refused.value)


def test_a_picture_shows_where_things_are():
    env = PushT(render_mode="rgb_array")
    env.reset(options={"state": [100, 400, 300, 100, 0]})
    picture = env.render()
    assert picture.shape == (512, 512, 3)
    assert picture.dtype == np.uint8
    for (x, y), color in (
        ((100, 400), push_t.ROYAL_BLUE_INSIDE),
        ((300, 200), push_t.SLATE_GRAY_INSIDE),
        ((256, 256), push_t.LIGHT_GREEN),
        ((506, 300), push_t.LIGHT_GRAY),
        ((50, 50), push_t.WHITE),
    ):
        assert tuple(picture[y, x]) == color, (x, y)


def test_the_score_is_the_best_moment_and_the_iou_the_last():
    steps = ((False, 0.2), (True, 0.9), (False, 0.0))
    infos = [{"success": success, "iou": iou} for success, iou in steps]
    assert best_reward([0.3, 1.0, 0.0], infos) == (1.0, True, {"final_iou": 0.0})
    assert best_reward([0.3], infos[:1]) == (0.3, False, {"final_iou": 0.2})
    with pytest.raises(BadInput, match="0 steps"):
        best_reward([], [])
