"""The human demonstrations of PushT, converted and replayed."""

import numpy as np
import pytest

from dp_bench.data.demos import Demos
from dp_bench.envs.push_t.demos import demos_from_replay, displacements
from dp_bench.envs.push_t.env import PushT
from dp_bench.envs.push_t.geometry import GOAL, reward
from dp_bench.errors import BadInput
from pushing import states_along


def test_human_demonstrations_replay_to_their_recorded_scores(replay):
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


def test_a_converted_row_holds_the_reward_of_the_next_state(replay):
    arrays, ends = replay
    demos = demos_from_replay(arrays, ends)
    env = PushT(obs="keypoints")
    first_end = int(ends[0])
    for row in (0, 50, first_end - 2):
        _, info = env.reset(options={"state": demos.states[row + 1]})
        expected = reward(info["coverage"])
        assert demos.rewards[row] == pytest.approx(expected, abs=1e-4)
    assert demos.rewards[first_end - 1] == demos.rewards[first_end - 2]
    obs, _ = env.reset(options={"state": demos.states[0]})
    np.testing.assert_allclose(demos.obs["keypoints"][0], obs, 0, 0.003)
    np.testing.assert_array_equal(demos.obs["state"], arrays["state"])
    assert demos.scores.shape == ends.shape
    assert demos.scores[0] == pytest.approx(demos.rewards[:first_end].max())
    assert 0.85 < demos.scores.mean() < 1


def test_displacements_and_positions_replay_alike(replay):
    demos = demos_from_replay(*replay)
    displaced = displacements(demos)
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


def test_a_displacement_is_the_target_minus_the_finger():
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
    displaced = displacements(demos)
    assert displaced.dtype == np.float64
    np.testing.assert_array_equal(displaced, [[10, -10], [-0.1, 511.9], [0, 0.5]])


@pytest.mark.parametrize(
    ("arrays", "named"), [({}, "'action'"), ({"action": np.zeros((3, 7))}, "(3, 7)")]
)
def test_a_bad_replay_file_names_the_array_and_its_shape(arrays, named):
    with pytest.raises(BadInput) as refused:
        demos_from_replay(arrays, np.array([3]))
    assert named in str(refused.value)
