"""The figure of rollouts from a fork: which side each of them took."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from dp_bench.reports.plots import style
from dp_bench.reports.plots.looks import DASHES, PAIR, look_of
from dp_bench.reports.plots.style import INK, SMALL

if TYPE_CHECKING:
    from dp_bench.evaluation.choices import Choice
    from dp_bench.statistics.estimates import Estimate
    from dp_bench.task import Fork

PANELS, PANEL = 5, 2.3  # in one row; their side [inch]
TITLE_WIDTH = 38  # of a panel's title [characters]
LEFT, RIGHT, NEITHER = PAIR[0], PAIR[1], "#888888"
STUCK = DASHES[1]  # a rollout that never got round
COLOURS = {-1: LEFT, 1: RIGHT, 0: NEITHER}  # by side
BROKEN = DASHES[2]  # a rollout that visited both sides


def rollouts_from_fork(
    choices: Sequence[Choice],
    fork: Fork,
    scene: Mapping[str, Sequence[np.ndarray]],
    axes: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """Draws the rollouts of each run over the scene in which they began.

    A path has the colour of its side. It is dotted if it visited both sides, and dashed
    if it never got round. It begins at the marker of its method.

    Args:
        choices: One panel each.
        fork: Where they began.
        scene: Outlines, as of `Fork.scene`.
        axes: One for each choice; None for a figure of their own, with a legend.
    """
    columns = 1
    if axes is None:
        axes, columns = _panels(choices)
    for i, (ax, choice) in enumerate(zip(axes, choices, strict=True)):
        _draw_scene(ax, fork, scene)
        if i + columns < len(choices) and columns > 1:  # another panel is below
            ax.tick_params(bottom=False, labelbottom=False)
            ax.set_xlabel("")
        if i % columns:
            ax.tick_params(left=False, labelleft=False)
            ax.set_ylabel("")
        _draw_paths(ax, choice)
        start = [fork.start[i] for i in fork.position]
        colour, marker = look_of(choice.method) if choice.method else (INK, "o")
        ax.plot(*start, marker, color=colour, markersize=6.5, mec="white", zorder=6)
        ax.set_title(_panel_title(choice), fontsize=SMALL, color=INK, loc="left")
    return axes


def _panels(choices: Sequence[Choice]) -> tuple[list[Axes], int]:
    """Makes a figure with a legend; returns its panels, and how many lie in a row."""
    rows = -(-len(choices) // PANELS)
    columns = -(-len(choices) // rows)
    lines = max(_panel_title(choice).count("\n") + 1 for choice in choices)
    height = PANEL + 0.5 + 0.16 * lines  # with ticks and title
    figure = Figure(
        figsize=(PANEL * columns + 0.6, height * rows + (0.5 if columns > 2 else 0.8)),
        layout="constrained",
    )
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(len(choices))]
    handles = [
        style.line_handle("went left", LEFT, "-", 1.6),
        style.line_handle("went right", RIGHT, "-", 1.6),
        style.line_handle("neither", NEITHER, "-", 1.6),
        style.line_handle("not round", NEITHER, STUCK, 1.6),
        style.line_handle("visited both sides", INK, BROKEN, 1.6),
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles) if columns > 2 else 2,
        frameon=False,
        fontsize=SMALL,
    )
    return axes, columns


def _panel_title(choice: Choice) -> str:
    sided, rollouts = np.sum(choice.sides != 0), len(choice.sides)
    return "\n".join(
        [
            textwrap.fill(choice.title, TITLE_WIDTH),
            f"left {np.sum(choice.sides < 0)} of {sided}{_bracket(choice.left)}",
            f"commits {np.sum(choice.committed)} of {rollouts}"
            f"{_bracket(choice.commits)}",
            f"not round {np.sum(~choice.is_round)} of {rollouts}",
        ]
    )


def _bracket(share: Estimate | None) -> str:
    return f" [{share.low:.2f}, {share.high:.2f}]" if share else ""


def _draw_paths(ax: Axes, choice: Choice) -> None:
    for k, path in enumerate(choice.paths):
        side = int(choice.sides[k])
        dash = "-" if choice.committed[k] or not side else BROKEN
        ax.plot(
            *path.T,
            color=COLOURS[side],
            linestyle=dash if choice.is_round[k] else STUCK,
            linewidth=1.1,
            alpha=0.75,
            zorder=4,
        )
        ax.plot(*path[-1], ".", color=COLOURS[side], markersize=4, zorder=5)


def _draw_scene(
    ax: Axes, fork: Fork, scene: Mapping[str, Sequence[np.ndarray]]
) -> None:
    """Draws the outlines, and sets limits and labels."""
    for name, look in (
        ("table", {"fill": False, "edgecolor": "#999999", "linewidth": 1.0}),
        ("goal", {"facecolor": "#DDF0DD", "edgecolor": "none"}),
        ("block", {"facecolor": "#CBD3DC", "edgecolor": "#77889A", "linewidth": 1.0}),
    ):
        for outline in scene.get(name, ()):
            ax.add_patch(Polygon(outline, closed=True, zorder=2, **look))
    corners = np.concatenate([*scene["table"]])
    (left, low), (right, high) = corners.min(axis=0), corners.max(axis=0)
    margin = 0.02 * (right - left)
    ax.set_xlim(left - margin, right + margin)
    ax.set_ylim(low - margin, high + margin)
    if fork.downwards and not ax.yaxis_inverted():
        ax.invert_yaxis()
    ax.set_aspect("equal")
    for side in ax.spines.values():
        side.set_visible(False)
    ax.tick_params(labelsize=SMALL, colors=INK, length=2)
    ax.locator_params(nbins=3)
    ax.set_xlabel(f"x [{fork.unit}]", fontsize=SMALL, color=INK)
    ax.set_ylabel(f"y [{fork.unit}]", fontsize=SMALL, color=INK)
