"""The charts of a page, drawn by Plotly: they answer to the pointer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dp_bench import registry
from dp_bench.reports import learning, trained
from dp_bench.reports.learning import ScoreCurve
from dp_bench.reports.plots import looks
from dp_bench.reports.table import FAMILY, LEVEL, Row, Table, grouped
from dp_bench.reports.trainings import Curve
from dp_bench.reports.wording import family_name, short_label, with_interval
from dp_bench.statistics.estimates import Estimate
from dp_bench.statistics.intervals import is_binary
from dp_bench.statistics.profiles import performance_profiles
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
    curves: Mapping[str, Sequence[ScoreCurve]],
    titles: Mapping[str, str],
    starts: str,
    logs: Mapping[Curve, Sequence[Sequence[LogLine]]],
) -> list[Chart]:
    """Draws all charts for which there are numbers.

    Args:
        table: Of one task.
        curves: Learning curves, by the key of their column.
        titles: Of these columns.
        starts: Kinds of starts of the learning curves.
        logs: Of the trainings of each curve.
    """
    families = grouped(table.rows, FAMILY)
    made = [_trainings(rows, table.rows, k) for k, rows in enumerate(families)]
    made += [
        _learning(drawn, titles[key], starts, key)
        for key, drawn in curves.items()
        if drawn
    ]
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
    for place, row in enumerate(rows):
        look = looks.look_of(row.method)
        marker = {"color": look.colour, "symbol": SYMBOLS[look.marker]}
        figure.add_scatter(
            x=_short(row.scores.mean(axis=1)),
            y=[place] * row.num_seeds,
            mode="markers",
            marker=marker | {"size": 7, "opacity": 0.6},
            text=[f"train seed {seed}" for seed in row.train_seeds],
            hovertemplate="%{text}: %{x:.3f}<extra></extra>",
            showlegend=False,
            cliponaxis=False,
        )
        figure.add_scatter(
            x=_short([row.score.value]),
            y=[place],
            mode="markers",
            marker=marker | {"size": 12},
            error_x=_reach(row.score),
            hovertemplate=f"{with_interval(row.score)}<extra></extra>",
            showlegend=False,
            cliponaxis=False,
        )
    _axes(figure, "score", "")
    figure.update_xaxes(range=[0, 1])
    _name_lines(figure, rows)
    figure.update_layout(height=110 + 36 * len(rows), hovermode="closest")
    return Chart(
        f"trainings_{number}",
        _titled("Scores by training", rows, every),
        f"A large marker is the score of a row, with its {LEVEL:.0%} interval. A small "
        "one is the mean score of one training.",
        _json(figure),
        "success.png" if not number else "",
    )


def _learning(curves: Sequence[ScoreCurve], title: str, starts: str, key: str) -> Chart:
    """Draws a number against the updates made."""
    figure = _figure()
    dashes = _dashes(curve.method for curve in curves)
    for place, (curve, dash) in enumerate(zip(curves, dashes, strict=True)):
        look = looks.look_of(curve.method)
        _line_with_band(
            figure,
            place,
            ", ".join([registry.title_of(curve.method), *curve.apart]),
            {"color": look.colour, "dash": dash, "width": 2},
            np.array(curve.steps),
            np.array([estimate[:3] for estimate in curve.estimates]).T,
            symbol=SYMBOLS[look.marker],
        )
    _axes(figure, "updates", f"{title} on {starts} starts")
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(range=[0, 1])
    name = "learning" if key == "score" else f"learning_{key}"
    return Chart(
        name,
        f"{title[:1].upper()}{title[1:]} by updates",
        f"Each point is an evaluation of weights that were kept during training. Bands "
        f"are {LEVEL:.0%} intervals.",
        _json(figure),
        f"{name}.png",
    )


def _profile(rows: Sequence[Row], every: Sequence[Row], number: int) -> Chart:
    """Draws the share of episodes above each score."""
    figure = _figure()
    profiles = performance_profiles([r.scores for r in rows], THRESHOLDS, level=LEVEL)
    dashes = _dashes(row.method for row in rows)
    for place, (row, profile, dash) in enumerate(
        zip(rows, profiles, dashes, strict=True)
    ):
        one = row.num_seeds == 1
        _line_with_band(
            figure,
            place,
            _name(row, rows),
            {"color": looks.look_of(row.method).colour, "dash": dash, "width": 2},
            THRESHOLDS,
            np.array([profile.shares] * 3 if one else profile),
        )
    _axes(figure, "score", "share of episodes with a higher score")
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(range=[0, 1.02])
    return Chart(
        f"profile_{number}",
        _titled("Performance profile", rows, every),
        f"The share of episodes that score higher than each value. Bands are pointwise "
        f"{LEVEL:.0%} intervals; a row with one training has none.",
        _json(figure),
        "profile.png" if not number else "",
    )


def _losses(logs: Mapping[Curve, Sequence[Sequence[LogLine]]]) -> Chart:
    """Draws the losses of each method in a panel of its own: their units differ."""
    from plotly.subplots import make_subplots

    columns = min(PANELS, len(logs))
    lines = -(-len(logs) // columns)
    figure = make_subplots(
        rows=lines,
        cols=columns,
        subplot_titles=[_text(curve.short) for curve in logs],
        vertical_spacing=0.36 / max(lines, 2),
        specs=[
            [{} if line * columns + k < len(logs) else None for k in range(columns)]
            for line in range(lines)
        ],
    )
    for place, (curve, runs) in enumerate(logs.items()):
        panel = {"row": place // columns + 1, "col": place % columns + 1}
        colour = looks.look_of(curve.method).colour
        smallest = np.inf
        for k, log in enumerate(runs):
            for key, word, dash in (
                ("loss", "training", "solid"),
                ("val_loss", "validation", "dot"),
            ):
                x, y = _thinned(learning.smoothed(learning.series_of(log, key)))
                smallest = min([smallest, *y])
                figure.add_scatter(
                    x=_short(x),
                    y=_short(y),
                    mode="lines",
                    line={"color": colour, "dash": dash, "width": 1.5},
                    name=f"{word}, training {k + 1} of {len(runs)}",
                    showlegend=False,
                    **panel,
                )
        scale = "log" if 0 < smallest < np.inf else "linear"
        figure.update_yaxes(type=scale, nticks=5, **panel)
        if place >= len(logs) - columns:
            figure.update_xaxes(title_text="updates", **panel)
    _style(figure)
    figure.update_xaxes(rangemode="tozero")
    figure.update_layout(height=110 + 230 * lines)
    return Chart(
        "losses",
        "Losses",
        "Solid: training. Dotted: validation. Each method has a loss of its own, so "
        "panels cannot be compared.",
        _json(figure),
        "loss.png",
    )


def _latency(table: Table) -> Chart:
    """Draws the time of a decision of each row."""
    figure = _figure()
    for place, row in enumerate(table.rows):
        look = looks.look_of(row.method)
        figure.add_scatter(
            x=_short([1000 * row.decision_latency]),
            y=[place],
            mode="markers",
            marker={"color": look.colour, "size": 12, "symbol": SYMBOLS[look.marker]},
            hovertemplate="%{x:.3g} ms<extra></extra>",
            showlegend=False,
        )
    _axes(figure, "time of a decision [ms]", "")
    figure.update_xaxes(type="log")
    _name_lines(figure, table.rows)
    figure.update_layout(height=120 + 32 * len(table.rows), hovermode="closest")
    return Chart(
        "latency",
        "Time of a decision",
        "The episodes that are played together share the time of a decision. The point "
        "is the median over episodes. Do not compare rows that were evaluated on "
        "different machines.",
        _json(figure),
    )


def _line_with_band(
    figure: Figure,
    place: int,
    name: str,
    line: Mapping[str, object],
    x: np.ndarray,
    estimates: np.ndarray,
    symbol: str = "",
) -> None:
    """Draws a line with a band for its intervals; a click on its name hides both.

    Args:
        figure: Where to draw.
        place: Of the line among all.
        name: In the legend.
        line: Colour, dashes and width.
        x: `(N,)`.
        estimates: Values, lower and upper ends, `(3, N)`.
        symbol: Of the markers; "" for none.
    """
    values, lows, highs = estimates
    figure.add_scatter(
        x=_short(np.concatenate([x, x[::-1]])),
        y=_short(np.concatenate([highs, lows[::-1]])),
        mode="lines",
        fill="toself",
        fillcolor=line["color"],
        opacity=0.15,
        line={"width": 0},
        hoverinfo="skip",
        legendgroup=str(place),
        showlegend=False,
    )
    figure.add_scatter(
        x=_short(x),
        y=_short(values),
        customdata=[_short(pair) for pair in zip(lows, highs, strict=True)],
        mode="lines+markers" if symbol else "lines",
        marker={"symbol": symbol or "circle", "size": 7},
        line=dict(line),
        hovertemplate="%{y:.2f} [%{customdata[0]:.2f}, %{customdata[1]:.2f}]",
        name=_text(name),
        legendgroup=str(place),
    )


def _figure() -> Figure:
    from plotly.graph_objects import Figure

    return Figure()


def _axes(figure: Figure, x: str, y: str) -> None:
    _style(figure)
    figure.update_xaxes(title_text=_text(x))
    figure.update_yaxes(title_text=_text(y))


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


def _name_lines(figure: Figure, rows: Sequence[Row]) -> None:
    """Writes the name of each row beside its line; the first one is on top."""
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[_text(_name(row, rows)) for row in rows],
        range=[len(rows) - 0.5, -0.5],
    )


def _name(row: Row, rows: Sequence[Row]) -> str:
    return short_label(row, rows) + trained.marks(row)


def _titled(title: str, rows: Sequence[Row], every: Sequence[Row]) -> str:
    """Adds to a title what sets a family of rows apart from the others."""
    family = family_name(rows[0], every)
    return f"{title} ({family})" if family else title


def _dashes(methods: Iterable[str]) -> list[str]:
    """Gives each line the dashes that tell it from others of its method."""
    before: list[str] = []
    dashes = []
    for method in methods:
        dashes.append(DASHES[before.count(method) % len(DASHES)])
        before.append(method)
    return dashes


def _reach(estimate: Estimate) -> dict[str, object]:
    """Writes an interval as Plotly's error bar."""
    value, low, high = np.array(estimate[:3])
    return {
        "type": "data",
        "symmetric": False,
        "array": _short([np.nan_to_num(max(high - value, 0))]),
        "arrayminus": _short([np.nan_to_num(max(value - low, 0))]),
    }


def _thinned(series: np.ndarray) -> np.ndarray:
    """Leaves out points of a long line, `(2, N)`; the last one stays."""
    step = -(-series.shape[1] // POINTS) or 1
    return np.concatenate([series[:, :-1:step], series[:, -1:]], axis=1)


def _short(numbers: Iterable[float]) -> list[float | None]:
    """Rounds numbers to five digits; one that is not finite becomes a gap."""
    return [float(f"{x:.5g}") if np.isfinite(x) else None for x in numbers]


def _text(text: str) -> str:
    """Writes text in which Plotly finds no markup."""
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;")


def _json(figure: Figure) -> str:
    return json.dumps(figure.to_plotly_json(), separators=(",", ":"), allow_nan=False)
