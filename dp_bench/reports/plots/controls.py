"""The figure of position beside velocity control."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.reports.plots import style
from dp_bench.reports.plots.looks import look_of, tints
from dp_bench.reports.plots.style import FAINT, INK, LETTERS, SMALL
from dp_bench.reports.table import (
    CIRCUMSTANCES,
    LEVEL,
    Row,
    Table,
    differing,
    distinct,
    of_method,
)
from dp_bench.reports.wording import seeds_by_starts, sizes_of

PANEL_WIDTH = 24  # of the lines above a panel [characters]
OTHERS = [n for n in CIRCUMSTANCES if n not in ("control", "step", "settings")]


def controls(table: Table, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Draws methods with position beside velocity control, a panel for each method.

    As in Chi et al. (2023), Fig. 4. Where the task has columns with curves of their
    own, such as p1 and p2, the figure shows these, otherwise score and success.

    Args:
        table: Of one task.
        axes: As many as `both_controls` finds methods; None for a figure of their own.

    Raises:
        BadInput: When no method has rows with more than one control.
    """
    methods = both_controls(table)
    if not methods:
        kinds = ", ".join(sorted(distinct(table.rows, "control")))
        raise BadInput(f"no method has rows with two controls, all have: {kinds}")
    figure = None
    if axes is None:
        figure = Figure(figsize=(1.2 + 2.6 * len(methods), 3.6), layout="constrained")
        axes = list(figure.subplots(1, len(methods), sharey=True, squeeze=False)[0])
    shares = {column.key: column.title for column in style.share_columns(table)}
    shares = shares or {"score": "score", "success": "success"}
    kinds_of_control = sorted(distinct(table.rows, "control"))
    faces = dict(zip(kinds_of_control, tints(len(kinds_of_control)), strict=True))
    labels: dict[str, float] = {}
    for ax, method in zip(axes, methods, strict=True):
        labels |= _draw_method(ax, of_method(table.rows, method), shares, faces)
    axes[0].set_ylabel("share of episodes", fontsize=LETTERS, color=INK)
    rows = [row for row in table.rows if row.method in methods]
    note = f"{seeds_by_starts(sizes_of(rows))}, {LEVEL:.0%} intervals"
    note += style.mark_notes(rows)
    if figure:
        # of the figure, as one panel is too narrow for it
        figure.supxlabel(note, x=0.99, ha="right", fontsize=SMALL, color=FAINT)
        _add_legend(figure, f"{rows[0].task}: control", labels)
    else:
        style.x_label(axes[-1], "", note)
    return axes


def both_controls(table: Table) -> list[str]:
    """Lists the methods that have rows with position and with velocity control."""
    methods = [
        method
        for method in distinct(table.rows, "method")
        if differing(of_method(table.rows, method), ["control"])
    ]
    return sorted(methods, key=registry.position_of)


def _draw_method(
    ax: Axes,
    rows: Sequence[Row],
    shares: Mapping[str, str],
    faces: Mapping[str, float],
) -> dict[str, float]:
    """Draws the panel of one method.

    Args:
        ax: The panel.
        rows: Of the method.
        shares: Titles of the numbers in the panel, by key.
        faces: Share of white in the faces of markers, by control mode.

    Returns:
        The same share by label of a row.
    """
    labels: dict[str, float] = {}
    shifts = np.linspace(-0.15, 0.15, len(rows))
    apart = differing(rows, OTHERS)
    for shift, row in zip(shifts, rows, strict=True):
        facts = [row.control, *(str(getattr(row, name)) for name in apart)]
        label = style.marked(", ".join(facts), row)
        labels[label] = faces[row.control]
        style.draw_estimates(
            ax,
            [row.estimates[key] for key in shares],
            np.arange(len(shares)) + shift,
            along="y",
            look=look_of(row.method),
            white=labels[label],
            label=label,
        )
    ax.set_xticks(range(len(shares)), list(shares.values()))
    ax.set_xlim(-0.5, len(shares) - 0.5)
    ax.set_ylim(0, 1)
    style.finish(ax, registry.title_of(rows[0].method))
    title = textwrap.fill(ax.get_title(loc="left"), PANEL_WIDTH)
    ax.set_title(title, loc="left", fontsize=LETTERS)
    ax.grid(visible=False, axis="x")
    return labels


def _add_legend(figure: Figure, title: str, labels: Mapping[str, float]) -> None:
    """Adds one legend for all panels; its markers are those of no method."""
    figure.legend(
        handles=[style.marker_handle(label, face) for label, face in labels.items()],
        title=title,
        title_fontsize=LETTERS - 1,
        loc="outside upper right",
        ncols=len(labels),
        frameon=False,
        fontsize=LETTERS - 1,
    )
