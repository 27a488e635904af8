"""The figure of a plan: the chance of a decision over the number of trainings."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from dp_bench.reports.planning import Plan
from dp_bench.reports.plots import style
from dp_bench.reports.plots.looks import DASHES, tint
from dp_bench.reports.plots.style import FAINT, INK, LETTERS
from dp_bench.reports.wording import decimals, seeds_by_starts
from dp_bench.statistics.comparisons import POWER

FEWEST, MOST = 10, 40  # train seeds that the figure shows at least and at most


def power_curves(plan: Plan, ax: Axes | None = None) -> Axes:
    """Draws a curve for each number of starts, and where the records stand.

    Args:
        plan: Of two methods.
        ax: Where to draw; None for a figure of its own.
    """
    ax = ax or style.new_axes(6.4, 3.8)
    S, E = plan.size
    needed = plan.study.seeds_needed(E) or MOST
    seeds = np.arange(2, int(np.clip(needed + 2, FEWEST, MOST)) + 1)
    shades = np.linspace(0.6, 0.0, len(plan.num_starts))
    for k, (number, shade) in enumerate(zip(plan.num_starts, shades, strict=True)):
        ax.plot(
            seeds,
            [plan.study.power(int(s), number) for s in seeds],
            color=tint(INK, shade),
            linestyle=DASHES[::-1][k % len(DASHES)],
            linewidth=1.8,
            label=f"{number:,} starts",
        )
    ax.axhline(POWER, color=FAINT, linewidth=0.8)
    ax.plot(
        [S],
        [plan.study.power(S, E)],
        color=INK,
        marker="o",
        markersize=style.MARKER + 2,
        linestyle="",
        label="the records",
        zorder=4,
    )
    ax.set_ylim(0, 1.02)
    ax.set_xlim(seeds[0] - 0.2, seeds[-1] + 0.2)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylabel("chance of a decision", fontsize=LETTERS, color=INK)
    a, b = plan.names
    style.finish(ax, f"Telling {a} and {b} apart")
    style.x_label(
        ax,
        "train seeds of each method",
        f"{plan.where}; records: "
        f"{seeds_by_starts([plan.size])}\n"
        "if the true difference is the observed "
        f"{decimals(abs(plan.study.difference))}",
    )
    style.legend_beside(ax)
    return ax
