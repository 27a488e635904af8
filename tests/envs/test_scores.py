"""Scores of episodes, from made-up rewards and infos."""

import numpy as np
import pytest

from dp_bench.envs.scores import (
    best_reward,
    different_rewards,
    elements_done,
    solved,
)
from dp_bench.errors import BadInput


def test_the_score_of_pusht_is_the_best_moment_and_the_iou_the_last():
    steps = ((False, 0.2), (True, 0.9), (False, 0.0))
    infos = [{"success": success, "iou": iou} for success, iou in steps]
    assert best_reward([0.3, 1.0, 0.0], infos)[:3] == (1.0, True, {"final_iou": 0.0})
    assert best_reward([0.3], infos[:1])[:3] == (0.3, False, {"final_iou": 0.2})
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


# Successes by step; success at any step, and at the last one.
MOMENTS = [
    ([False, True, False], True, False),
    ([False, False, True], True, True),
    ([True, True, True], True, True),
    ([False, False, False], False, False),
]


@pytest.mark.parametrize("score", [best_reward, different_rewards, solved])
@pytest.mark.parametrize(("successes", "once", "at_end"), MOMENTS)
def test_success_at_any_step_and_at_the_last_one(score, successes, once, at_end):
    infos = entries(*([] for _ in successes))
    for info, success in zip(infos, successes, strict=True):
        info |= {"success": np.bool_(success), "iou": 0.5}
    outcome = score([0.0] * len(infos), infos)
    assert outcome.success_once is once
    assert outcome.success_at_end is at_end


def kitchen(*steps):
    """Makes infos from how many elements are done, and at their goals, in each step."""
    return [
        {"order": np.clip(np.arange(1, 8), 0, done) * (np.arange(7) < done),
         "at_goal": np.arange(7) < near}
        for done, near in steps
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "once", "at_end"),
    [
        ([(2, 2), (4, 4), (4, 3)], True, False),  # one was undone again
        ([(2, 2), (4, 3), (4, 4)], True, True),
        ([(3, 3), (3, 3)], False, False),
        ([(5, 4)], True, True),
    ],
)
def test_kitchen_ends_in_success_while_four_elements_are_in_place(steps, once, at_end):
    outcome = elements_done([0.0] * len(steps), kitchen(*steps))
    assert outcome.success is once
    assert outcome.success_once is once
    assert outcome.success_at_end is at_end


def test_infos_that_do_not_say_when_leave_it_unknown():
    outcome = different_rewards([0.49, 0.51], entries([(0, 0)], [(0, 0), (1, 1)]))
    assert (outcome.success_once, outcome.success_at_end) == (None, None)
    (info,) = kitchen((4, 4))
    del info["at_goal"]
    assert elements_done([0.0], [info])[3:] == (True, None)


def test_an_episode_without_steps_has_no_score():
    with pytest.raises(BadInput, match="0 steps"):
        different_rewards([], [])
