"""Tables, records and training logs -> figures.

Every function draws on the axes it is given, or on a figure of its own, and returns
the axes; nothing is shown and no global state is touched.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.reports.table import (
    CIRCUMSTANCES,
    DAGGER,
    LEVEL,
    Table,
    circumstances,
    grid,
    seeds_by_starts,
)
from dp_bench.statistics.estimates import Estimate, bootstrap
from dp_bench.util.files import atomic_write

if TYPE_CHECKING:
    from dp_bench.data.compare import DemosComparison, Pair
    from dp_bench.evaluation.multimodality import Choice
    from dp_bench.task import Fork

# Okabe & Ito's palette, which all kinds of colour vision tell apart.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1.2)))  # where there are more lines than colours
INK, FAINT, PALE = "#222222", "#666666", "#DDDDDD"
DPI = 200  # of saved figures
LETTERS, SMALL = 10, 8  # sizes [pt]
HEADING_WIDTH = 46  # of the lines above the axes [characters]
PANEL_WIDTH = 24  # of the lines above a panel of `controls` [characters]
NOTE_WIDTH = 84  # of the lines below the axes [characters]
BLOCKS = ("variant", "obs_kind", "starts")  # rows of one value stand together
ROW_HEIGHT = 0.45  # of one row of `success_bars` [inch]
PANELS, PANEL = 5, 2.3  # of `modes`: in one row; their side [inch]
CROWDED = 40  # names of choices longer than that in all are turned [characters]
TITLE_WIDTH = 38  # of a panel's title [characters]
LEFT, RIGHT, NEITHER = PALETTE[0], PALETTE[1], "#888888"


def success_bars(table: Table, ax: Axes | None = None) -> Axes:
    """Draws score and success of each row with their intervals.

    Where the task has columns with curves of their own, such as p1 and p2, these stand
    for success. The best score is on top of each block. Published scores are marks
    beside ours.

    Args:
        table: As of `tables.summary`.
        ax: Where to draw; None for a figure of its own.
    """
    data = table.data
    ax = ax or _axes(6.6, 1.7 + ROW_HEIGHT * len(data))
    differ, constant = circumstances(table)
    places = _places(ax, data, [name for name in differ if name in BLOCKS])
    ax.hlines(places, 0, 1, color=PALE, linewidth=0.8, zorder=0)
    shares = _shares(table)
    series = [("score", "score"), *(shares or [("success", "success rate")])]
    apart = 0.13 if len(series) == 2 else 0.22
    shifts = np.linspace(-apart, apart, len(series))
    markers, colours = itertools.cycle("oDsv^"), itertools.cycle(PALETTE)
    for (key, word), shift, marker, colour in zip(
        series, shifts, markers, colours, strict=False
    ):
        value = data[key].to_numpy()
        low = np.maximum(value - data[f"{key}_low"].to_numpy(), 0)  # rounding
        high = np.maximum(data[f"{key}_high"].to_numpy() - value, 0)
        ax.errorbar(
            value,
            places + shift,
            xerr=np.nan_to_num([low, high]),
            fmt=marker,
            color=colour,
            markersize=5.5 if marker == "o" else 4.5,
            elinewidth=1.8,
            label=word,
            clip_on=False,
            zorder=3,
        )
    for kind, marker in (("last10", "|"), ("max", "x")):
        name = f"score_published_{kind}"
        if name in data and data[name].notna().any():
            ax.scatter(
                data[name],
                places + shifts[0],
                marker=marker,
                s=60 if marker == "|" else 26,
                linewidths=1.4,
                color=INK,
                label=f"published score, {kind}",
                clip_on=False,
                zorder=4,
            )
    ax.set_yticks(places, _row_names(data))
    ax.set_ylim(places.max() + 0.6, places.min() - 0.6)
    ax.set_xlim(0, 1)
    _finish(ax, table.title)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    note = f"{constant}\n{seeds_by_starts(data)}, {LEVEL:.0%} intervals"
    if data["differs"].any():
        note += f"; {DAGGER} not comparable with the others"
    which = f"with {' and '.join(dict(shares).values())}" if shares else "solved"
    _x_label(ax, f"score, and share of episodes {which}", note)
    ax.grid(visible=False, axis="y")
    _legend_above(ax)
    return ax


def side_by_side(tables: Mapping[str, Table]) -> Figure:
    """Draws the share of solved episodes of several tasks, a panel for each.

    Methods stand in the same places in all panels; of several rows of a method under
    one control mode the best is drawn.

    Args:
        tables: As of `tables.summary`, by name of the task.
    """
    rows = pd.concat([table.data for table in tables.values()])
    both = rows.groupby("method")["control"].nunique()
    found = list(dict.fromkeys(zip(rows["method"], rows["control"], strict=True)))
    found.sort(key=lambda key: (registry.position_of(key[0]), key))
    titles = dict(zip(rows["method"], rows["title"], strict=True))
    names = [titles[m] + (f", {c}" if both[m] > 1 else "") for m, c in found]
    figure = Figure(
        figsize=(2.4 + 1.5 * len(tables), 1.3 + ROW_HEIGHT * len(found)),
        layout="constrained",
    )
    axes = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    places = np.arange(len(found))
    for ax, (task, table) in zip(axes, tables.items(), strict=True):
        ax.hlines(places, 0, 1, color=PALE, linewidth=0.8, zorder=0)
        for place, (method, control) in enumerate(found):
            mine = table.data[
                (table.data["method"] == method) & (table.data["control"] == control)
            ]
            if mine.empty:
                continue
            row = mine.iloc[0]
            ends = [
                [max(row["score"] - row["score_low"], 0)],
                [max(row["score_high"] - row["score"], 0)],
            ]
            ax.errorbar(
                [row["score"]],
                [place],
                xerr=np.nan_to_num(ends),
                fmt="o",
                color=PALETTE[registry.position_of(method) % len(PALETTE)]
                if method in registry.methods()
                else INK,
                markersize=5.5,
                elinewidth=1.8,
                clip_on=False,
                zorder=3,
            )
        ax.set_xlim(0, 1)
        ax.set_xticks([0, 0.5, 1], ["0", ".5", "1"], fontsize=SMALL)
        ax.set_title(task, fontsize=LETTERS, color=INK)
        ax.tick_params(axis="y", length=0)
        for side in ("top", "right", "left"):
            ax.spines[side].set_visible(False)
    axes[0].set_yticks(places, names, fontsize=SMALL)
    axes[0].set_ylim(len(found) - 0.5, -0.5)
    figure.supxlabel(
        f"share of solved episodes, {LEVEL:.0%} intervals", fontsize=SMALL, color=INK
    )
    return figure


def controls(table: Table, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Draws methods with position beside velocity control, a panel for each method.

    As in Chi et al. (2023), Fig. 4. Where the task has columns with curves of their
    own, such as p1 and p2, these are shown; the score and success otherwise.

    Args:
        table: As of `tables.summary`.
        axes: As many as `both_controls` finds methods; None for a figure of their own.

    Raises:
        BadInput: When no method has rows with more than one control.
    """
    methods = both_controls(table)
    if not methods:
        found = ", ".join(sorted(set(table.data["control"])))
        raise BadInput(f"no method has rows with two controls, all have: {found}")
    figure = None
    if axes is None:
        figure = Figure(figsize=(1.2 + 2.6 * len(methods), 3.6), layout="constrained")
        axes = list(figure.subplots(1, len(methods), sharey=True, squeeze=False)[0])
    shares = _shares(table) or [("score", "score"), ("success", "success")]
    kinds = sorted(set(table.data["control"]))
    marks = {kind: ("oD"[k % 2], PALETTE[k]) for k, kind in enumerate(kinds)}
    others = [n for n in CIRCUMSTANCES if n not in ("control", "step", "settings")]
    differs = False
    for ax, method in zip(axes, methods, strict=True):
        rows = table.data[table.data["method"] == method]
        shifts = np.linspace(-0.15, 0.15, len(rows))
        for shift, (_, row) in zip(shifts, rows.iterrows(), strict=True):
            apart = [str(row[n]) for n in others if rows[n].nunique() > 1]
            differs |= bool(row["differs"])
            value, low, high = (
                np.array([row[f"{key}{end}"] for key, _ in shares], dtype=np.float64)
                for end in ("", "_low", "_high")
            )
            marker, colour = marks[row["control"]]
            ax.errorbar(
                np.arange(len(shares)) + shift,
                value,
                yerr=np.maximum(np.nan_to_num([value - low, high - value]), 0),
                fmt=marker,
                color=colour,
                markersize=5.5 if marker == "o" else 4.5,
                elinewidth=1.8,
                label=", ".join([row["control"], *apart])
                + (f" {DAGGER}" if row["differs"] else ""),
                clip_on=False,
                zorder=3,
            )
        ax.set_xticks(range(len(shares)), [word for _, word in shares])
        ax.set_xlim(-0.5, len(shares) - 0.5)
        ax.set_ylim(0, 1)
        _finish(ax, _named(method, []))
        title = textwrap.fill(ax.get_title(loc="left"), PANEL_WIDTH)
        ax.set_title(title, loc="left", fontsize=LETTERS)
        ax.grid(visible=False, axis="x")
    axes[0].set_ylabel("share of episodes", fontsize=LETTERS, color=INK)
    shown = table.data[table.data["method"].isin(methods)]
    note = f"{seeds_by_starts(shown)}, {LEVEL:.0%} intervals"
    if differs:
        note += f"; {DAGGER} not comparable with the others"
    if not figure:
        _x_label(axes[-1], "", note)
    else:
        # of the figure, as one panel is too narrow for it
        figure.supxlabel(note, x=0.99, ha="right", fontsize=SMALL, color=FAINT)
        known: dict[str, Any] = {}
        for ax in axes:
            handles, labels = ax.get_legend_handles_labels()
            known |= dict(zip(labels, handles, strict=True))
        figure.legend(
            known.values(),
            known.keys(),
            title=f"{table.data['task'].iloc[0]}: control",
            title_fontsize=LETTERS - 1,
            loc="outside upper right",
            ncols=len(known),
            frameon=False,
            fontsize=LETTERS - 1,
        )
    return axes


