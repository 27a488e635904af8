"""What the page of a table says, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dp_bench.evaluation.films import Film
from dp_bench.evaluation.records import Record
from dp_bench.reports import trained
from dp_bench.reports.columns import Cell, ShownColumn, shown
from dp_bench.reports.comparability import Family, compared
from dp_bench.reports.plots.looks import look_of
from dp_bench.reports.summary import ROW
from dp_bench.reports.table import FAMILY, Row, Table, grouped
from dp_bench.reports.verdict import about_the_best
from dp_bench.reports.wording import (
    decimals,
    family_name,
    interval,
    label,
    short_label,
    size,
)
from dp_bench.runs.folder import read_run
from dp_bench.runs.info import RunInfo
from dp_bench.runs.trained import Trained
from dp_bench.util.files import whole_files

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
        score: Mean over the trainings.
        shade: 0 for score 0 to `SHADES` for score 1.
    """

    start: int
    score: float
    shade: int


@dataclass(frozen=True, eq=False)
class MapRow:
    """One row of a table in the map of starts.

    Attributes:
        place: Of the row in the table.
        label: Its name.
        colour: Of its method.
        cells: One for each start.
    """

    place: int
    label: str
    colour: str
    cells: list[MapCell]


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """The scores of rows that played the same variant from the same observations.

    Attributes:
        name: What sets them apart from the rows of other maps; "" for one map.
        starts: Env seeds.
        disagreement: Of each start: how far the rows' scores lie apart.
        rows: As in the table.
    """

    name: str
    starts: list[int]
    disagreement: list[float]
    rows: list[MapRow]


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
class RunFiles:
    """A training of a row, and the files that tell of it.

    Attributes:
        train_seed: Its seed.
        name: Of its files, without the ending.
        trained: How it was trained.
        weights: Digest of its weights; "" if unknown.
    """

    train_seed: int
    name: str
    trained: str
    weights: str


@dataclass(frozen=True, eq=False)
class Provenance:
    """Where a row comes from.

    Attributes:
        label: The row's name.
        settings: Name and value of each setting.
        runs: Its trainings.
    """

    label: str
    settings: list[tuple[str, str]]
    runs: list[RunFiles]


@dataclass(frozen=True, eq=False)
class Content:
    """Everything that the page of one table shows, but for its charts.

    Attributes:
        title: Of the table.
        folder: `<task>`, `<task>/<source>` or `<group>/<task>`.
        constant: What all rows share.
        columns: Of the table.
        rows: Lines of cells, one for each row.
        comparisons: Families that were compared.
        footer: Notes under the table.
        maps: Scores by start.
        played: Of each row, by start and train seed.
        provenance: Of each row.
        labels: Of each row.
        colours: Of each row.
        variants: Of each row.
        films: Of all rows.
    """

    title: str
    folder: str
    constant: str
    columns: list[ShownColumn]
    rows: list[tuple[Cell, ...]]
    comparisons: list[Comparisons]
    footer: tuple[str, ...]
    maps: list[ScoreMap]
    played: list[dict[int, dict[int, Played]]]
    provenance: list[Provenance]
    labels: list[str]
    colours: list[str]
    variants: list[str]
    films: list[Film] = field(default_factory=list)


def content_of(
    folder: str, table: Table, records: Sequence[Record], runs: Mapping[str, RunFile]
) -> Content:
    """Collects what a page shows.

    Args:
        folder: Where the table lies, below the results.
        table: Of one task.
        records: Of the episodes in it; others are left out.
        runs: Settings of the trainings, by the name of their file.
    """
    columns, constant = shown(table)
    rows = table.rows
    labels = [label(row, rows) + trained.marks(row) for row in rows]
    return Content(
        title=table.title,
        folder=folder,
        constant=constant,
        columns=columns,
        rows=list(zip(*(column.cells for column in columns), strict=True)),
        comparisons=[_comparisons(f, rows) for f in compared(rows)[1]],
        footer=table.footer,
        maps=_maps(rows),
        played=_played(rows, records),
        provenance=[
            _provenance(row, name, runs) for row, name in zip(rows, labels, strict=True)
        ],
        labels=labels,
        colours=[look_of(row.method).colour for row in rows],
        variants=[row.variant for row in rows],
    )


class RunFile(NamedTuple):
    """A file `runs/<name>.json`."""

    info: RunInfo
    trained: Trained


