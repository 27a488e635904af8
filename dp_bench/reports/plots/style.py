"""What all figures share: inks, sizes, axes, legends, intervals, files."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.reports.plots.looks import Dashes, Look, tint
from dp_bench.reports.table import CIRCUMSTANCES, Row, Table, telling_apart
from dp_bench.reports.trained import marks
from dp_bench.reports.wording import DAGGER, DOUBLE_DAGGER
from dp_bench.statistics.estimates import Estimate
from dp_bench.task import Column
from dp_bench.util.files import atomic_write

INK, FAINT, PALE = "#222222", "#666666", "#DDDDDD"
DPI = 200  # of saved figures
LETTERS, SMALL = 10, 8  # sizes [pt]
BLOCKS = ("variant", "obs_kind", "starts")  # rows of one value stand together
MARKER = 5.0  # size of a marker [pt]
HEADING_WIDTH = 46  # of the lines above the axes [characters]
NOTE_WIDTH = 84  # of the lines below the axes [characters]
LABEL_WIDTH = 52  # where the name of an axis breaks [characters]


def new_axes(width: float, height: float) -> Axes:
    """Makes the axes of a new figure; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def figure_of(ax: Axes) -> Figure:
    """Returns the figure of axes, which must not lie in a subfigure."""
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    return figure


def line_handle(label: str, colour: str, dash: Dashes, width: float) -> Line2D:
    """Makes a legend's line."""
    return Line2D([], [], color=colour, linestyle=dash, linewidth=width, label=label)


def marker_handle(
    label: str, share: float, size: float = MARKER, colour: str = FAINT
) -> Line2D:
    """Makes a legend's marker for what is drawn of all methods.

    Args:
        label: What it stands for.
        share: Of white in its face, see `tints`.
        size: Of the marker [pt].
        colour: Of its edge.
    """
    face = tint(colour, share)
    return Line2D(
        *([], []),
        color=colour,
        linestyle="",
        marker="o",
        markerfacecolor=face,
        markersize=size,
        label=label,
    )


def draw_estimates(
    ax: Axes,
    estimates: Sequence[Estimate],
    places: np.ndarray,
    *,
    along: Literal["x", "y"],
    look: Look,
    white: float = 0.0,
    label: str | None = None,
) -> None:
    """Draws estimates as markers, with their intervals as bars.

    Args:
        ax: Where to draw.
        estimates: N of them; one without an interval has a marker only.
        places: Their positions on the other axis, `(N,)`.
        along: The axis that shows the values.
        look: Colour and marker of all.
        white: Share of white in the markers' faces.
        label: In the legend; None for no entry.
    """
    values, lows, highs = np.array([estimate[:3] for estimate in estimates]).T
    # rounding can put an end on the wrong side of the value by a hair
    reach = np.maximum(np.nan_to_num([values - lows, highs - values]), 0)
    x, y = (values, places) if along == "x" else (places, values)
    ax.errorbar(
        x,
        y,
        xerr=reach if along == "x" else None,
        yerr=reach if along == "y" else None,
        fmt=look.marker,
        color=look.colour,
        markerfacecolor=tint(look.colour, white),
        markersize=MARKER,
        elinewidth=1.8,
        label=label,
        clip_on=False,
        zorder=3,
    )


def share_columns(table: Table) -> list[Column]:
    """Lists the columns that stand for success, such as p1 and p2."""
    return [column for column in table.columns if column.curve and column.averaged]


def method_label(method: str, apart: Sequence[str]) -> str:
    """Writes a method's label, with what sets it apart below."""
    title = registry.title_of(method)
    return f"{title}\n{', '.join(apart)}" if apart else title


def apart_in_block(row: Row, rows: Sequence[Row]) -> list[str]:
    """Writes what tells a row from the others of its method and block.

    Args:
        row: One of `rows`.
        rows: Of any methods and blocks.
    """
    block = [r for r in rows if all(getattr(r, n) == getattr(row, n) for n in BLOCKS)]
    within = [name for name in CIRCUMSTANCES if name not in BLOCKS]
    return [str(getattr(row, name)) for name in telling_apart(row, block, within)]


