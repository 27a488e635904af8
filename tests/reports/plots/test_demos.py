"""The figure that compares two sets of demonstrations."""

import numpy as np

from dp_bench.data.compare import DemosComparison, Feature, Pair
from dp_bench.reports.plots.demos import demos_comparison


def test_choices_are_bars_and_numbers_are_cumulative_distributions():
    numbers = [Feature("speed [m/s]", np.arange(100.0) * k) for k in (1, 2)]
    names = ("left", "right")
    choices = [Feature("way", np.array(way), names) for way in ([0, 0, 1, 1], [1, 1])]
    pairs = (Pair(*numbers, distance=0.5), Pair(*choices, distance=0.5))
    figure = demos_comparison(DemosComparison("reach", ("ours", "theirs"), pairs))
    speeds, ways = figure.axes
    for line, feature in zip(speeds.lines, numbers, strict=True):
        middle = np.interp(0.5, line.get_ydata(), line.get_xdata())
        np.testing.assert_allclose(middle, np.median(feature.values), rtol=0.02)
    assert [bar.get_height() for bar in ways.patches] == [0.5, 0.5, 0.0, 1.0]
    assert [label.get_text() for label in ways.get_xticklabels()] == [*names]
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["ours", "theirs"]
