"""How often a comparison that stops when decided is wrong, and what it saves."""

import dataclasses

import pytest

from stopping import (
    MOST,
    Study,
    apart,
    decided,
    detectable,
    equal_methods,
    simulate,
    trainings,
)


@pytest.mark.parametrize("spreads", [(0.5, 0.5), (0.3, 1.0)])
def test_equal_methods_are_seldom_told_apart(spreads):
    looks = simulate(Study((0.5, 0.5), spreads, interaction=0.7), 500, seed=0)
    assert decided(looks) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "study"), [*enumerate(equal_methods())])
def test_at_most_one_in_twenty_decisions_is_false(seed, study):
    assert decided(simulate(study, 2000, seed)) <= 0.05


def test_trainings_that_share_their_starts_break_the_rule():
    """The reason for starts of their own: luck with them looks like a difference."""
    fresh = Study((0.5, 0.5), (0.1, 0.1), interaction=1.5)
    shared = dataclasses.replace(fresh, fresh=False)
    assert decided(simulate(fresh, 500, seed=0)) <= 0.05
    assert decided(simulate(shared, 500, seed=0)) > 0.1


def test_equal_methods_are_given_up_early():
    assert trainings(simulate(Study((0.5, 0.5), (0.5, 0.5)), 500, seed=0)) < 5


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.3, 0.5, 1.0])
def test_twice_the_detectable_difference_saves_a_third_of_the_trainings(spread):
    equal = Study((0.3, 0.3), (spread, spread), interaction=0.5)
    looks = simulate(apart(equal, 2 * detectable(equal)), 2000, seed=1)
    assert decided(looks) > 0.95
    assert trainings(looks) < 0.66 * MOST
    assert sum(look.verdict == "B" for look in looks) == 0
