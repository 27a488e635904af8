"""The figure of a study of samplers: score against network calls and against time."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from dp_bench import registry
from dp_bench.reports.plots import style
from dp_bench.reports.plots.looks import OURS
from dp_bench.reports.plots.style import FAINT, SMALL
from dp_bench.reports.sampler_table import SamplerRow, constant_of, title_of
from dp_bench.reports.table import LEVEL

APART = 1.03  # neighbouring samplers, as a factor of the number of calls


def sampler_curves(rows: Sequence[SamplerRow]) -> Figure:
    """Draws one line for each sampler in two panels.

    Args:
        rows: Of one run.
    """
    figure, panels = plt.subplots(
        1, 2, figsize=(9.0, 3.9), sharey=True, layout="constrained"
    )
    names = list(dict.fromkeys(row.name for row in rows))
    for k, name in enumerate(names):
        mine = [row for row in rows if row.name == name]
        aside = APART ** (k - (len(names) - 1) / 2)  # so that no bar hides another
        _draw(panels[0], [aside * row.evaluation.calls for row in mine], mine)
        _draw(panels[1], [1000 * row.decision_seconds for row in mine], mine)
    words = ("network calls of one decision", "time of one decision [ms]")
    for ax, label in zip(panels, words, strict=True):
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_ylim(0, 1)
        style.finish(ax, "")
        ax.set_xlabel(label)
    panels[0].set_xticks(sorted({row.evaluation.calls for row in rows}))
    panels[0].set_ylabel("score")
    style.legend_beside(panels[1])
    style.figure_title(figure, title_of(rows))
    figure.supxlabel(
        f"{constant_of(rows)}; {LEVEL:.0%} intervals of this training",
        x=0.99,
        ha="right",
        fontsize=SMALL,
        color=FAINT,
    )
    return figure


def _draw(ax: Axes, x: Sequence[float], rows: Sequence[SamplerRow]) -> None:
    known, name = list(registry.samplers()), rows[0].evaluation.sampler
    place = known.index(name) if name in known else len(known)
    look = OURS[place % len(OURS)]
    values, lows, highs = np.array([row.score[:3] for row in rows]).T
    ax.errorbar(
        x,
        values,
        yerr=np.maximum(np.nan_to_num([values - lows, highs - values]), 0),
        color=look.colour,
        marker=look.marker,
        markersize=4.5,
        linewidth=1.8,
        elinewidth=1.0,
        linestyle="--" if rows[0].evaluation.spacing == "quadratic" else "-",
        label=rows[0].name,
    )
