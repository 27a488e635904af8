"""Keyframes: surprise of actions, and draws of windows by weight."""

import numpy as np
import pytest

from dp_bench.data.keyframes import draw_weights, surprise, weighted_order


def corner(length=40, at=20):
    """Displacements that go straight on, turn once by a right angle, and go on."""
    actions = np.tile([1.0, 0.0], (length, 1))
    actions[at:] = [0.0, 1.0]
    return actions


def test_a_turn_is_a_surprise_and_going_on_is_none():
    surprises = surprise(corner(), np.array([40]))
    assert surprises.argmax() == 20
    assert np.delete(surprises, [20, 21, 22]).max() < 0.2 * surprises[20]


def test_targets_that_move_at_a_constant_speed_are_no_surprise():
    """Absolute actions change in every step, and two of them predict the next."""
    surprises = surprise(corner().cumsum(0), np.array([40]))
    assert surprises.argmax() == 20
    assert np.delete(surprises, 20).max() < 0.3 * surprises[20]


def test_the_last_actions_of_another_episode_predict_nothing():
    actions = np.concatenate([np.tile([1.0], (10, 1)), np.tile([-1.0], (10, 1))])
    joined, apart = (surprise(actions, np.array(ends)) for ends in ([20], [10, 20]))
    assert joined[10] == joined.max() > 0.5
    np.testing.assert_allclose(apart, 0, atol=1e-6)


def test_weights_rise_with_the_mean_surprise_of_a_window():
    index = np.array([[0, 1], [1, 2], [2, 2]])
    weights = draw_weights(np.array([0.0, 0.0, 3.0]), index, 2.0)
    np.testing.assert_allclose(weights, [1.0, 1 + 2 * 1.5 / 1.5, 1 + 2 * 3 / 1.5])
    np.testing.assert_array_equal(draw_weights(np.zeros(3), index, 2.0), np.ones(3))


def test_windows_are_drawn_in_proportion_to_their_weights():
    weights = np.array([1.0, 1.0, 1.0, 5.0, 0.5, 3.5])
    epochs = [weighted_order(0, epoch, weights) for epoch in range(300)]
    counts = np.array([np.bincount(e, minlength=6) for e in epochs])
    assert (counts.sum(1) == 6).all()
    expected = 6 * weights / weights.sum()
    np.testing.assert_allclose(counts.mean(0), expected, atol=0.1)
    assert (np.abs(counts - expected) < 1).all()  # rounded up or down, never more


@pytest.mark.parametrize("change", [{"train_seed": 1}, {"epoch": 1}])
def test_an_order_depends_on_seed_and_epoch(change):
    given = {"train_seed": 0, "epoch": 0, "weights": np.ones(50)}
    order = weighted_order(**given)
    np.testing.assert_array_equal(order, weighted_order(**given))
    assert (order != weighted_order(**given | change)).any()
    np.testing.assert_array_equal(np.sort(order), np.arange(50))  # equal weights
