"""Records -> the rows of a table, with their estimates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.records import Record, to_frame
from dp_bench.reports.column_statistics import STATISTICS
from dp_bench.reports.comparability import compared, marked
from dp_bench.reports.footnotes import footnotes
from dp_bench.reports.published import with_published
from dp_bench.reports.table import FAMILY, Row, Table
from dp_bench.reports.verdict import verdict
from dp_bench.reports.wording import ranges
from dp_bench.runs.info import RunIdentity
from dp_bench.statistics.estimates import pool_of
from dp_bench.statistics.variance import Pool
from dp_bench.task import Column, Task

# Trainings of one row share their identity, except for these fields.
OF_A_TRAINING = ("split_digest", "order_digest", "train_seed")
IDENTITY = [f.name for f in fields(RunIdentity) if f.name not in OF_A_TRAINING]
EVERYWHERE = (Column("score", ""), Column("success", ""))
# Shares that only the CSV shows, where all records of a row know them.
WHEN_SOLVED = (Column("success_once", ""), Column("success_at_end", ""))
ROW = [*IDENTITY, "starts", "variant", "step"]  # a row for each combination

# By the values of FAMILY and the key of a column.
Pools: TypeAlias = Mapping[tuple[str, ...], Pool | None]


def summary(
    records: Iterable[Record],
    task: Task | None = None,
    *,
    published: pd.DataFrame | None = None,
    published_demos: str = "ph",
    steps: Literal["last", "all"] = "last",
    source: str = "",
) -> Table:
    """Reduces the records of one task to a table.

    A row has one value per train seed and start. A row leaves out starts that one of
    its train seeds lacks; a note says so, and the row counts as not comparable.

    Args:
        records: Of one task, in any order.
        task: Whose columns are shown; None for the task that the records name.
        published: As of `published_values`; None to show none.
        published_demos: Which published demonstrations to show, if `published` has
            several for a task.
        steps: "last" shows each run at its last checkpoint, "all" has a row per
            checkpoint.
        source: Source of the demonstrations; a note gives the number of a small one.

    Raises:
        BadInput: When it gets no records, or records of several tasks; when an
            episode occurs twice, a run has two splits, or no start was met by all
            train seeds of a row.
    """
    if steps not in ("last", "all"):
        raise BadInput(f"steps must be 'last' or 'all', got {steps!r}")
    frame = to_frame(records)
    task_name = _only_task(frame, task)
    task = task or registry.tasks().get(task_name)
    _refuse_doubles(frame)
    if steps == "last":
        frame = frame[at_last_step(frame)]

    columns = task.columns if task else _columns_of(frame)
    groups = [group for _, group in frame.groupby(ROW, sort=False)]
    pools = _pools(frame[at_last_step(frame)], columns)
    rows = [_row(group, columns, pools) for group in groups]
    rows.sort(key=lambda row: _place(row, task, by_step=steps == "all"))
    rows, families = compared(marked(rows))
    rows, sources = with_published(rows, columns, published, published_demos)
    about = f": {task.about}" if task else ""
    footer = [
        *verdict(rows, families),
        *_few_demos(source),
        *footnotes(rows, columns, frame, sources),
    ]
    return Table(f"{task_name}{about}", tuple(rows), tuple(columns), tuple(footer))


def at_last_step(frame: pd.DataFrame) -> pd.Series:
    """Tells which records are of the last checkpoint of their row.

    Args:
        frame: Records as of `to_frame`.

    Returns:
        True or False for each record.
    """
    rest = [name for name in ROW if name != "step"]
    return frame["step"] == frame.groupby(rest)["step"].transform("max")


def scores_by_seed_and_start(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Arranges the numbers of one row by train seed and start, `(S, E)`.

    Args:
        frame: Records as of `to_frame`, all of one row.
        column: Which number.

    Returns:
        Indexed by train seed and env seed, both in order; only starts that were met
        under every train seed.
    """
    cells = frame.pivot(index="train_seed", columns="env_seed", values=column)
    met = frame.pivot(index="train_seed", columns="env_seed", values="step").notna()
    return cells.loc[:, met.all(axis=0)].sort_index(axis=0).sort_index(axis=1)


def _few_demos(source: str) -> list[str]:
    """Says how many episodes a smoke test learned from, unless from a full source."""
    full, _, number = source.rpartition("-")
    if not full or number != str(registry.SMALL):
        return []
    return [
        f"Few demonstrations: {source}, {number} episodes instead of all of {full}: a "
        "smoke test."
    ]


def _only_task(frame: pd.DataFrame, task: Task | None) -> str:
    if frame.empty:
        raise BadInput("a table needs at least one record, got none")
    names = sorted(frame["task"].unique())
    if len(names) > 1 or (task and names != [task.name]):
        wanted = f"of task {task.name!r}" if task else "of one task"
        raise BadInput(f"records must be {wanted}, these are of {', '.join(names)}")
    return str(names[0])


