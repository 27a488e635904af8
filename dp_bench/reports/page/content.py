"""What the page of a table says, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dp_bench.evaluation.films import Film
from dp_bench.evaluation.records import Record
from dp_bench.reports import trained
from dp_bench.reports.columns import Cell, ShownColumn, shown
from dp_bench.reports.comparability import Family, compared
from dp_bench.reports.page.origin import (
    RunFile,
    RunLine,
    facts_of,
    run_line,
    runs_of,
    settings_of,
    weights_of,
)
from dp_bench.reports.plots.looks import look_of
from dp_bench.reports.summary import ROW
from dp_bench.reports.table import FAMILY, Row, Table, grouped
from dp_bench.reports.verdict import about_the_best, no_comparison
from dp_bench.reports.wording import decimals, family_name, interval, label
from dp_bench.reports.wording import short_label as short
from dp_bench.reports.wording import size as size_of

SHADES = 20  # of the map's colours, besides that of score 0


class Played(NamedTuple):
    """One episode of a row.

    Attributes:
        score: In [0, 1].
        success: Whether it was solved.
        length: Number of steps.
    """

    score: float
    success: bool
    length: int


class MapCell(NamedTuple):
    """One start of one row in the map.

    Attributes:
        start: Env seed.
        score: Mean over the trainings; None where the row did not meet the start.
        shade: 0 for score 0 to `SHADES` for score 1.
    """

    start: int
    score: float | None
    shade: int


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """The scores of rows that played the same variant from the same observations.

    Attributes:
        name: What sets them apart from the rows of other maps; "" for one map.
        starts: Env seeds.
        rows: Places of its rows in the table, each with a cell for each start.
    """

    name: str
    starts: list[int]
    rows: list[tuple[int, list[MapCell]]]


class PairLine(NamedTuple):
    """A comparison of two rows, as text."""

    first: str
    second: str
    difference: str
    interval: str
    p: str
    decided: bool
    detectable: str


@dataclass(frozen=True, eq=False)
class Comparisons:
    """All pairs of a family.

    Attributes:
        name: What sets the family apart; "" where there is one only.
        verdict: About its best row.
        pairs: All of them.
    """

    name: str
    verdict: str
    pairs: list[PairLine]


@dataclass(frozen=True, eq=False)
class Line:
    """A row of the table, with everything that the page shows about it.

    Attributes:
        label: Its name among all rows.
        short: Its name among the rows of its variant and observation.
        colour: Of its method.
        again: How many rows of its method come before it in its family.
        cells: Of the table.
        played: Its episodes, by start and train seed.
        facts: What was trained, by name.
        settings: Name and value of each setting.
        runs: Its trainings.
        films: Of its episodes, by start.
    """

    label: str
    short: str
    colour: str
    again: int
    cells: tuple[Cell, ...]
    played: dict[int, dict[int, Played]]
    facts: dict[str, str]
    settings: dict[str, str]
    runs: list[RunLine]
    films: dict[int, Film]


@dataclass(frozen=True, eq=False)
class Content:
    """Everything that the page of one table shows, but for its charts.

    Attributes:
        title: Of the table.
        folder: `<task>`, `<task>/<source>` or `<group>/<task>`.
        constant: What all rows share.
        columns: Of the table.
        lines: One for each row.
        comparisons: Families that were compared.
        not_compared: Why there are none; "" where there are some.
        footer: Notes under the table.
        maps: Scores by start.
    """

    title: str
    folder: str
    constant: str
    columns: list[ShownColumn]
    lines: list[Line]
    comparisons: list[Comparisons]
    not_compared: str
    footer: tuple[str, ...]
    maps: list[ScoreMap]


def content_of(
    folder: Path,
    name: str,
    table: Table,
    records: Sequence[Record],
    runs: Mapping[str, RunFile],
    films: Sequence[Film] = (),
) -> Content:
    """Collects what a page shows.

    Args:
        folder: Of the results.
        name: What the page calls it.
        table: Of one task.
        records: Of the episodes in it; others are left out.
        runs: Settings of the trainings, by the name of their file.
        films: Of episodes; those of other weights than a row's are left out.
    """
    columns, constant = shown(table)
    rows = table.rows
    families = compared(rows)[1]
    played = _played(rows, records)
    members = {id(r): family for family in grouped(rows, FAMILY) for r in family}
    lines = []
    for k, row in enumerate(rows):
        family, marks = members[id(row)], trained.marks(row)
        names = runs_of(row, runs)
        before = [r.method for r in family[: family.index(row)]]
        lines.append(
            Line(
                label=label(row, rows) + marks,
                short=short(row, family) + marks,
                colour=look_of(row.method).colour,
                again=before.count(row.method),
                cells=tuple(column.cells[k] for column in columns),
                played=played[k],
                facts=facts_of(row, runs[names[0]].info if names else None),
                settings=settings_of(runs[names[0]].info) if names else {},
                runs=[run_line(folder, n, *runs[n]) for n in names],
                films=_films_of(row, names, runs, films),
            )
        )
    return Content(
        title=table.title,
        folder=name,
        constant=constant,
        columns=columns,
        lines=lines,
        comparisons=[_comparisons(family, rows) for family in families],
        not_compared="" if families else no_comparison(rows),
        footer=table.footer,
        maps=_maps(rows),
    )


def disagreement(rows: Sequence[Row]) -> dict[int, float]:
    """Tells by start how far the mean scores of rows lie apart.

    Starts that fewer than two rows met are left out.
    """
    means: dict[int, list[float]] = {}
    for row in rows:
        for start, score in zip(row.env_seeds, row.scores.mean(axis=0), strict=True):
            means.setdefault(start, []).append(float(score))
    several = {start: scores for start, scores in means.items() if len(scores) > 1}
    return {
        start: round(max(scores) - min(scores), 4)
        for start, scores in sorted(several.items())
    }


def _films_of(
    row: Row,
    names: Sequence[str],
    runs: Mapping[str, RunFile],
    films: Sequence[Film],
) -> dict[int, Film]:
    """Picks the films of a row, by start; the first training comes first."""
    chosen: dict[int, Film] = {}
    for name in names:
        weights = weights_of(row, runs[name].info.train_seed, runs[name])
        for film in films:
            same = (film.run, film.step, film.variant) == (name, row.step, row.variant)
            if same and film.weights == weights and film.env_seed in row.env_seeds:
                chosen.setdefault(film.env_seed, film)
    return chosen


def _comparisons(family: Family, rows: Sequence[Row]) -> Comparisons:
    names = [short(row, family.rows) for row in family.rows]
    return Comparisons(
        family_name(family.rows[0], rows),
        about_the_best(family),
        [
            PairLine(
                names[pair.first],
                names[pair.second],
                decimals(pair.difference.value, "+"),
                interval(pair.difference),
                f"{pair.holm:.2g}",
                pair.decided,
                size_of(pair.detectable) if np.isfinite(pair.detectable) else "unknown",
            )
            for pair in family.pairs
        ],
    )


def _maps(rows: Sequence[Row]) -> list[ScoreMap]:
    places = {id(row): place for place, row in enumerate(rows)}
    maps = []
    for members in grouped(rows, FAMILY):
        starts = sorted({start for row in members for start in row.env_seeds})
        lines = []
        for row in members:
            means = dict(zip(row.env_seeds, row.scores.mean(axis=0), strict=True))
            lines.append((places[id(row)], [_map_cell(s, means) for s in starts]))
        maps.append(ScoreMap(family_name(members[0], rows), starts, lines))
    return maps


def _map_cell(start: int, means: Mapping[int, float]) -> MapCell:
    if start not in means:
        return MapCell(start, None, 0)
    return MapCell(start, float(means[start]), round(SHADES * float(means[start])))


def _played(
    rows: Sequence[Row], records: Sequence[Record]
) -> list[dict[int, dict[int, Played]]]:
    """Sorts episodes by row, start and train seed."""
    places = {tuple(getattr(row, n) for n in ROW): k for k, row in enumerate(rows)}
    met = [{*row.env_seeds} for row in rows]  # under every train seed
    played: list[dict[int, dict[int, Played]]] = [{} for _ in rows]
    for record in records:
        place = places.get(tuple(getattr(record, name) for name in ROW))
        if place is not None and record.env_seed in met[place]:
            episode = Played(round(record.score, 4), record.success, record.length)
            of_start = played[place].setdefault(record.env_seed, {})
            of_start[record.train_seed] = episode
    return played
