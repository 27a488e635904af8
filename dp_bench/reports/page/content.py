"""What the page of a table says, as plain data."""

from __future__ import annotations

import dataclasses
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
from dp_bench.reports.plots.looks import look_of
from dp_bench.reports.summary import ROW
from dp_bench.reports.table import FAMILY, Row, Table, grouped
from dp_bench.reports.verdict import about_the_best, no_comparison
from dp_bench.reports.wording import decimals, family_name, interval, label
from dp_bench.reports.wording import short_label as short
from dp_bench.reports.wording import size as size_of
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
        disagreement: By start: how far the rows' scores lie apart.
        rows: Places of its rows in the table, each with a cell for each start.
    """

    name: str
    starts: list[int]
    disagreement: dict[int, float]
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


class RunFile(NamedTuple):
    """A file `runs/<name>.json`."""

    info: RunInfo
    trained: Trained


@dataclass(frozen=True, eq=False)
class RunLine:
    """A training of a row, and the files that tell of it.

    Attributes:
        train_seed: Its seed.
        name: Of its files, without the ending.
        trained: How it was trained.
        weights: Digest of its weights; "" if unknown.
        files: Addresses of its files, by what they are; only those that exist.
    """

    train_seed: int
    name: str
    trained: str
    weights: str
    files: dict[str, str]


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
                facts=_facts(row, runs[names[0]].info if names else None),
                settings=_settings(runs[names[0]].info) if names else {},
                runs=[_run_line(folder, n, *runs[n]) for n in names],
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


def read_runs(folder: Path) -> dict[str, RunFile]:
    """Reads the settings of all trainings of a folder of results.

    Raises:
        BadInput: When a file is damaged.
    """
    files = whole_files((folder / "runs").glob("*.json"))
    return {file.stem: RunFile(*read_run(file)) for file in files}


def runs_of(row: Row, runs: Mapping[str, RunFile]) -> list[str]:
    """Names the trainings of a row, in the order of their seeds."""
    keys = ("method", "preset", "settings", "demos_digest", "frames_digest")

    def belongs(info: RunInfo) -> bool:
        seed = info.train_seed
        return (
            seed in row.train_seeds
            and all(getattr(info.identity, key) == getattr(row, key) for key in keys)
            and _agree(info.split_digest, row.splits[seed])
            and _agree(info.order_digest, row.orders[seed])
        )

    names = [name for name, (info, _) in runs.items() if belongs(info)]
    return sorted(names, key=lambda name: runs[name].info.train_seed)


def _agree(one: str, other: str) -> bool:
    """Compares two digests; old files have none."""
    return one == other or not (one and other)


def weights_of(row: Row, train_seed: int, file: RunFile) -> str:
    """Names the weights with which a row was evaluated; "" if unknown."""
    known = row.trained.get(train_seed)
    return known.weights if known and known.weights else file.trained.weights


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
        name = family_name(members[0], rows)
        maps.append(ScoreMap(name, starts, disagreement(members), lines))
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
    played: list[dict[int, dict[int, Played]]] = [{} for _ in rows]
    for record in records:
        place = places.get(tuple(getattr(record, name) for name in ROW))
        if place is not None:
            episode = Played(round(record.score, 4), record.success, record.length)
            of_start = played[place].setdefault(record.env_seed, {})
            of_start[record.train_seed] = episode
    return played


def _facts(row: Row, info: RunInfo | None) -> dict[str, str]:
    """Says what was trained, besides the settings."""
    facts = {
        "method": row.method,
        "preset": row.preset,
        "observation": row.obs_kind,
        "control": row.control,
        "updates": f"{row.step:,}",
        "demonstrations": row.demos_digest,
    }
    if info:
        facts["source of the demonstrations"] = info.demos_source
        facts["training episodes"] = str(info.train_episodes)
    return facts


def _run_line(folder: Path, name: str, info: RunInfo, how: Trained) -> RunLine:
    files = {
        "records": f"records/{name}.jsonl",
        "log": f"logs/{name}.jsonl",
        "settings": f"runs/{name}.json",
    }
    there = {what: file for what, file in files.items() if (folder / file).is_file()}
    return RunLine(info.train_seed, name, _conditions(how), how.weights, there)


def _settings(info: RunInfo) -> dict[str, str]:
    """Lists settings by the names that `--set` takes."""
    parts: dict[str, Mapping[str, object]] = {
        "policy": info.policy,
        "training": info.training,
    }
    if info.vision is not None:
        parts["vision"] = dataclasses.asdict(info.vision)
    return {
        f"{part}.{name}": _setting(value)
        for part, values in parts.items()
        for name, value in _flat(values)
    }


def _flat(values: Mapping[str, object], before: str = "") -> list[tuple[str, object]]:
    flat: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat += _flat(value, f"{before}{name}.")
        else:
            flat.append((before + name, value))
    return flat


def _setting(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
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
