"""The figure of a study of encoders: scores with intervals, by network."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np
from matplotlib.axes import Axes

from dp_bench.policies.vision.config import VisionConfig
from dp_bench.reports.encoder_table import EncoderRow, EncoderTable
from dp_bench.reports.plots import style
from dp_bench.reports.plots.looks import tints
from dp_bench.reports.plots.scores import (
    AROUND,
    ROW_HEIGHT,
    SEED,
    draw_series,
    draw_trainings,
)
from dp_bench.reports.plots.style import FAINT, LETTERS, PALE
from dp_bench.reports.table import LEVEL
from dp_bench.reports.wording import NOTHING

NETWORKS = typing.get_args(typing.get_type_hints(VisionConfig)["encoder"])
SERIES = [("score", "score"), ("success", "success rate")]
GAP = 0.9  # above the first row of a network, for its name [rows]


def encoder_scores(table: EncoderTable, ax: Axes | None = None) -> Axes:
    """Draws score and success of each encoder with their intervals.

    Rows of one network stand together, those that begin from scratch first.

    Args:
        table: Of one study.
        ax: Where to draw; None for a figure of its own.
    """
    members = sorted(table.rows, key=_place)
    # Rows bear names of encoders; their look is that of the method.
    rows = [dataclasses.replace(each.row, method=table.method) for each in members]
    networks = [each.facts.vision.encoder for each in members]
    changes = np.array([k == 0 or n != networks[k - 1] for k, n in enumerate(networks)])
    places = np.arange(len(rows)) + GAP * np.cumsum(changes)
    ax = ax or style.new_axes(7.2, AROUND + ROW_HEIGHT * (places[-1] + 1))
    for k in np.flatnonzero(changes):
        _name_network(ax, places[k], networks[k])
    ax.hlines(places, 0, 1, color=PALE, linewidth=0.8, zorder=0)
    heights = draw_series(ax, rows, places, SERIES)
    several = draw_trainings(ax, rows, heights[0])
    labels = [style.marked(_label(each), each.row) for each in members]
    ax.set_yticks(places, labels)
    ax.set_ylim(places.max() + 0.6, places.min() - GAP - 0.4)
    ax.set_xlim(0, 1)
    style.finish(ax, table.title)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    note = f"{table.constant}\n{table.sizes}, {LEVEL:.0%} intervals"
    note += style.mark_notes(rows)
    style.x_label(ax, "score, and success rate", note)
    ax.grid(visible=False, axis="y")
    handles = [
        style.marker_handle(label, white)
        for (_, label), white in zip(SERIES, tints(len(SERIES)), strict=True)
    ]
    more = [style.marker_handle("score by training", 0, SEED)] if several else []
    style.legend_above(ax, [*handles, *more])
    return ax


def _place(each: EncoderRow) -> tuple[object, ...]:
    """Gives the key by which rows are sorted."""
    vision = each.facts.vision
    return (
        NETWORKS.index(vision.encoder),
        *(vision.pretrained, vision.frozen, vision.pooling == "average"),
        *(vision.norm == "batch", each.facts.name, each.row.step),
    )


def _label(each: EncoderRow) -> str:
    """Says how an encoder begins, with its pooling and norm, on two lines."""
    start, pooling, norm = each.words
    if pooling == "average":
        pooling = "average pooling"
    norms = "" if norm == NOTHING else f", {norm} norm"
    return f"{start}\n{pooling}{norms}"


def _name_network(ax: Axes, place: float, name: str) -> None:
    """Writes the name of a network above its first row."""
    ax.annotate(
        name,
        (0, place - GAP),
        (-5, 0),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=LETTERS,
        style="italic",
        color=FAINT,
    )
