"""Figures of training: scores, losses and errors against the updates made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dp_bench.errors import BadInput
from dp_bench.reports.learning import (
    LONG,
    estimates_by_step,
    score_curves,
    series_of,
    smoothed,
)
from dp_bench.reports.plots import style
from dp_bench.reports.plots.looks import LineStyle, line_styles
from dp_bench.reports.plots.style import FAINT, INK, LETTERS, SMALL
from dp_bench.reports.table import LEVEL
from dp_bench.reports.trainings import Curve
from dp_bench.reports.wording import seeds_by_starts
from dp_bench.statistics.estimates import Estimate
from dp_bench.training.log import LogLine

Log = Sequence[LogLine]  # of one training
MOST_PANELS = 3  # of losses, side by side
FEW = 0.12  # distance of the markers of a line of losses [diagonals of the axes]


def learning_curves(
    records: pd.DataFrame,
    ax: Axes | None = None,
    *,
    column: str = "score",
    title: str | None = None,
    heading: str = "",
) -> Axes:
    """Draws a score against the updates made, with bands that are intervals.

    Args:
        records: As of `records.to_frame`, of one task, with several steps per run.
        ax: Where to draw; None for a figure of its own.
        column: Which number of the records.
        title: The number's title; None for its own name.
        heading: Of the figure; "" for the name of the task.

    Raises:
        BadInput: When it gets no records, or records of several tasks.
    """
    curves = score_curves(records, column)
    if not curves:
        raise BadInput("a learning curve needs a start that all trainings of a row met")
    ax = ax or style.new_axes(6.0, 3.9)
    sizes = [size for curve in curves for size in curve.sizes]
    looks = line_styles([curve.method for curve in curves])
    for look, curve in zip(looks, curves, strict=True):
        label = style.method_label(curve.method, curve.apart)
        _draw_estimates(ax, curve.steps, curve.estimates, label, look)
    ax.set_ylim(0, 1)
    ax.set_xlim(left=0)
    style.finish(ax, heading or records["task"].iloc[0])
    starts = ", ".join(sorted(set(records["starts"])))
    ax.set_ylabel(f"{title or column} on {starts} starts", fontsize=LETTERS)
    note = f"{seeds_by_starts(sizes)}, bands are {LEVEL:.0%} intervals"
    style.x_label(ax, "updates", note)
    style.thousands(ax)
    style.legend_beside(ax)
    return ax


def loss_curves(
    logs: Mapping[Curve, Sequence[Log]],
    axes: Sequence[Axes] | None = None,
    *,
    title: str = "",
) -> Sequence[Axes]:
    """Draws losses against the updates made: training solid, validation dashed.

    Each curve has a panel of its own, because each method has a loss of its own.

    Args:
        logs: The log of each training that belongs to a curve.
        axes: Where to draw, one for each curve; None for a figure of their own.
        title: Of that figure.

    Returns:
        A panel for each curve. Its scale is logarithmic, or symmetric about 0 where a
        loss is not positive.

    Raises:
        BadInput: When a log has no line with a loss.
    """
    if axes is None:
        figure, axes = _panels(len(logs))
        style.figure_title(figure, title)
    looks = line_styles([curve.method for curve in logs])
    for ax, look, (curve, runs) in zip(axes, looks, logs.items(), strict=True):
        _draw_losses(ax, look, curve, runs)
        style.finish(ax, "")
        ax.set_title(curve.short, loc="left", fontsize=LETTERS - 1, color=INK)
        style.thousands(ax)
        ax.tick_params(labelsize=SMALL)
    several = any(len(runs) > 1 for runs in logs.values())
    measured = any(
        series_of(x, "val_loss").size for runs in logs.values() for x in runs
    )
    notes = ["solid: training, dashed: validation"] * measured
    notes += ["one line for each training"] * several
    for k, ax in enumerate(axes):
        if k + MOST_PANELS >= len(axes):  # nothing below it
            style.x_label(ax, "updates", "\n".join(notes) if ax is axes[-1] else "")
        if k % MOST_PANELS == 0:
            ax.set_ylabel("loss", fontsize=LETTERS)
    return axes


def _panels(number: int) -> tuple[Figure, list[Axes]]:
    """Makes a figure of so many panels, at most three in a row."""
    columns = min(number, MOST_PANELS)
    rows = -(-number // columns)
    figure = Figure(
        figsize=(max(4.0, 3.0 * columns), 1.0 + 2.3 * rows), layout="constrained"
    )
    axes = [figure.add_subplot(rows, columns, k + 1) for k in range(number)]
    return figure, axes


def _draw_losses(ax: Axes, look: LineStyle, curve: Curve, runs: Sequence[Log]) -> None:
    """Draws the losses of the trainings of one curve."""
    losses: list[np.ndarray] = []
    alone = len(runs) == 1
    look |= {"linewidth": 1.8 if alone else 1.2, "linestyle": "-"}
    for log in runs:
        training, validation = series_of(log, "loss"), series_of(log, "val_loss")
        if not training.size:
            raise BadInput(f"log {curve.label!r} has no line with a finite 'loss'")
        losses += [training[1], validation[1]]
        if alone and len(training[0]) > LONG:
            ax.plot(*training, color=look["color"], alpha=0.18, linewidth=0.7)
        ax.plot(*smoothed(training), markevery=FEW, **look)
        dashes = (0, (4, 1.5))
        ax.plot(*validation, color=look["color"], linewidth=1.0, linestyle=dashes)
    _set_loss_scale(ax, losses)
    ax.set_xlim(left=0)


def stability(
    logs: Mapping[Curve, Sequence[Log]],
    records: Mapping[Curve, pd.DataFrame],
    axes: Sequence[Axes] | None = None,
    *,
    heading: str = "",
) -> Sequence[Axes]:
    """Draws whether a lower error of actions means better episodes.

    One below the other, against the updates made: error of actions in validation
    windows, and score with its interval. As in Chi et al. (2023), Fig. 7, but without
    the training losses, which have other units in each method; see `loss_curves`.

    Args:
        logs: The log of each training that belongs to a curve.
        records: By curve, in the order of the legend, as of `records.to_frame`: of one
            task, variant and kind of starts, with several steps per run.
        axes: Two, where to draw; None for a figure of their own, with a legend.
        heading: Of the figure; "" for the name of the task.

    Raises:
        BadInput: When it gets no records, or records of several tasks, variants or
            kinds of starts.
    """
    _refuse_several(records)
    figure = None
    if axes is None:
        figure = Figure(figsize=(6.0, 5.2), layout="constrained")
        axes = list(figure.subplots(2, 1, sharex=True))
    top, bottom = axes
    errors: list[np.ndarray] = []
    sizes: list[tuple[int, int]] = []
    looks = line_styles([curve.method for curve in records])
    for look, (curve, frame) in zip(looks, records.items(), strict=True):
        for log in logs.get(curve, ()):
            errors.append(series_of(log, "val_action_error"))
            top.plot(*errors[-1], markevery=FEW, **look)
        steps, estimates = estimates_by_step(frame)
        if not steps:
            continue  # its trainings share no start
        _draw_estimates(bottom, steps, estimates, curve.label, look)
        sizes += [(e.num_seeds, e.num_starts) for e in estimates]
    _set_error_scale(top, measured=any(error.size for error in errors))
    bottom.set_ylim(0, 1)
    bottom.set_xlim(left=0)
    _label_stability(axes, next(iter(records.values())), sizes, heading)
    if figure:
        figure.align_ylabels(list(axes))
        figure.legend(
            *bottom.get_legend_handles_labels(),
            loc="outside upper right",
            ncols=2,
            frameon=False,
            fontsize=LETTERS - 1,
        )
    return axes


def _draw_estimates(
    ax: Axes,
    steps: Sequence[int],
    estimates: Sequence[Estimate],
    label: str,
    look: LineStyle,
) -> None:
    """Draws estimates by step as a line, with a band for their intervals."""
    values, lows, highs = np.array([estimate[:3] for estimate in estimates]).T
    ax.plot(steps, values, label=label, **look)
    ax.fill_between(steps, lows, highs, color=look["color"], alpha=0.15, linewidth=0)


def _refuse_several(records: Mapping[Curve, pd.DataFrame]) -> None:
    frame = pd.concat(records.values()) if records else pd.DataFrame()
    for name in ("task", "variant", "starts"):
        values = sorted(set(frame[name])) if len(frame) else []
        if len(values) != 1:
            raise BadInput(
                f"stability is drawn for one {name}, these records are of "
                f"{', '.join(values) or 'none'}"
            )


def _label_stability(
    axes: Sequence[Axes],
    records: pd.DataFrame,
    sizes: Sequence[tuple[int, int]],
    heading: str,
) -> None:
    first = records.iloc[0]
    titles = (heading or str(first["task"]), "")
    labels = (
        "error of validation\nactions (normalised)",
        f"score on\n{first['starts']} starts",
    )
    for ax, title, label in zip(axes, titles, labels, strict=True):
        style.finish(ax, title)
        ax.set_ylabel(label, fontsize=LETTERS, color=INK)
    note = (
        "error: one line for each training\n"
        f"score: {seeds_by_starts(sizes)}, variant {first['variant']}, "
        f"bands are {LEVEL:.0%} intervals"
    )
    style.x_label(axes[-1], "updates", note)
    style.thousands(axes[-1])


def _set_loss_scale(ax: Axes, losses: Sequence[np.ndarray]) -> None:
    """Makes the scale logarithmic, or symmetric about 0 if a loss is not positive."""
    values = np.concatenate([*losses, np.empty(0)])
    if values.size and values.min() <= 0:
        sizes = np.abs(values)
        smallest = sizes[sizes > 0].min() if sizes.any() else 1.0
        ax.set_yscale("symlog", linthresh=10 ** np.floor(np.log10(smallest)))
    else:
        ax.set_yscale("log")


def _set_error_scale(ax: Axes, *, measured: bool) -> None:
    """Starts the scale at 0, or says that no training measured the error."""
    if measured:
        ax.set_ylim(bottom=0)
        return
    ax.set_yticks([])
    ax.text(
        *(0.5, 0.5, "not measured in these trainings"),
        transform=ax.transAxes,
        ha="center",
        va="center",
        fontsize=LETTERS - 1,
        color=FAINT,
    )
