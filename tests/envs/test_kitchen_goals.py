"""Kitchen: goals of the elements, and the score."""

import numpy as np
import pytest

from dp_bench.envs.scores import ELEMENTS, elements_done, sequence
from dp_bench.errors import BadInput

pytest.importorskip(
    "gymnasium_robotics", reason="needs gymnasium-robotics: 'dp-bench[kitchen]'"
)
from dp_bench.envs.kitchen.franka import OBS_ELEMENT_INDICES, Q
from dp_bench.envs.kitchen.goals import at_goal
from kitchen_states import with_done


@pytest.mark.parametrize("name", ELEMENTS)
def test_only_the_element_at_its_goal_is_done(name):
    np.testing.assert_array_equal(
        at_goal(with_done(name)[Q]), [each == name for each in ELEMENTS]
    )


@pytest.mark.parametrize("name", ELEMENTS)
def test_an_element_is_done_when_it_is_nearer_than_three_tenths(name):
    state = with_done(name)
    for error, near in ((0.299, True), (0.301, False)):
        q = state[Q].copy()
        q[OBS_ELEMENT_INDICES[name][-1]] += error
        assert at_goal(q)[ELEMENTS.index(name)] == near
    rows = np.tile(state[Q], (2, 3, 1))
    assert at_goal(rows).shape == (2, 3, 7)


@pytest.mark.parametrize(
    ("order", "score", "digits"),
    [
        ([0, 0, 0, 0, 0, 0, 0], 0, 0),
        ([0, 0, 0, 0, 0, 1, 2], 0.5, 67),
        ([0, 0, 3, 4, 0, 1, 2], 1, 6734),
        ([5, 0, 3, 4, 0, 1, 2], 1, 67341),
    ],
)
def test_each_of_four_elements_is_worth_a_quarter(order, score, digits):
    outcome = elements_done([0.0], [{"order": np.array(order)}])
    done = np.count_nonzero(order)
    assert outcome.score == score
    assert outcome.success == (done >= 4)
    scores = outcome.sub_scores
    assert [scores[f"p{k}"] for k in range(1, 8)] == [done >= k for k in range(1, 8)]
    assert [scores[name.replace(" ", "_")] for name in ELEMENTS] == np.sign(
        order
    ).tolist()
    assert scores["elements"] == done
    assert scores["sequence"] == sequence(np.array(order)) == digits
    assert scores.get("order") == (float(str(digits)[:4]) if done >= 4 else None)


def test_an_episode_without_steps_has_no_score():
    with pytest.raises(BadInput, match="0 steps"):
        elements_done([], [])
