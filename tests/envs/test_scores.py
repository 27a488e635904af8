"""Scores of episodes, from made-up rewards and infos."""

import numpy as np
import pytest

from dp_bench.envs.scores import best_reward, different_rewards
from dp_bench.errors import BadInput


def test_the_score_of_pusht_is_the_best_moment_and_the_iou_the_last():
    steps = ((False, 0.2), (True, 0.9), (False, 0.0))
    infos = [{"success": success, "iou": iou} for success, iou in steps]
    assert best_reward([0.3, 1.0, 0.0], infos) == (1.0, True, {"final_iou": 0.0})
    assert best_reward([0.3], infos[:1]) == (0.3, False, {"final_iou": 0.2})
    with pytest.raises(BadInput, match="0 steps"):
        best_reward([], [])


def entries(*steps):
    """Makes infos from the (block, target) pairs entered by each step."""
    infos = []
    for pairs in steps:
        entered = np.zeros((2, 2), bool)
        for pair in pairs:
            entered[pair] = True
        infos.append({"entered": entered})
    return infos


@pytest.mark.parametrize(
    ("rewards", "infos", "score", "sub_scores"),
    [
        ([0, 0], entries([], []), 0, {"p1": 0, "p2": 0}),
        (
            [0, 0.49, 0],
            entries([], [(1, 0)], [(1, 0)]),
            0.49,
            {"p1": 1, "p2": 0, "order": 2},
        ),
        (  # the second block in the same target earns nothing new
            [0.49, 0, 0.49],
            entries([(0, 1)], [(0, 1)], [(0, 1), (1, 1)]),
            0.49,
            {"p1": 1, "p2": 0, "order": 1},
        ),
        (
            [0, 0.49, 0, 0.51],
            entries([], [(0, 0)], [(0, 0)], [(0, 0), (1, 1)]),
            1,
            {"p1": 1, "p2": 1, "order": 0},
        ),
        (  # 0.49 + 0.98 + 0.51 exceeds the largest score
            [0.49, 0.98, 0.51],
            entries([(1, 1)], [(1, 1), (0, 1), (1, 0)], [(1, 1), (0, 1), (1, 0)]),
            1,
            {"p1": 1, "p2": 1, "order": 3},
        ),
        (  # neither was first
            [0, 0.51],
            entries([], [(0, 0), (1, 1)]),
            0.51,
            {"p1": 1, "p2": 0},
        ),
    ],
)
def test_the_score_of_blockpush_is_the_sum_of_the_different_rewards(
    rewards, infos, score, sub_scores
):
    outcome = different_rewards(rewards, infos)
    assert outcome.score == pytest.approx(score)
    assert outcome.success == bool(sub_scores["p2"])
    assert outcome.sub_scores == sub_scores


def test_an_episode_without_steps_has_no_score():
    with pytest.raises(BadInput, match="0 steps"):
        different_rewards([], [])
