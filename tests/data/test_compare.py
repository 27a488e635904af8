"""Comparing two sets of demonstrations, against sums done by hand."""

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.data.compare import Feature, compare, distance
from dp_bench.errors import BadInput
from made_up import demonstrations

TITLE = "length of an episode [steps]"


def numbers(*values):
    return Feature("numbers", np.array(values, float))


def choices(*values):
    return Feature("choices", np.array(values), ("a", "b", "c"))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (numbers(1, 2, 3, 4), numbers(1, 2, 3, 4), 0.0),
        (numbers(1, 2), numbers(3, 4), 1.0),
        # below 3 lie 2 of 4 and 1 of 4
        (numbers(1, 2, 3, 4), numbers(2, 3, 4, 5), 0.25),
        (choices(0, 0, 1, 2), choices(0, 1, 1, 2), 0.25),
        (choices(0, 0), choices(1, 2), 1.0),
    ],
)
def test_the_distance_equals_a_hand_computed_one(one, other, expected):
    assert distance(one, other) == pytest.approx(expected)
    assert distance(other, one) == pytest.approx(expected)


def test_a_feature_without_values_has_no_distance():
    assert np.isnan(distance(numbers(), numbers(1.0)))
    assert numbers().summary() == "none"


def test_shares_count_each_choice():
    assert choices(0, 0, 1, 0).summary() == "0.75, 0.25, 0.00"


def test_equal_demonstrations_are_refused():
    task = registry.task("blockpush")
    demos = demonstrations("blockpush", lengths=(4, 6))
    with pytest.raises(BadInput, match="the same demonstrations"):
        compare(task, demos, demos)


def test_every_task_compares_the_lengths_of_episodes():
    task = registry.task("pusht")
    one = demonstrations("pusht", lengths=(4, 6))
    other = demonstrations("pusht", lengths=(6, 8), seed=1)
    comparison = compare(task, one, other)
    assert comparison.pairs[0].one.title == TITLE
    assert comparison.pairs[0].distance == pytest.approx(0.5)