def _refuse_doubles(frame: pd.DataFrame) -> None:
    twice = frame[frame.duplicated([*ROW, "train_seed", "env_seed"])]
    if len(twice):
        first = twice.iloc[0]
        raise BadInput(
            f"{first['method']!r} has the episode of train seed {first['train_seed']} "
            f"and start {first['env_seed']} twice at update {first['step']}; "
            f"there must be one"
        )
    splits = frame.groupby([*ROW, "train_seed"])["split_digest"].nunique()
    if splits.max() > 1:
        key = dict(zip(splits.index.names, splits.idxmax(), strict=True))  # type: ignore[call-overload]
        raise BadInput(
            f"{key['method']!r} has two splits of the demonstrations under train seed "
            f"{key['train_seed']}; a run must have one"
        )


def _columns_of(frame: pd.DataFrame) -> list[Column]:
    """Makes columns for the sub-scores of an unknown task, under their own names."""
    fields = {*Record.__dataclass_fields__}
    return [Column(str(name), str(name)) for name in frame if name not in fields]


def _pools(frame: pd.DataFrame, columns: Sequence[Column]) -> Pools:
    """Pools the rows of each family.

    Args:
        frame: Records of the last checkpoint of each row.
        columns: Of the task.
    """
    pools = {}
    for family, members in frame.groupby(list(FAMILY)):
        groups = [group for _, group in members.groupby(ROW, sort=False)]
        for column in (*EVERYWHERE, *columns):
            if column.averaged:
                tables = [_numbers(group, column) for group in groups]
                known = [t for t in tables if t.size and np.isfinite(t).all()]
                key = (*map(str, family), column.key)
                pools[key] = pool_of(known)
    return pools


def _row(frame: pd.DataFrame, columns: Sequence[Column], pools: Pools) -> Row:
    first = frame.iloc[0]
    family = tuple(str(first[name]) for name in FAMILY)
    scores = scores_by_seed_and_start(frame, "score")
    if scores.empty:
        raise BadInput(
            f"{first['method']!r} has no start that all its train seeds met "
            f"({ranges(sorted(set(frame['train_seed'])))}); finish its evaluation"
        )
    runs = frame.drop_duplicates("train_seed")
    known = [column for column in WHEN_SOLVED if frame[column.key].notna().all()]
    return Row(
        title=registry.title_of(first["method"]),
        **{name: first[name] for name in ROW},
        estimates={
            column.key: STATISTICS[column.statistic].estimate(
                _numbers(frame, column),
                pools.get((*family, column.key)),
                column,
            )
            for column in (*EVERYWHERE, *known, *columns)
        },
        scores=scores.to_numpy(),
        train_seeds=tuple(map(int, scores.index)),
        env_seeds=tuple(map(int, scores.columns)),
        missing=tuple(sorted({*map(int, frame["env_seed"])} - {*scores.columns})),
        splits=dict(zip(runs["train_seed"], runs["split_digest"], strict=True)),
        orders=dict(zip(runs["train_seed"], runs["order_digest"], strict=True)),
        trained={
            int(seed): trained
            for seed, trained in zip(runs["train_seed"], runs["trained"], strict=True)
            if trained is not None
        },
        parameters=int(runs["parameters"].median()),
        train_seconds=float(runs["train_seconds"].mean()),
        decision_latency=float(frame["decision_latency"].median()),
    )


def _numbers(frame: pd.DataFrame, column: Column) -> np.ndarray:
    """Arranges one column of a row as numbers, `(S, E)`; NaN where there is none."""
    cells = scores_by_seed_and_start(
        frame if column.key in frame else frame.assign(**{column.key: np.nan}),
        column.key,
    )
    return cells.to_numpy(dtype=np.float64)


def _place(row: Row, task: Task | None, *, by_step: bool) -> tuple[object, ...]:
    """Gives the key by which rows are sorted.

    The task's first variant leads, and within it the task's first kind of observation.
    """
    variant = place_among(row.variant, [*task.variants] if task else [])
    obs_kind = place_among(row.obs_kind, task.obs_kinds if task else [])
    circumstances = (row.starts, *obs_kind, row.control, row.preset)
    run = (row.method, row.settings, row.demos_digest, row.frames_digest)
    rank = (*run, row.step) if by_step else (-row.score.value, *run)
    return (*variant, *circumstances, *rank)


def place_among(name: str, names: Sequence[str]) -> tuple[int, str]:
    """Sorts known names in their order, and the others behind them by name."""
    return (names.index(name) if name in names else len(names), name)
