"""Figures of training: scores, losses and errors against the updates made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dp_bench.errors import BadInput
from dp_bench.reports.plots import style
from dp_bench.reports.plots.looks import LineStyle, line_styles
from dp_bench.reports.plots.style import FAINT, INK, LETTERS
from dp_bench.reports.summary import ROW, scores_by_seed_and_start
from dp_bench.reports.table import CIRCUMSTANCES, LEVEL
from dp_bench.reports.trainings import Curve, place_of_curve
from dp_bench.reports.wording import seeds_by_starts
from dp_bench.statistics.estimates import estimate_mean
from dp_bench.training.log import LogLine

Log = Sequence[LogLine]  # of one training
LONG = 200  # points; longer lines are smoothed
FEW = 0.12  # distance of the markers of a line of losses [diagonals of the axes]
CURVE = [name for name in ROW if name != "step"]  # a curve for each combination


def learning_curves(
    records: pd.DataFrame,
    ax: Axes | None = None,
    *,
    column: str = "score",
    title: str | None = None,
) -> Axes:
    """Draws a score against the updates made, with bands that are intervals.

    Args:
        records: As of `records.to_frame`, of one task, with several steps per run.
        ax: Where to draw; None for a figure of its own.
        column: Which number of the records.
        title: The number's title; None for its own name.

    Raises:
        BadInput: When it gets no records, or records of several tasks.
    """
    if records.empty or records["task"].nunique() > 1:
        names = ", ".join(sorted(set(records["task"]))) or "none"
        raise BadInput(f"a learning curve is of one task, these records are of {names}")
    ax = ax or style.new_axes(6.0, 3.9)
    sizes: list[tuple[int, int]] = []
    curves = [curve for _, curve in records.groupby(CURVE, sort=False)]
    keys = ["task", "method", "obs_kind"]
    curves.sort(key=lambda curve: place_of_curve(*curve[keys].iloc[0]))
    looks = line_styles([curve["method"].iloc[0] for curve in curves])
    for look, curve in zip(looks, curves, strict=True):
        sizes += _draw_scores(ax, curve, _curve_label(curve, records), look, column)
    ax.set_ylim(0, 1)
    ax.set_xlim(left=0)
    style.finish(ax, records["task"].iloc[0])
    starts = ", ".join(sorted(set(records["starts"])))
    ax.set_ylabel(f"{title or column} on {starts} starts", fontsize=LETTERS)
    note = f"{seeds_by_starts(sizes)}, bands are {LEVEL:.0%} intervals"
    style.x_label(ax, "updates", note)
    style.thousands(ax)
    style.legend_beside(ax)
    return ax


def loss_curves(logs: Mapping[Curve, Sequence[Log]], ax: Axes | None = None) -> Axes:
    """Draws losses against the updates made: training solid, validation dashed.

    Args:
        logs: The log of each training that belongs to a curve.
        ax: Where to draw; None for a figure of its own. Its scale is logarithmic, or
            symmetric about 0 where a loss is not positive.

    Raises:
        BadInput: When a log has no line with a loss.
    """
    ax = ax or style.new_axes(8.0, 3.9)
    losses: list[np.ndarray] = []
    validated = False
    looks = line_styles([curve.method for curve in logs])
    for look, (curve, runs) in zip(looks, logs.items(), strict=True):
        alone = len(runs) == 1
        look |= {"linewidth": 1.8 if alone else 1.2, "linestyle": "-"}
        for k, log in enumerate(runs):
            training, validation = _series(log, "loss"), _series(log, "val_loss")
            if not training.size:
                raise BadInput(f"log {curve.label!r} has no line with a finite 'loss'")
            losses += [training[1], validation[1]]
            validated |= bool(validation.size)
            if alone and len(training[0]) > LONG:
                ax.plot(*training, color=look["color"], alpha=0.18, linewidth=0.7)
            label = None if k else curve.label
            ax.plot(*_smooth(training), label=label, markevery=FEW, **look)
            dashes = (0, (4, 1.5))
            ax.plot(*validation, color=look["color"], linewidth=1.0, linestyle=dashes)
    _set_loss_scale(ax, losses)
    ax.set_xlim(left=0)
    style.finish(ax, "")
    ax.set_ylabel("loss (in units of the method)", fontsize=LETTERS)
    several = any(len(runs) > 1 for runs in logs.values())
    notes = ["solid: training, dashed: validation"] * validated
    notes += ["one line for each training"] * several
    style.x_label(ax, "updates", "\n".join(notes))
    style.thousands(ax)
    style.legend_beside(ax)
    return ax


def stability(
    logs: Mapping[Curve, Sequence[Log]],
    records: Mapping[Curve, pd.DataFrame],
    axes: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """Draws whether a lower loss means better episodes.

    One below the other, against the updates made: training loss, error of actions in
    validation windows, and score with its interval. As in Chi et al. (2023), Fig. 7.

    Args:
        logs: The log of each training that belongs to a curve.
        records: By curve, in the order of the legend, as of `records.to_frame`: of one
            task, variant and kind of starts, with several steps per run.
        axes: Three, where to draw; None for a figure of their own, with a legend.

    Raises:
        BadInput: When it gets no records, or records of several tasks, variants or
            kinds of starts.
    """
    _refuse_several(records)
    figure = None
    if axes is None:
        figure = Figure(figsize=(6.0, 6.8), layout="constrained")
        axes = list(figure.subplots(3, 1, sharex=True))
    top, middle, bottom = axes
    losses: list[np.ndarray] = []
    errors: list[np.ndarray] = []
    sizes: list[tuple[int, int]] = []
    looks = line_styles([curve.method for curve in records])
    for look, (curve, frame) in zip(looks, records.items(), strict=True):
        for log in logs.get(curve, ()):
            losses.append(_smooth(_series(log, "loss")))
            top.plot(*losses[-1], markevery=FEW, **look)
            errors.append(_series(log, "val_action_error"))
            middle.plot(*errors[-1], **look)
        sizes += _draw_scores(bottom, frame, curve.label, look)
    _set_loss_scale(top, [loss[1] for loss in losses])
    _set_error_scale(middle, measured=any(error.size for error in errors))
    bottom.set_ylim(0, 1)
    bottom.set_xlim(left=0)
    _label_stability(axes, next(iter(records.values())), sizes)
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


def _curve_label(curve: pd.DataFrame, records: pd.DataFrame) -> str:
    """Writes the method, with what sets its curve apart from its other curves."""
    first = curve.iloc[0]
    rivals = records[records["method"] == first["method"]]
    # A hash says no more than the kind of observation, where that tells curves apart.
    kinds = rivals[rivals["obs_kind"] == first["obs_kind"]]
    hashes = ("settings", "demos_digest", "frames_digest")
    apart = [
        str(first[name])[:12]
        for name in dict.fromkeys((*CIRCUMSTANCES, *hashes))
        if name in CURVE and (kinds if name in hashes else rivals)[name].nunique() > 1
    ]
    return style.method_label(first["method"], apart)


def _draw_scores(
    ax: Axes,
    records: pd.DataFrame,
    label: str,
    look: LineStyle,
    column: str = "score",
) -> list[tuple[int, int]]:
    """Draws the mean score by step with its interval.

    Returns:
        The number of train seeds and of starts at each step.
    """
    steps, estimates = [], []
    for step in sorted(records["step"].unique()):
        part = records[records["step"] == step]
        cells = scores_by_seed_and_start(part, column).to_numpy(dtype=np.float64)
        if cells.size:
            steps.append(step)
            estimates.append(estimate_mean(cells, level=LEVEL))
    values, lows, highs = np.array([estimate[:3] for estimate in estimates]).T
    ax.plot(steps, values, label=label, **look)
    ax.fill_between(steps, lows, highs, color=look["color"], alpha=0.15, linewidth=0)
    return [(estimate.num_seeds, estimate.num_starts) for estimate in estimates]


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
    axes: Sequence[Axes], records: pd.DataFrame, sizes: Sequence[tuple[int, int]]
) -> None:
    first = records.iloc[0]
    titles = (str(first["task"]), "", "")
    labels = (
        "training loss\n(in units of the method)",
        "error of validation\nactions (normalised)",
        f"score on\n{first['starts']} starts",
    )
    for ax, title, label in zip(axes, titles, labels, strict=True):
        style.finish(ax, title)
        ax.set_ylabel(label, fontsize=LETTERS, color=INK)
    note = (
        "loss and error: one line for each training\n"
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


def _series(log: Log, key: str) -> np.ndarray:
    """Lists updates and numbers, `(2, N)`, from lines that hold a finite number."""
    points = [(line.update, getattr(line, key)) for line in log]
    series = np.array(points, dtype=np.float64).reshape(-1, 2).T  # None becomes NaN
    return series[:, np.isfinite(series).all(axis=0)]


def _smooth(series: np.ndarray) -> np.ndarray:
    """Replaces each point of a long series by the mean of its neighbours, `(2, N)`.

    A sixtieth of the series counts on either side, less at the ends.
    """
    number = series.shape[1]
    if number <= LONG:
        return series
    kernel = np.ones(2 * (number // 60) + 1)
    there = np.convolve(np.ones(number), kernel, mode="same")
    means = np.convolve(series[1], kernel, mode="same") / there
    return np.stack([series[0], means])