def both_controls(table: Table) -> list[str]:
    """Methods that have rows with position and with velocity control, as listed."""
    kinds = table.data.groupby("method", sort=False)["control"].nunique()
    found = [str(method) for method, number in kinds.items() if number > 1]
    return sorted(found, key=registry.position_of)


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
        title: What it is called; its own name if left out.

    Raises:
        BadInput: When there are no records, or of several tasks.
    """
    if records.empty or records["task"].nunique() > 1:
        found = ", ".join(sorted(set(records["task"]))) or "none"
        raise BadInput(f"a learning curve is of one task, these records are of {found}")
    ax = ax or _axes(6.0, 3.9)
    names = ["method", *(n for n in CIRCUMSTANCES if n != "step"), "demos_digest"]
    sizes: list[dict[str, int]] = []
    for (style, run), (_, frame) in zip(
        _styles(records.drop_duplicates(names)[names].to_dict("records")),
        records.groupby(names, sort=False),
        strict=True,
    ):
        rivals = records[records["method"] == run["method"]]
        apart = [str(run[n])[:12] for n in names[1:] if rivals[n].nunique() > 1]
        label = _named(run["method"], apart)
        sizes += _score_curve(ax, frame, label, style, column)
    ax.set_ylim(0, 1)
    ax.set_xlim(left=0)
    _finish(ax, records["task"].iloc[0])
    starts = ", ".join(sorted(set(records["starts"])))
    ax.set_ylabel(f"{title or column} on {starts} starts", fontsize=LETTERS)
    note = f"{seeds_by_starts(pd.DataFrame(sizes))}, bands are {LEVEL:.0%} intervals"
    _x_label(ax, "updates", note)
    _thousands(ax)
    _legend_beside(ax)
    return ax


def loss_curves(
    logs: Mapping[str, Sequence[Sequence[Mapping[str, float]]]],
    ax: Axes | None = None,
) -> Axes:
    """Draws losses against the updates made: training solid, validation dashed.

    Args:
        logs: By label, which has a colour, the log of each of its trainings: lines with
            "update", "loss" and, where it was measured, "val_loss".
        ax: Where to draw; None for a figure of its own. Its scale is logarithmic, or
            symmetric about 0 where a loss is not positive.

    Raises:
        BadInput: When a log has no line with a loss.
    """
    ax = ax or _axes(8.0, 3.9)
    everything: list[np.ndarray] = []
    validated = False
    for style, label in _styles(list(logs)):
        colour, alone = style["color"], len(logs[label]) == 1
        style["linewidth"] = 1.8 if alone else 1.2
        for k, log in enumerate(logs[label]):
            train, val = (_series(log, key) for key in ("loss", "val_loss"))
            if not train.size:
                raise BadInput(f"log {label!r} has no line with a finite 'loss'")
            everything += [train[1], val[1]]
            validated |= bool(val.size)
            if len(train[0]) > 200:  # the line to read is the mean of its neighbours
                if alone:
                    ax.plot(*train, color=colour, alpha=0.18, linewidth=0.7)
                train = _smooth(train, len(train[0]) // 60)
            ax.plot(*train, label=None if k else label, **style)
            ax.plot(*val, color=colour, linewidth=1.0, linestyle=(0, (4, 1.5)))
    _loss_scale(ax, everything)
    ax.set_xlim(left=0)
    _finish(ax, "")
    ax.set_ylabel("loss (in units of the method)", fontsize=LETTERS)
    notes = ["solid: training, dashed: validation"] * validated
    notes += ["one line for each training"] * any(
        len(runs) > 1 for runs in logs.values()
    )
    _x_label(ax, "updates", "\n".join(notes))
    _thousands(ax)
    _legend_beside(ax)
    return ax


def stability(
    logs: Mapping[str, Sequence[Sequence[Mapping[str, float]]]],
    records: Mapping[str, pd.DataFrame],
    axes: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """Draws whether what training makes smaller is what makes episodes better.

    One below the other, against the updates made: training loss, error of actions in
    held-out windows, and score with its interval. As in Chi et al. (2023), Fig. 7.

    Args:
        logs: By label, the log of each of its trainings, as `loss_curves` takes them;
            lines may hold "val_action_error".
        records: By label, in the order of the legend, as of `records.to_frame`: of one
            task, variant and kind of starts, with several steps per run.
        axes: Three, where to draw; None for a figure of their own, with a legend.

    Raises:
        BadInput: When there are no records, or of several tasks, variants or starts.
    """
    frame = pd.concat(records.values()) if records else pd.DataFrame()
    for name in ("task", "variant", "starts"):
        found = sorted(set(frame[name])) if len(frame) else []
        if len(found) != 1:
            raise BadInput(
                f"stability is drawn for one {name}, these records are of "
                f"{', '.join(found) or 'none'}"
            )
    figure = None
    if axes is None:
        figure = Figure(figsize=(6.0, 6.8), layout="constrained")
        axes = list(figure.subplots(3, 1, sharex=True))
    top, middle, bottom = axes
    losses: list[np.ndarray] = []
    errors: list[np.ndarray] = []
    sizes: list[dict[str, int]] = []
    for style, label in _styles(list(records)):
        for log in logs.get(label, ()):
            loss, error = (_series(log, key) for key in ("loss", "val_action_error"))
            if len(loss[0]) > 200:
                loss = _smooth(loss, len(loss[0]) // 60)
            losses.append(loss[1])
            errors.append(error[1])
            top.plot(*loss, **style)
            middle.plot(*error, marker="o", markersize=3, **style)
        sizes += _score_curve(bottom, records[label], label, style)
    _loss_scale(top, losses)
    bottom.set_ylim(0, 1)
    bottom.set_xlim(left=0)
    if any(map(len, errors)):
        middle.set_ylim(bottom=0)
    else:
        middle.set_yticks([])
        middle.text(
            *(0.5, 0.5, "not measured in these trainings"),
            transform=middle.transAxes,
            ha="center",
            va="center",
            fontsize=LETTERS - 1,
            color=FAINT,
        )
    first = frame.iloc[0]
    for ax, title, label in (
        (top, str(first["task"]), "training loss\n(in units of the method)"),
        (middle, "", "error of held-out\nactions (normalised)"),
        (bottom, "", f"score on\n{first['starts']} starts"),
    ):
        _finish(ax, title)
        ax.set_ylabel(label, fontsize=LETTERS, color=INK)
    note = (
        "loss and error: one line for each training\n"
        f"score: {seeds_by_starts(pd.DataFrame(sizes))}, variant {first['variant']}, "
        f"bands are {LEVEL:.0%} intervals"
    )
    _x_label(bottom, "updates", note)
    _thousands(bottom)
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


def modes(
    choices: Sequence[Choice],
    fork: Fork,
    scene: Mapping[str, Sequence[np.ndarray]],
    axes: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """Draws the rollouts of each run over the scene in which they began.

    Paths are coloured by the side they took, and dashed where they did not keep to it.

    Args:
        choices: One panel each.
        fork: Where they began.
        scene: Outlines, as of `Fork.scene`.
        axes: One for each choice; None for a figure of their own, with a legend.
    """
    if axes is None:
        rows = -(-len(choices) // PANELS)
        columns = -(-len(choices) // rows)
        lines = max(_panel_title(choice).count("\n") + 1 for choice in choices)
        height = PANEL + 0.5 + 0.16 * lines  # with ticks and title
        figure = Figure(
            figsize=(PANEL * columns + 0.6, height * rows + 0.5), layout="constrained"
        )
        axes = [figure.add_subplot(rows, columns, i + 1) for i in range(len(choices))]
        handles = [
            Line2D([], [], color=colour, linestyle=dash, linewidth=1.6, label=label)
            for label, colour, dash in (
                ("went left", LEFT, "-"),
                ("went right", RIGHT, "-"),
                ("neither", NEITHER, "-"),
                ("did not keep to its side", INK, DASHES[2]),
            )
        ]
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=len(handles) if columns > 1 else 2,
            frameon=False,
            fontsize=SMALL,
        )
    else:
        columns = 1
    colours = {-1: LEFT, 1: RIGHT, 0: NEITHER}
    for i, (ax, choice) in enumerate(zip(axes, choices, strict=True)):
        _draw_scene(ax, fork, scene)
        if i + columns < len(choices) and columns > 1:  # another panel is below
            ax.tick_params(bottom=False, labelbottom=False)
            ax.set_xlabel("")
        if i % columns:
            ax.tick_params(left=False, labelleft=False)
            ax.set_ylabel("")
        for path, side, committed in zip(
            choice.paths, choice.sides, choice.committed, strict=True
        ):
            ax.plot(
                *path.T,
                color=colours[int(side)],
                linestyle="-" if committed or not side else DASHES[2],
                linewidth=1.1,
                alpha=0.75,
                zorder=4,
            )
            ax.plot(*path[-1], ".", color=colours[int(side)], markersize=4, zorder=5)
        start = [fork.start[i] for i in fork.position]
        ax.plot(*start, "o", color=INK, markersize=5, zorder=6)
        ax.set_title(_panel_title(choice), fontsize=SMALL, color=INK, loc="left")
    return axes


def _panel_title(choice: Choice) -> str:
    sided, rollouts = np.sum(choice.sides != 0), len(choice.sides)
    return "\n".join(
        [
            textwrap.fill(choice.title, TITLE_WIDTH),
            f"left {np.sum(choice.sides < 0)} of {sided}{_bracket(choice.left)}",
            f"commits {np.sum(choice.committed)} of {rollouts}"
            f"{_bracket(choice.commits)}",
        ]
    )


def _bracket(share: Estimate | None) -> str:
    return f" [{share.low:.2f}, {share.high:.2f}]" if share else ""


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


def likeness(found: DemosComparison) -> Figure:
    """Draws each trait of two sets of demonstrations: bars, or how values spread."""
    columns = 3
    rows = -(-len(found.pairs) // columns)
    figure = Figure(figsize=(3.1 * columns, 2.3 * rows + 0.5), layout="constrained")
    for i, pair in enumerate(found.pairs):
        ax = figure.add_subplot(rows, columns, i + 1)
        _draw_pair(ax, pair)
        _finish(ax, "")
        ax.tick_params(labelsize=SMALL)
        ax.set_xlabel(pair.one.title, fontsize=SMALL, color=INK)
        if i % columns == 0 or pair.one.choices:
            word = "share" if pair.one.choices else "share at most this"
            ax.set_ylabel(word, fontsize=SMALL, color=INK)
    handles = [
        Line2D([], [], color=colour, linestyle=dash, linewidth=1.8, label=name)
        for name, colour, dash in zip(found.names, PALETTE, DASHES, strict=False)
    ]
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=len(handles),
        frameon=False,
        fontsize=LETTERS,
        title=f"Demonstrations of {found.task}",
    )
    return figure


def _draw_pair(ax: Axes, pair: Pair) -> None:
    """The share of each choice, or the cumulative distribution of the middle 99 %."""
    both = zip((pair.one, pair.other), PALETTE, DASHES, (-0.2, 0.2), strict=False)
    for trait, colour, dash, shift in both:
        if trait.choices:
            places = np.arange(len(trait.choices))
            ax.bar(places + shift, trait.shares(), width=0.38, color=colour)
            ax.set_xticks(places, trait.choices)
            if sum(map(len, trait.choices)) > CROWDED:
                ax.tick_params(axis="x", labelrotation=40)
                for label in ax.get_xticklabels():
                    label.set(ha="right", rotation_mode="anchor")
            continue
        shares = np.linspace(0.005, 0.995, 200)
        if len(trait.values):
            values = np.quantile(trait.values, shares)
            ax.plot(values, shares, color=colour, linestyle=dash, linewidth=1.8)
        ax.set_ylim(0, 1)


def save(fig: Figure, path: str | Path) -> None:
    """Writes a figure whole or not at all; equal figures give equal files.

    Args:
        fig: To be written.
        path: Its ending says the format: png, pdf, ...

    Raises:
        BadInput: When the format is not one that can be written, or the disk is full.
    """
    path = Path(path)
    known = fig.canvas.get_supported_filetypes()
    kind = path.suffix.removeprefix(".").lower()
    if kind not in known:
        raise BadInput(f"figure {path} must end in one of {', '.join(sorted(known))}")
    dates: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    with atomic_write(path) as aside:
        fig.savefig(
            aside, format=kind, dpi=DPI, facecolor="white", metadata=dates.get(kind)
        )


def _axes(width: float, height: float) -> Axes:
    """Axes of a new figure, sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def _places(ax: Axes, data: pd.DataFrame, blocks: list[str]) -> np.ndarray:
    """Height of each row; rows with other circumstances are apart, under their name."""
    changes = (data[blocks] != data[blocks].shift()).any(axis=1).to_numpy()
    places = np.arange(len(data)) + 0.7 * np.cumsum(changes)
    for place, (_, row) in zip(places[changes], data[changes].iterrows(), strict=True):
        ax.annotate(
            ", ".join(f"{CIRCUMSTANCES[name]} {row[name]}" for name in blocks),
            (0, place - 0.55),
            (-5, 0),
            xycoords=ax.get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=SMALL,
            style="italic",
            color=FAINT,
        )
    return places