def marked(text: str, row: Row) -> str:
    """Adds the marks of a row to its name, as in the table."""
    return text + marks(row)


def mark_notes(rows: Sequence[Row]) -> str:
    """Explains the marks that rows have; begins with a semicolon."""
    every = "".join(map(marks, rows))
    notes = {
        DAGGER: "not comparable with the others",
        DOUBLE_DAGGER: "trainings differ in device, precision or torch",
    }
    return "".join(f"; {mark} {note}" for mark, note in notes.items() if mark in every)


def finish(ax: Axes, title: str) -> None:
    """Gives axes our frame, ticks, grid and title."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(INK)
    ax.tick_params(labelsize=LETTERS - 1, colors=INK)
    ax.grid(axis="both", color=PALE, linewidth=0.6)
    ax.set_axisbelow(True)
    heading = textwrap.fill(title, HEADING_WIDTH)
    ax.set_title(heading, fontsize=LETTERS + 1, loc="left", color=INK)


def x_label(ax: Axes, label: str, note: str) -> None:
    """Names the x axis, and says below it in small letters what was measured."""
    lines = textwrap.wrap(label, LABEL_WIDTH)
    ax.set_xlabel("\n".join(lines), fontsize=LETTERS, color=INK)
    if note:
        ax.annotate(
            "\n".join(textwrap.fill(line, NOTE_WIDTH) for line in note.splitlines()),
            (1, 0),
            (0, -24 - 14 * len(lines)),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=SMALL,
            color=FAINT,
        )


def figure_title(figure: Figure, title: str) -> None:
    """Puts the title of a figure of several panels at its left."""
    heading = textwrap.fill(title, HEADING_WIDTH)
    figure.suptitle(heading, x=0.01, ha="left", fontsize=LETTERS + 1, color=INK)


def thousands(ax: Axes) -> None:
    """Labels the x axis with `10k` for 10000."""
    ax.xaxis.set_major_formatter(
        lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
    )


def legend_above(ax: Axes, ours: Sequence[Artist]) -> None:
    """Puts the legend into one line that ends where the axes end.

    Args:
        ax: Its labelled artists come last.
        ours: Entries that come first.
    """
    handles = [*ours, *ax.get_legend_handles_labels()[0]]
    ax.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.02, 1),
        ncols=len(handles),
        frameon=False,
        fontsize=SMALL,
        borderaxespad=0.2,
        handletextpad=0.2,
        columnspacing=1.0,
    )
    ax.set_title(ax.get_title(loc="left"), loc="left", fontsize=LETTERS + 1, pad=22)


def legend_beside(ax: Axes) -> None:
    """Puts the legend to the right of the axes."""
    ax.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=LETTERS - 1
    )


def save(figure: Figure, path: str | Path) -> None:
    """Writes a figure whole or not at all; equal figures give equal files.

    Args:
        figure: Any.
        path: Its ending says the format: png, pdf, ...

    Raises:
        BadInput: When matplotlib cannot write the format, or the disk is full.
    """
    path = Path(path)
    known = figure.canvas.get_supported_filetypes()
    kind = path.suffix.removeprefix(".").lower()
    if kind not in known:
        raise BadInput(f"figure {path} must end in one of {', '.join(sorted(known))}")
    no_dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    _without_mathematics(figure)
    with atomic_write(path) as aside:
        figure.savefig(
            aside, format=kind, dpi=DPI, facecolor="white", metadata=no_dates.get(kind)
        )


def _without_mathematics(figure: Figure) -> None:
    """Keeps matplotlib from reading dollar signs in names as mathematics."""
    artists: list[Artist] = [figure]
    while artists:
        artist = artists.pop()
        if isinstance(artist, Text):
            artist.set_parse_math(False)
        elif isinstance(artist, Axis) and artist.get_scale() != "linear":
            artists.append(artist.label)  # its ticks are mathematics of matplotlib's
        else:
            artists += artist.get_children()
