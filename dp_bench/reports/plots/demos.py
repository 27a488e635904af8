"""The figure that compares two sets of demonstrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dp_bench.reports.plots import style
from dp_bench.reports.plots.looks import DASHES, PAIR
from dp_bench.reports.plots.style import INK, LETTERS, SMALL

if TYPE_CHECKING:
    from dp_bench.data.compare import DemosComparison, Pair

COLUMNS = 3  # of panels
CROWDED = 40  # labels of choices with more characters in all are turned


def demos_comparison(comparison: DemosComparison) -> Figure:
    """Draws each feature of both sets: bars of choices, or cumulative distributions."""
    rows = -(-len(comparison.pairs) // COLUMNS)
    figure = Figure(figsize=(3.1 * COLUMNS, 2.3 * rows + 0.5), layout="constrained")
    for i, pair in enumerate(comparison.pairs):
        ax = figure.add_subplot(rows, COLUMNS, i + 1)
        word = _draw_pair(ax, pair, comparison.episodes)
        style.finish(ax, "")
        ax.tick_params(labelsize=SMALL)
        ax.set_xlabel(pair.one.title, fontsize=SMALL, color=INK)
        if i % COLUMNS == 0 or pair.one.choices:
            ax.set_ylabel(word, fontsize=SMALL, color=INK)
    handles = [
        style.line_handle(name, colour, dash, 1.8)
        for name, colour, dash in zip(comparison.names, PAIR, DASHES, strict=False)
    ]
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=len(handles),
        frameon=False,
        fontsize=LETTERS,
        title=f"Demonstrations of {comparison.task}",
    )
    return figure


def _draw_pair(ax: Axes, pair: Pair, episodes: tuple[int, int]) -> str:
    """Draws how many episodes made each choice, or the middle 99 % of a distribution.

    Args:
        ax: Where to draw.
        pair: One feature of both sets.
        episodes: Number of episodes of each set.

    Returns:
        What the vertical axis measures.
    """
    sets = zip((pair.one, pair.other), episodes, strict=True)
    word = "share of episodes" if pair.one.choices else "share at most this"
    for (feature, number), colour, dash, shift in zip(
        sets, PAIR, DASHES, (-0.2, 0.2), strict=False
    ):
        if feature.choices:
            places = np.arange(len(feature.choices))
            heights = feature.counts() / max(number, 1)
            if max(heights, default=0) > 1:
                word = "times an episode"
            ax.bar(places + shift, heights, width=0.38, color=colour)
            ax.set_xticks(places, feature.choices)
            if sum(map(len, feature.choices)) > CROWDED:
                ax.tick_params(axis="x", labelrotation=40)
                for label in ax.get_xticklabels():
                    label.set(ha="right", rotation_mode="anchor")
            continue
        shares = np.linspace(0.005, 0.995, 200)
        if len(feature.values):
            values = np.quantile(feature.values, shares)
            ax.plot(values, shares, color=colour, linestyle=dash, linewidth=1.8)
        ax.set_ylim(0, 1)
    return word
