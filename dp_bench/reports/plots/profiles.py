"""Figures in the sense of rliable: profiles of scores, and chances of being ahead.

Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical
Precipice.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.reports.columns import circumstances
from dp_bench.reports.plots import style
from dp_bench.reports.plots.looks import line_styles, look_of
from dp_bench.reports.plots.style import BLOCKS, FAINT, INK, LETTERS, SMALL
from dp_bench.reports.table import (
    CIRCUMSTANCES,
    LEVEL,
    Row,
    Table,
    differing,
    grouped,
)
from dp_bench.reports.wording import seeds_by_starts, sizes_of
from dp_bench.statistics.intervals import is_binary
from dp_bench.statistics.profiles import performance_profiles, probability_of_beating

# A profile ends with the share of perfect scores.
THRESHOLDS = np.append(np.linspace(0, 1, 200, endpoint=False), 1 - 1e-9)
PAIR_HEIGHT = 0.24  # of one pair [inch]
LABEL_WIDTH = 38  # a legend of two columns has no longer labels [characters]


def profile_blocks(table: Table) -> list[list[Row]]:
    """Groups the rows of a table by block; leaves out blocks of plain successes.

    Where every score is 0 or 1, a profile is the success rate at all thresholds.
    """
    blocks = grouped(table.rows, BLOCKS)
    return [rows for rows in blocks if not all(is_binary(row.scores) for row in rows)]


def profiles(table: Table) -> Sequence[Axes]:
    """Draws the share of episodes with a score above each threshold, with its interval.

    Args:
        table: Of one task.

    Returns:
        A panel for each block of `profile_blocks`.

    Raises:
        BadInput: When all scores are 0 or 1.
    """
    blocks = profile_blocks(table)
    if not blocks:
        raise BadInput("a profile needs scores between 0 and 1, all are 0 or 1")
    labels = {label for rows in blocks for label in _labels(rows)}
    columns = 1 if max(map(len, labels)) > LABEL_WIDTH else 2
    width = max(6.0, 1.0 + 3.3 * len(blocks))
    height = 4.0 + 0.2 * -(-len(labels) // columns)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(figure.subplots(1, len(blocks), sharey=True, squeeze=False)[0])
    for ax, rows in zip(axes, blocks, strict=True):
        _draw_profiles(ax, rows)
        style.finish(ax, _heading(table, rows) if len(blocks) > 1 else "")
        style.x_label(ax, "score", "")
    axes[0].set_ylabel(
        "share of episodes\nwith a higher score", fontsize=LETTERS, color=INK
    )
    shown = [row for rows in blocks for row in rows]
    # A note wider than a panel would move the panels apart.
    bands = f"bands are pointwise {LEVEL:.0%} intervals"
    notes = [circumstances(table)[1], seeds_by_starts(sizes_of(shown)), bands]
    if any(row.num_seeds == 1 for row in shown):
        notes.append("no band: of one training")
    if marked := style.mark_notes(shown):
        notes.append(marked.removeprefix("; "))
    style.figure_title(figure, table.title)
    _add_legend(figure, axes, columns)
    style.x_label(axes[-1], "score", "\n".join(notes))
    return axes


def compared_blocks(table: Table) -> list[list[Row]]:
    """Groups the rows that can be compared by block, best first.

    A row that is marked, or of one training, takes no part.
    """
    able = [row for row in table.rows if row.comparable]
    able.sort(key=lambda row: -row.score.value)
    blocks = [rows for rows in grouped(able, BLOCKS) if len(rows) > 1]
    return sorted(blocks, key=lambda rows: table.rows.index(rows[0]))


def probabilities(table: Table) -> Sequence[Axes]:
    """Draws how probable it is that a training of one row beats one of another.

    Args:
        table: Of one task.

    Returns:
        A panel for each block of `compared_blocks`, with a line for each pair.

    Raises:
        BadInput: When no two rows can be compared.
    """
    blocks = compared_blocks(table)
    if not blocks:
        raise BadInput(
            "a probability needs two comparable rows with two train seeds or more"
        )
    pairs = [list(itertools.combinations(rows, 2)) for rows in blocks]
    heights = [len(members) + 1.5 for members in pairs]
    figure = Figure(
        figsize=(7.4, 1.3 + PAIR_HEIGHT * sum(heights)), layout="constrained"
    )
    axes = list(
        figure.subplots(
            len(blocks), 1, sharex=True, squeeze=False, height_ratios=heights
        )[:, 0]
    )
    for ax, rows, members in zip(axes, blocks, pairs, strict=True):
        _draw_pairs(ax, members)
        style.finish(ax, "")
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="both", labelsize=SMALL)
        if len(blocks) > 1:
            heading = _heading(table, rows)
            ax.set_title(heading, loc="left", fontsize=SMALL, style="italic")
    label = "probability that a training of the left method has the higher score"
    style.figure_title(figure, table.title)
    shown = [row for rows in blocks for row in rows]
    starts = "the same starts for all"
    notes = [f"{seeds_by_starts(sizes_of(shown))}, {starts}, {LEVEL:.0%} intervals"]
    left_out = len(table.rows) - len(shown)
    if left_out:
        rows_are = "row is" if left_out == 1 else "rows are"
        notes.append(
            f"{left_out} {rows_are} left out: marked, of one training, or alone"
        )
    style.x_label(axes[-1], label, "\n".join(notes))
    return axes


def _heading(table: Table, rows: Sequence[Row]) -> str:
    """Names what sets a block apart from the others."""
    return ", ".join(
        f"{CIRCUMSTANCES[name]} {getattr(rows[0], name)}"
        for name in differing(table.rows, BLOCKS)
    )


def _labels(rows: Sequence[Row]) -> list[str]:
    """Writes the methods, with what tells rows of one method apart within a block."""
    return [
        style.marked(
            ", ".join(
                [registry.title_of(row.method), *style.apart_in_block(row, rows)]
            ),
            row,
        )
        for row in rows
    ]


def _draw_profiles(ax: Axes, rows: Sequence[Row]) -> None:
    """Draws one block."""
    drawn = performance_profiles([row.scores for row in rows], THRESHOLDS, level=LEVEL)
    looks = line_styles([row.method for row in rows])
    for row, profile, look, label in zip(
        rows, drawn, looks, _labels(rows), strict=True
    ):
        ax.plot(
            *(THRESHOLDS, profile.shares),
            drawstyle="steps-post",
            markevery=0.15,
            label=label,
            **look,
        )
        if row.num_seeds > 1:
            ax.fill_between(
                *(THRESHOLDS, profile.lows, profile.highs),
                step="post",
                color=look["color"],
                alpha=0.12,
                linewidth=0,
            )
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)


def _draw_pairs(ax: Axes, pairs: Sequence[tuple[Row, Row]]) -> None:
    """Draws one block: the first method of a pair at the left, the second right."""
    rows = list(dict.fromkeys(row for pair in pairs for row in pair))
    labels = dict(zip(rows, _labels(rows), strict=True))
    for place, (left, right) in enumerate(pairs):
        style.draw_estimates(
            ax,
            [probability_of_beating(left.scores, right.scores, level=LEVEL)],
            np.array([place]),
            along="x",
            look=look_of(left.method),
        )
        look = look_of(right.method)
        ax.plot(
            *(1.07, place),
            look.marker,
            color=look.colour,
            markersize=style.MARKER,
            transform=ax.get_yaxis_transform(),
            clip_on=False,
        )
    ax.axvline(0.5, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    ax.set_yticks(range(len(pairs)), [labels[left] for left, _ in pairs])
    ax.set_ylim(len(pairs) - 0.5, -0.5)
    ax.set_xlim(0, 1)
    for place, (_, right) in enumerate(pairs):
        ax.annotate(
            labels[right],
            (1.1, place),
            xycoords=ax.get_yaxis_transform(),
            va="center",
            fontsize=SMALL,
            color=INK,
            annotation_clip=False,
        )
    ax.tick_params(axis="y", length=0)


def _add_legend(figure: Figure, axes: Sequence[Axes], columns: int) -> None:
    """Adds one legend for all panels, methods that occur in several once."""
    entries: dict[str, Artist] = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        entries.update(zip(labels, handles, strict=True))
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        fontsize=LETTERS - 1,
    )
