"""The figure that compares two sets of demonstrations."""

import numpy as np

from dp_bench.data.compare import DemosComparison, Feature, Pair
from dp_bench.reports.plots.demos import demos_comparison


def test_choices_are_bars_and_numbers_are_cumulative_distributions():
    numbers = [Feature("speed [m/s]", np.arange(100.0) * k) for k in (1, 2)]
    names = ("left", "right")
    choices = [Feature("way", np.array(way), names) for way in ([0, 0, 1, 1], [1, 1])]
    pairs = (Pair(*numbers, distance=0.5), Pair(*choices, distance=0.5))
    names = ("ours", "theirs")
    figure = demos_comparison(DemosComparison("reach", names, pairs, (4, 2)))
    speeds, ways = figure.axes
    for line, feature in zip(speeds.lines, numbers, strict=True):
        middle = np.interp(0.5, line.get_ydata(), line.get_xdata())
        np.testing.assert_allclose(middle, np.median(feature.values), rtol=0.02)
    assert [bar.get_height() for bar in ways.patches] == [0.5, 0.5, 0.0, 1.0]
    assert ways.get_ylabel() == "share of episodes"
    labels = [label.get_text() for label in ways.get_xticklabels()]
    assert labels == ["left", "right"]
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["ours", "theirs"]


def test_a_choice_made_several_times_is_a_share_of_episodes():
    """Two of four elements in each of three episodes; the first one in all."""
    done = Feature("element", np.array([0, 1, 0, 2, 0, 3]), tuple("abcd"))
    pair = Pair(done, done, distance=0.0)
    comparison = DemosComparison("reach", ("ours", "theirs"), (pair,), (3, 3))
    [ax] = demos_comparison(comparison).axes
    heights = [bar.get_height() for bar in ax.patches[:4]]
    np.testing.assert_allclose(heights, [1, 1 / 3, 1 / 3, 1 / 3])


def test_a_choice_that_one_set_makes_more_than_once_an_episode_is_no_share():
    one, other = (Feature("way", np.array(way), ("a", "b")) for way in ([0, 0, 0], [0]))
    pair = Pair(one, other, distance=0.0)
    comparison = DemosComparison("reach", ("ours", "theirs"), (pair,), (2, 1))
    [ax] = demos_comparison(comparison).axes
    assert ax.get_ylabel() == "times an episode"
