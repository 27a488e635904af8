"""Figures of final scores: the rows of one task, or several tasks side by side."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dp_bench import registry
from dp_bench.reports.columns import circumstances
from dp_bench.reports.plots import style
from dp_bench.reports.plots.looks import look_of, tints
from dp_bench.reports.plots.style import BLOCKS, FAINT, INK, LETTERS, PALE, SMALL
from dp_bench.reports.published import SELECTIONS
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
from dp_bench.statistics.intervals import is_binary
from dp_bench.task import Column

SMOKE = "smoke"  # the tier of quick tests
ROW_HEIGHT = 0.45  # of a row with one or two series [inch]
SERIES_HEIGHT = 0.13  # of each further series [inch]
AROUND = 2.2  # title, legend and notes [inch]
ABOVE = 0.07  # distance of the trainings' scores from the row's [inch]
LINE = ("method", "obs_kind", "control")  # a line of a figure of several tasks
SEED = 3.5  # size of their markers [pt]


def success_bars(table: Table, ax: Axes | None = None) -> Axes:
    """Draws score and success of each row with their intervals, and each training.

    Where the task has columns with curves of their own, such as p1 and p2, these stand
    for success. Where scores say only whether an episode was solved, success is not
    drawn again. The best score is on top of each block. Published scores are marks
    beside ours.

    Args:
        table: Of one task.
        ax: Where to draw; None for a figure of its own.
    """
    rows = table.rows
    shares = style.share_columns(table)
    series = [("score", "score")]
    if shares:
        series += [(column.key, column.title) for column in shares]
    elif not _scores_are_successes(rows):
        series.append(("success", "success rate"))
    differ, constant = circumstances(table)
    blocks = [name for name in differ if name in BLOCKS]
    places = _places(rows, blocks)
    height = _row_height(len(series))
    ax = ax or style.new_axes(6.6, AROUND + height * (places[-1] + 1))
    _name_blocks(ax, rows, blocks, places)
    ax.hlines(places, 0, 1, color=PALE, linewidth=0.8, zorder=0)
    heights = draw_series(ax, rows, places, series)
    several = draw_trainings(ax, rows, heights[0], ABOVE / height)
    _draw_published(ax, rows, [key for key, _ in series], heights)
    ax.set_yticks(places, _row_names(rows))
    ax.set_ylim(places.max() + 0.6, places.min() - 0.6)
    ax.set_xlim(0, 1)
    style.finish(ax, table.title)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    note = f"{constant}\n{seeds_by_starts(sizes_of(rows))}, {LEVEL:.0%} intervals"
    note += style.mark_notes(rows)
    style.x_label(ax, _x_label(shares, len(series)), note)
    ax.grid(visible=False, axis="y")
    style.legend_above(
        ax,
        [
            *(
                style.marker_handle(label, white)
                for (_, label), white in zip(series, tints(len(series)), strict=True)
            ),
            *([style.marker_handle("score by training", 0, SEED)] if several else []),
        ],
    )
    return ax


def _row_height(series: int) -> float:
    """Gives the height of a row with that many series [inch]."""
    return ROW_HEIGHT + SERIES_HEIGHT * max(series - 2, 0)


def _scores_are_successes(rows: Sequence[Row]) -> bool:
    """Whether the score of every episode says only whether it was solved."""
    return all(
        is_binary(row.scores) and row.score.value == row.estimates["success"].value
        for row in rows
    )


def _x_label(shares: Sequence[Column], series: int) -> str:
    """Says what the axis measures."""
    if not shares:
        return "share of solved episodes" if series == 1 else "score, and success rate"
    titles = [column.title for column in shares]
    names = f"{titles[0]} to {titles[-1]}" if len(titles) > 2 else " and ".join(titles)
    [about] = {column.about for column in shares} if _one_meaning(shares) else [""]
    if not about:
        return f"score, {names}"
    return f"score, and share of episodes with {about} ({names})"


def _one_meaning(shares: Sequence[Column]) -> bool:
    return len({column.about for column in shares}) == 1


def side_by_side(tables: Mapping[str, Table], title: str = "") -> Figure:
    """Draws the share of solved episodes of several tasks, a panel for each.

    Methods stand in the same places in all panels. Of several rows of a method with
    one kind of observation and one control mode the figure shows the best.

    Args:
        tables: By name of the task.
        title: Of the figure.
    """
    rows = [row for table in tables.values() for row in table.rows]
    kinds = distinct(rows, "obs_kind")
    lines = sorted(
        {tuple(getattr(row, name) for name in LINE) for row in rows},
        key=lambda line: (registry.position_of(line[0]), kinds.index(line[1]), line),
    )
    figure = Figure(
        figsize=(2.4 + 1.5 * len(tables), 1.3 + ROW_HEIGHT * len(lines)),
        layout="constrained",
    )
    axes = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for ax, (task, table) in zip(axes, tables.items(), strict=True):
        _draw_task(ax, task, table, lines)
    names = []
    for method, *values in lines:
        apart = differing(of_method(rows, method), LINE[1:])
        told = [v for n, v in zip(LINE[1:], values, strict=True) if n in apart]
        names.append(", ".join([registry.title_of(method), *told]))
    axes[0].set_yticks(np.arange(len(lines)), names, fontsize=SMALL)
    axes[0].set_ylim(len(lines) - 0.5, -0.5)
    figure.supxlabel(
        f"share of solved episodes, {LEVEL:.0%} intervals", fontsize=SMALL, color=INK
    )
    if title:
        style.figure_title(figure, title)
    return figure


def _starts_a_block(rows: Sequence[Row], blocks: Sequence[str]) -> np.ndarray:
    """Tells for each row whether its circumstances differ from the row before."""
    values = [tuple(getattr(row, name) for name in blocks) for row in rows]
    before = [None, *values[:-1]] if blocks else values
    return np.array([v != b for v, b in zip(values, before, strict=True)])


def _places(rows: Sequence[Row], blocks: Sequence[str]) -> np.ndarray:
    """Gives the height of each row, `(N,)`, with a gap before each block."""
    return np.arange(len(rows)) + 0.7 * np.cumsum(_starts_a_block(rows, blocks))


def _name_blocks(
    ax: Axes, rows: Sequence[Row], blocks: Sequence[str], places: np.ndarray
) -> None:
    """Writes the circumstances of each block into the gap before it."""
    for i in np.flatnonzero(_starts_a_block(rows, blocks)):
        titled = [(name, getattr(rows[int(i)], name)) for name in blocks]
        ax.annotate(
            ", ".join(f"{CIRCUMSTANCES[name]} {value}" for name, value in titled),
            (0, places[i] - 0.55),
            (-5, 0),
            xycoords=ax.get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=SMALL,
            style="italic",
            color=FAINT,
        )


def draw_series(
    ax: Axes, rows: Sequence[Row], places: np.ndarray, series: list[tuple[str, str]]
) -> np.ndarray:
    """Draws K series, the score and other shares; returns their heights, `(K, N)`.

    A row has the look of its method; the faces of the markers tell the series apart.
    """
    apart = 0.13 if len(series) == 2 else 0.3
    shifts = np.linspace(-apart, apart, len(series)) if len(series) > 1 else [0.0]
    for (key, _), shift, white in zip(series, shifts, tints(len(series)), strict=True):
        for row, place in zip(rows, places, strict=True):
            style.draw_estimates(
                ax,
                [row.estimates[key]],
                np.array([place + shift]),
                along="x",
                look=look_of(row.method),
                white=white,
            )
    return places + np.array(shifts)[:, None]


def draw_trainings(
    ax: Axes,
    rows: Sequence[Row],
    places: np.ndarray,
    above: float = ABOVE / ROW_HEIGHT,
) -> bool:
    """Draws the mean score of each training above its row's score.

    Args:
        ax: Where to draw.
        rows: The N rows.
        places: Heights of their scores, `(N,)`.
        above: Distance between the two [rows].

    Returns:
        Whether any row has several trainings.
    """
    several = [row.num_seeds > 1 for row in rows]
    for row, place in itertools.compress(zip(rows, places, strict=True), several):
        look = look_of(row.method)
        ax.plot(
            row.scores.mean(axis=1),
            np.full(row.num_seeds, place - above),
            look.marker,
            color=look.colour,
            markersize=SEED,
            markeredgewidth=0,
            alpha=0.75,
            clip_on=False,
        )
    return any(several)


def _draw_published(
    ax: Axes, rows: Sequence[Row], keys: Sequence[str], heights: np.ndarray
) -> None:
    """Draws published values beside ours, `(K, N)` places for K series of N rows.

    Scores of a smoke test mean nothing, so no values stand beside them.
    """
    meant = np.array([row.preset != SMOKE for row in rows])
    for kind, marker in zip(SELECTIONS, "|x", strict=True):
        values = np.array(
            [[row.published.get((key, kind), np.nan) for row in rows] for key in keys]
        )
        known = ~np.isnan(values) & meant
        if not known.any():
            continue
        ax.scatter(
            values[known],
            heights[known],
            marker=marker,
            s=60 if marker == "|" else 26,
            linewidths=1.4,
            color=INK,
            label=f"published, {kind}",
            clip_on=False,
            zorder=4,
        )


def _row_names(rows: Sequence[Row]) -> list[str]:
    """Writes the methods, with what tells rows of one method apart within a block."""
    return [
        style.marked(
            style.method_label(row.method, style.apart_in_block(row, rows)), row
        )
        for row in rows
    ]


def _draw_task(
    ax: Axes, task: str, table: Table, lines: Sequence[tuple[str, ...]]
) -> None:
    """Draws the panel of one task, a line for each combination of `LINE`."""
    ax.hlines(np.arange(len(lines)), 0, 1, color=PALE, linewidth=0.8, zorder=0)
    for place, line in enumerate(lines):
        rows = [r for r in table.rows if tuple(getattr(r, n) for n in LINE) == line]
        for row in rows[:1]:
            style.draw_estimates(
                ax,
                [row.score],
                np.array([place]),
                along="x",
                look=look_of(row.method),
            )
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1], ["0", ".5", "1"], fontsize=SMALL)
    ax.set_title(task, fontsize=LETTERS, color=INK)
    ax.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