def _shares(table: Table) -> list[tuple[str, str]]:
    """Key and title of the columns that stand for success, such as p1 and p2."""
    return [
        (column.key, column.title)
        for column in table.columns
        if column.curve and column.statistic == "mean" and column.key in table.data
    ]


def _row_names(data: pd.DataFrame) -> list[str]:
    """Titles, with what tells rows of one method apart within their block."""
    others = [name for name in CIRCUMSTANCES if name not in BLOCKS]
    names = []
    for _, row in data.iterrows():
        rivals = data[data["method"] == row["method"]]
        apart = [str(row[name]) for name in others if rivals[name].nunique() > 1]
        mark = f" {DAGGER}" if row["differs"] else ""
        names.append(_named(row["method"], apart) + mark)
    return names


def _named(method: str, apart: list[str]) -> str:
    title = registry.title_of(method)
    return f"{title}\n{', '.join(apart)}" if apart else title


def _styles(members: list[Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Colours for each member, and then dashes."""
    looks = itertools.cycle(itertools.product(DASHES, PALETTE))
    for member, (dash, colour) in zip(members, looks, strict=False):
        yield {"color": colour, "linestyle": dash, "linewidth": 1.8}, member


def _score_curve(
    ax: Axes,
    frame: pd.DataFrame,
    label: str,
    style: Mapping[str, Any],
    column: str = "score",
) -> list[dict[str, int]]:
    """Draws the mean score by step with its interval; gives the sizes of samples."""
    steps: list[Any] = []
    estimates = []
    sizes = []
    for step, part in frame.groupby("step"):
        cells = grid(part, column).to_numpy(dtype=np.float64)
        if cells.size:
            steps.append(step)
            estimates.append(bootstrap(cells, np.random.default_rng(0)))
            sizes.append({"num_seeds": len(cells), "num_starts": cells.shape[1]})
    values, lows, highs = np.array([estimate[:3] for estimate in estimates]).T
    ax.plot(steps, values, marker="o", markersize=3.5, label=label, **style)
    ax.fill_between(steps, lows, highs, color=style["color"], alpha=0.15, linewidth=0)
    return sizes


def _loss_scale(ax: Axes, series: Sequence[np.ndarray]) -> None:
    """Logarithmic, or symmetric about 0 where a value is not positive."""
    values = np.concatenate([*series, np.empty(0)])
    if values.size and values.min() <= 0:
        sizes = np.abs(values)
        smallest = sizes[sizes > 0].min() if sizes.any() else 1.0
        ax.set_yscale("symlog", linthresh=10 ** np.floor(np.log10(smallest)))
    else:
        ax.set_yscale("log")


def _series(log: Sequence[Mapping[str, float]], key: str) -> np.ndarray:
    """Updates and losses, `(2, N)`, without lines that lack a finite one."""
    points = [(line["update"], line[key]) for line in log if line.get(key) is not None]
    series = np.array(points, dtype=np.float64).reshape(-1, 2).T
    return series[:, np.isfinite(series).all(axis=0)]


def _smooth(series: np.ndarray, reach: int) -> np.ndarray:
    """Mean over `reach` points on either side, fewer at the ends, `(2, N)`."""
    kernel = np.ones(2 * reach + 1)
    there = np.convolve(np.ones(series.shape[1]), kernel, mode="same")
    return np.stack([series[0], np.convolve(series[1], kernel, mode="same") / there])


def _finish(ax: Axes, title: str) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(INK)
    ax.tick_params(labelsize=LETTERS - 1, colors=INK)
    ax.grid(axis="both", color=PALE, linewidth=0.6)
    ax.set_axisbelow(True)
    heading = textwrap.fill(title, HEADING_WIDTH)
    ax.set_title(heading, fontsize=LETTERS + 1, loc="left", color=INK)


def _x_label(ax: Axes, label: str, note: str) -> None:
    """Names the axis, and below it in small letters says what was measured."""
    ax.set_xlabel(label, fontsize=LETTERS, color=INK)
    if note:
        ax.annotate(
            "\n".join(textwrap.fill(line, NOTE_WIDTH) for line in note.splitlines()),
            (1, 0),
            (0, -38 if label else -24),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=SMALL,
            color=FAINT,
        )


def _thousands(ax: Axes) -> None:
    ax.xaxis.set_major_formatter(
        lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
    )


def _legend_above(ax: Axes) -> None:
    """Ours first, in one line that ends where the axes end."""
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i].startswith("published"))
    ax.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="lower right",
        bbox_to_anchor=(1.02, 1),
        ncols=len(labels),
        frameon=False,
        fontsize=SMALL,
        borderaxespad=0.2,
        handletextpad=0.2,
        columnspacing=1.0,
    )
    ax.set_title(ax.get_title(loc="left"), loc="left", fontsize=LETTERS + 1, pad=22)


def _legend_beside(ax: Axes) -> None:
    ax.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=LETTERS - 1
    )
