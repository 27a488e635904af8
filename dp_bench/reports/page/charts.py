"""The charts of a page, drawn by Plotly: they answer to the pointer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from dp_bench import registry
from dp_bench.reports import learning
from dp_bench.reports.plots import looks
from dp_bench.reports.table import FAMILY, LEVEL, Row, Table, grouped
from dp_bench.reports.trainings import Curve
from dp_bench.reports.wording import family_name, short_label, with_interval
from dp_bench.statistics.estimates import Estimate
from dp_bench.statistics.intervals import is_binary
from dp_bench.statistics.profiles import performance_profiles
from dp_bench.task import Column
from dp_bench.training.log import LogLine
from dp_bench.util.text import one_line

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

THRESHOLDS = np.append(np.linspace(0, 1, 100, endpoint=False), 1 - 1e-9)
POINTS = 400  # most points of a line of losses
PANELS = 2  # panels of losses side by side
SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down",
    "<": "triangle-left", ">": "triangle-right", "D": "diamond", "d": "diamond-tall",
    "P": "cross", "X": "x", "*": "star", "p": "pentagon", "h": "hexagon",
    "H": "hexagon2", "8": "octagon",
}  # fmt: skip
DASHES = ("solid", "dash", "dot", "dashdot", "longdashdot")


class Chart(NamedTuple):
    """One chart.

    Attributes:
        name: Its id in the page.
        title: Above it.
        about: How to read it, in a sentence or two.
        figure: As Plotly reads it, JSON.
        image: A file beside the page that shows the same without scripts; "" for none.
    """

    name: str
    title: str
    about: str
    figure: str
    image: str = ""


def charts(
    table: Table,
    several: pd.DataFrame,
    columns: Sequence[Column],
    logs: Mapping[Curve, Sequence[Sequence[LogLine]]],
) -> list[Chart]:
    """Draws all charts for which there are numbers.

    Args:
        table: Of one task.
        several: Records of runs that were evaluated at several updates; may be empty.
        columns: Columns of these with a curve of their own.
        logs: Of the trainings of each curve.
    """
    families = grouped(table.rows, FAMILY)
    made = [_trainings(rows, table.rows, k) for k, rows in enumerate(families)]
    if len(several):
        made.append(_learning(several, "score", "Score", "learning"))
        for column in columns:
            name = f"learning_{column.key}"
            made.append(_learning(several, column.key, column.title, name))
    made += [
        _profile(rows, table.rows, k)
        for k, rows in enumerate(families)
        if not all(is_binary(row.scores) for row in rows)
    ]
    if logs:
        made.append(_losses(logs))
    made.append(_latency(table))
    return made


def _trainings(rows: Sequence[Row], every: Sequence[Row], number: int) -> Chart:
    """Draws the score of each row with its interval, and of each training."""
    figure = _figure()
    names = [_name(row, rows) for row in rows]
    for name, row in zip(names, rows, strict=True):
        look = looks.look_of(row.method)
        marker = {"color": look.colour, "symbol": SYMBOLS[look.marker]}
        figure.add_scatter(
            x=row.scores.mean(axis=1),
            y=[name] * row.num_seeds,
            mode="markers",
            marker=marker | {"size": 7, "opacity": 0.6},
            text=[f"train seed {seed}" for seed in row.train_seeds],
            hovertemplate="%{text}: %{x:.3f}<extra></extra>",
            showlegend=False,
        )
        figure.add_scatter(
            x=[row.score.value],
            y=[name],
            mode="markers",
            marker=marker | {"size": 12},
            error_x=_reach(row.score),
            hovertemplate=f"{with_interval(row.score)}<extra></extra>",
            showlegend=False,
        )
    _axes(figure, "score", "")
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_layout(height=110 + 36 * len(names), hovermode="closest")
    return _chart(
        f"trainings_{number}",
        _titled("Scores by training", rows, every),
        f"Large: the score of a row with its {LEVEL:.0%} interval. Small: the mean "
        "score of each training.",
        figure,
        "success.png" if not number else "",
    )


def _learning(records: pd.DataFrame, column: str, title: str, name: str) -> Chart:
    """Draws a number against the updates made."""
    figure = _figure()
    curves = learning.score_curves(records, column)
    before: dict[str, int] = {}
    for curve in curves:
        words = ", ".join([registry.title_of(curve.method), *curve.apart])
        look = looks.look_of(curve.method)
        dash = DASHES[before.get(curve.method, 0) % len(DASHES)]
        before[curve.method] = before.get(curve.method, 0) + 1
        values, lows, highs = np.array([e[:3] for e in curve.estimates]).T
        _line_with_band(
            figure,
            words,
            look.colour,
            dash,
            curve.steps,
            values,
            lows,
            highs,
            symbol=SYMBOLS[look.marker],
        )
    starts = ", ".join(sorted(set(records["starts"])))
    _axes(figure, "updates", f"{title.lower()} on {starts} starts")
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(range=[0, 1])
    return _chart(
        name,
        f"{title} by updates",
        f"Trainings that were evaluated several times. Bands are {LEVEL:.0%} "
        "intervals.",
        figure,
        f"{name}.png",
    )


def _profile(rows: Sequence[Row], every: Sequence[Row], number: int) -> Chart:
    """Draws the share of episodes above each score."""
    figure = _figure()
    profiles = performance_profiles([r.scores for r in rows], THRESHOLDS, level=LEVEL)
    for k, (row, profile) in enumerate(zip(rows, profiles, strict=True)):
        look = looks.look_of(row.method)
        before = [r.method for r in rows[:k]].count(row.method)
        _line_with_band(
            figure,
            _name(row, rows),
            look.colour,
            DASHES[before % len(DASHES)],
            [float(threshold) for threshold in THRESHOLDS],
            profile.shares,
            profile.lows if row.num_seeds > 1 else profile.shares,
            profile.highs if row.num_seeds > 1 else profile.shares,
        )
    _axes(figure, "score", "share of episodes with a higher score")
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(range=[0, 1.02])
    return _chart(
        f"profile_{number}",
        _titled("Performance profile", rows, every),
        f"How many episodes score higher than each value. Bands are pointwise "
        f"{LEVEL:.0%} intervals; a row with one training has none.",
        figure,
        "profile.png" if not number else "",
    )


def _losses(logs: Mapping[Curve, Sequence[Sequence[LogLine]]]) -> Chart:
    """Draws the losses of each method in a panel of its own: their units differ."""
    from plotly.subplots import make_subplots

    lines = -(-len(logs) // PANELS)
    figure = make_subplots(
        rows=lines,
        cols=PANELS,
        subplot_titles=[one_line(curve.label) for curve in logs],
        vertical_spacing=0.36 / max(lines, 2),
    )
    for place, (curve, runs) in enumerate(logs.items()):
        colour = looks.look_of(curve.method).colour
        values: list[float] = []
        for k, log in enumerate(runs):
            for key, dash in (("loss", "solid"), ("val_loss", "dot")):
                series = _thinned(learning.smoothed(learning.series_of(log, key)))
                values += series[1].tolist()
                word = "training" if key == "loss" else "validation"
                figure.add_scatter(
                    x=series[0],
                    y=series[1],
                    mode="lines",
                    line={"color": colour, "dash": dash, "width": 1.5},
                    name=f"{word}, training {k + 1} of {len(runs)}",
                    showlegend=False,
                    row=place // PANELS + 1,
                    col=place % PANELS + 1,
                )
        scale = "log" if values and min(values) > 0 else "linear"
        figure.update_yaxes(type=scale, row=place // PANELS + 1, col=place % PANELS + 1)
    _style(figure)
    figure.update_xaxes(rangemode="tozero", title_text="updates")
    figure.update_layout(height=110 + 230 * lines)
    return _chart(
        "losses",
        "Losses",
        "Solid: training. Dotted: validation. Each method has a loss of its own, so "
        "panels cannot be compared.",
        figure,
        "loss.png",
    )


def _latency(table: Table) -> Chart:
    """Draws the time of a decision and of a training of each row."""
    figure = _figure()
    for row in table.rows:
        look = looks.look_of(row.method)
        figure.add_scatter(
            x=[1000 * row.decision_latency],
            y=[_name(row, table.rows)],
            mode="markers",
            marker={"color": look.colour, "size": 12, "symbol": SYMBOLS[look.marker]},
            hovertemplate="%{x:.3g} ms<extra></extra>",
            showlegend=False,
        )
    _axes(figure, "time of a decision [ms]", "")
    figure.update_xaxes(type="log")
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_layout(height=120 + 32 * len(table.rows), hovermode="closest")
    return _chart(
        "latency",
        "Time of a decision",
        "Median over the episodes, for one of the lanes that play together. Rows that "
        "were evaluated on different machines cannot be compared.",
        figure,
    )


def _line_with_band(
    figure: Figure,
    name: str,
    colour: str,
    dash: str,
    x: Sequence[float],
    values: np.ndarray,
    lows: np.ndarray,
    highs: np.ndarray,
    symbol: str = "",
) -> None:
    """Draws a line with a band for its intervals; a click on its name hides both."""
    around = [*x, *reversed(x)]
    figure.add_scatter(
        x=around,
        y=np.concatenate([highs, lows[::-1]]),
        mode="lines",
        fill="toself",
        fillcolor=colour,
        opacity=0.15,
        line={"width": 0},
        hoverinfo="skip",
        legendgroup=name,
        showlegend=False,
    )
    figure.add_scatter(
        x=x,
        y=values,
        customdata=np.stack([lows, highs], axis=1),
        mode="lines+markers" if symbol else "lines",
        marker={"symbol": symbol or "circle", "size": 7},
        line={"color": colour, "dash": dash, "width": 2},
        hovertemplate="%{y:.2f} [%{customdata[0]:.2f}, %{customdata[1]:.2f}]",
        name=one_line(name),
        legendgroup=name,
    )


def _figure() -> Figure:
    from plotly.graph_objects import Figure

    return Figure()


def _axes(figure: Figure, x: str, y: str) -> None:
    _style(figure)
    figure.update_xaxes(title_text=one_line(x))
    figure.update_yaxes(title_text=one_line(y))


def _style(figure: Figure) -> None:
    """Leaves colours of text and ground to the page, which has a dark mode."""
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
        hovermode="x unified",
        height=430,
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)


def _chart(name: str, title: str, about: str, figure: Figure, image: str = "") -> Chart:
    return Chart(name, title, about, _rounded(figure.to_plotly_json()), image)


def _rounded(figure: object) -> str:
    """Writes a figure as JSON, with five significant digits."""
    return json.dumps(_plain(figure), separators=(",", ":"), allow_nan=False)


def _plain(value: object) -> object:
    """Turns arrays into lists, shortens numbers, and writes NaN as null."""
    converters: dict[type, Callable[[object], object]] = {
        dict: lambda v: {str(k): _plain(x) for k, x in v.items()},  # type: ignore[attr-defined]
        list: lambda v: [_plain(x) for x in v],  # type: ignore[attr-defined]
        tuple: lambda v: [_plain(x) for x in v],  # type: ignore[attr-defined]
        np.ndarray: lambda v: _plain(v.tolist()),  # type: ignore[attr-defined]
    }
    for kind, convert in converters.items():
        if isinstance(value, kind):
            return convert(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.5g}") if np.isfinite(value) else None
    return value


def _name(row: Row, rows: Sequence[Row]) -> str:
    return one_line(short_label(row, rows))


def _titled(title: str, rows: Sequence[Row], every: Sequence[Row]) -> str:
    """Adds to a title what sets a family of rows apart from the others."""
    family = family_name(rows[0], every)
    return f"{title} ({family})" if family else title


def _reach(estimate: Estimate) -> dict[str, object]:
    """Writes an interval as Plotly's error bar."""
    value, low, high = np.array(estimate[:3])
    return {
        "type": "data",
        "symmetric": False,
        "array": [float(np.nan_to_num(max(high - value, 0)))],
        "arrayminus": [float(np.nan_to_num(max(value - low, 0)))],
    }


def _thinned(series: np.ndarray) -> np.ndarray:
    """Leaves out points of a long line, `(2, N)`; the last one stays."""
    step = -(-series.shape[1] // POINTS) or 1
    return np.concatenate([series[:, :-1:step], series[:, -1:]], axis=1)