def read_runs(folder: Path) -> dict[str, RunFile]:
    """Reads the settings of all trainings of a folder of results.

    Raises:
        BadInput: When a file is damaged.
    """
    files = whole_files((folder / "runs").glob("*.json"))
    return {file.stem: RunFile(*read_run(file)) for file in files}


def _comparisons(family: Family, rows: Sequence[Row]) -> Comparisons:
    names = [short_label(row, family.rows) for row in family.rows]
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
                size(pair.detectable) if np.isfinite(pair.detectable) else "unknown",
            )
            for pair in family.pairs
        ],
    )


def _maps(rows: Sequence[Row]) -> list[ScoreMap]:
    places = {id(row): place for place, row in enumerate(rows)}
    maps = []
    for members in grouped(rows, (*FAMILY, "starts")):
        starts = sorted({start for row in members for start in row.env_seeds})
        means = np.full((len(members), len(starts)), np.nan)
        for means_of_row, row in zip(means, members, strict=True):
            means_of_row[np.searchsorted(starts, row.env_seeds)] = row.scores.mean(0)
        spread = np.nan_to_num(np.nanmax(means, 0) - np.nanmin(means, 0))
        maps.append(
            ScoreMap(
                family_name(members[0], rows),
                starts,
                [round(float(value), 4) for value in spread],
                [
                    MapRow(
                        places[id(row)],
                        short_label(row, members) + trained.marks(row),
                        look_of(row.method).colour,
                        [
                            MapCell(start, float(score), round(SHADES * score))
                            for start, score in zip(starts, scores, strict=True)
                            if np.isfinite(score)
                        ],
                    )
                    for row, scores in zip(members, means, strict=True)
                ],
            )
        )
    return maps


def _played(
    rows: Sequence[Row], records: Sequence[Record]
) -> list[dict[int, dict[int, Played]]]:
    """Sorts episodes by row, start and train seed."""
    places = {tuple(getattr(row, n) for n in ROW): k for k, row in enumerate(rows)}
    played: list[dict[int, dict[int, Played]]] = [{} for _ in rows]
    for record in records:
        place = places.get(tuple(getattr(record, name) for name in ROW))
        if place is not None:
            episode = Played(round(record.score, 4), record.success, record.length)
            of_start = played[place].setdefault(record.env_seed, {})
            of_start[record.train_seed] = episode
    return played


def runs_of(row: Row, runs: Mapping[str, RunFile]) -> list[str]:
    """Names the trainings of a row, in the order of their seeds."""
    keys = ("method", "settings", "demos_digest", "frames_digest")
    names = [
        name
        for name, (info, _) in runs.items()
        if all(getattr(info.identity, key) == getattr(row, key) for key in keys)
        and info.train_seed in row.train_seeds
    ]
    return sorted(names, key=lambda name: runs[name].info.train_seed)


def _provenance(row: Row, label: str, runs: Mapping[str, RunFile]) -> Provenance:
    names = runs_of(row, runs)
    files = [
        RunFiles(
            info.train_seed,
            name,
            _conditions(how),
            how.weights,
        )
        for name in names
        for info, how in [runs[name]]
    ]
    values = _settings(runs[names[0]].info) if names else []
    return Provenance(label, values, files)


def _settings(info: RunInfo) -> list[tuple[str, str]]:
    """Lists settings as `--set` takes them."""
    parts = {"policy": info.policy, "training": info.training}
    if info.vision is not None:
        parts["vision"] = dataclasses.asdict(info.vision)
    return [
        (f"{part}.{name}", settings_text(value))
        for part, values in parts.items()
        for name, value in _flat(values)
    ]


def _flat(values: Mapping[str, object], before: str = "") -> list[tuple[str, object]]:
    flat: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat += _flat(value, f"{before}{name}.")
        else:
            flat.append((before + name, value))
    return flat


def settings_text(value: object) -> str:
    """Writes the value of a setting; parts of a list are separated by commas."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def _conditions(how: Trained) -> str:
    """Says on what a training ran."""
    parts = [how.conditions or "unknown conditions"]
    processors = dict.fromkeys(s.processor for s in how.stages if s.processor)
    commits = dict.fromkeys(s.commit[:12] for s in how.stages if s.commit)
    if processors:
        parts.append(", ".join(processors))
    if commits:
        parts.append(f"commit {', '.join(commits)}")
    return "; ".join(parts)
