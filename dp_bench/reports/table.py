"""Records -> a table of results, as Markdown, LaTeX, CSV or on the terminal.

A row is a method under one set of circumstances. A column that says the same in every
row is said once, above the table. Rows that were not made under the conditions of the
others carry a dagger, and a line below the table says what is different about them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.records import Record, to_frame
from dp_bench.reports.markdown import markdown_table
from dp_bench.statistics.comparisons import paired_difference
from dp_bench.statistics.estimates import Estimate, bootstrap, entropy
from dp_bench.task import Column, Task
from dp_bench.util.progress import duration

if TYPE_CHECKING:
    from rich.table import Table as RichTable

LEVEL = 0.95  # of every interval
TERMINAL_WIDTH = 100  # [characters]
TEXT_WIDTH = 17  # where words wrap on a terminal [characters]
GAP = 3  # between columns on a terminal [characters]
DAGGER = "†"
NOTHING = "–"  # noqa: RUF001
TIMES = "×"  # noqa: RUF001
MINUS = "\u2212"

CIRCUMSTANCES = {  # columns that tell rows of one method apart, with their headings
    "variant": "variant",
    "obs_kind": "observation",
    "control": "control",
    "preset": "preset",
    "starts": "starts",
    "settings": "settings",
    "step": "updates",
}
ROW = ["method", *CIRCUMSTANCES, "demos_digest"]  # one row of the table for each


@dataclass(frozen=True)
class Table:
    """What records say, in numbers, with all that must be said along with them.

    Attributes:
        title: The task.
        data: One row per method and circumstances; raw numbers, one column each.
            `differs` says what a row does not share with the others.
        columns: Further numbers of the task that are shown, keys of `data`.
        footer: Lines that belong under the table.
    """

    title: str
    data: pd.DataFrame
    columns: tuple[Column, ...]
    footer: tuple[str, ...]


def summary(
    records: Iterable[Record],
    task: Task | None = None,
    *,
    rng_seed: int = 0,
    published: pd.DataFrame | None = None,
    published_demos: str = "ph",
    steps: Literal["last", "all"] = "last",
) -> Table:
    """Reduces the records of one task to a table.

    A row has one value per train seed and start. Starts that a train seed of the row
    lacks are left out of the row, which says so and counts as not comparable.

    Args:
        records: Of one task, in any order.
        task: Whose columns are shown; None for the task that the records name.
        rng_seed: Seed of the bootstrap.
        published: Columns task, demos, obs, method, metric, selection, value, source.
        published_demos: Which published demonstrations are meant, where `published`
            has several for a task.
        steps: "last" shows each run where it ended, "all" has a row per checkpoint.

    Raises:
        BadInput: When there are no records, or of several tasks; when an episode is
            there twice, a run has two splits, or no start was met by all seeds of
            a row.
    """
    if steps not in ("last", "all"):
        raise BadInput(f"steps must be 'last' or 'all', got {steps!r}")
    frame = to_frame(records)
    task_name = _only_task(frame, task)
    task = task or registry.tasks().get(task_name)
    _refuse_doubles(frame)
    if steps == "last":
        rest = [name for name in ROW if name != "step"]
        frame = frame[frame["step"] == frame.groupby(rest)["step"].transform("max")]

    columns = task.columns if task else _columns_of(frame)
    row_frames = [row for _, row in frame.groupby(ROW, sort=False)]
    rows = [_row(row, columns, rng_seed) for row in row_frames]
    rows.sort(key=_order(task, by_step=steps == "all"))
    shared = _Shared.of(rows)
    for row in rows:
        row.values["differs"] = "; ".join(shared.differences(row))
    _compare(rows, shared, rng_seed)
    sources = _add_published(rows, task_name, columns, published, published_demos)

    data = pd.DataFrame([row.values for row in rows])
    about = f": {task.about}" if task else ""
    footer = [*_conditions(rows, frame), *_reading(columns, data, sources)]
    return Table(f"{task_name}{about}", data, tuple(columns), tuple(footer))


def grid(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """The numbers of one row by train seed and start, `(S, E)`, complete.

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


@dataclass
class _Row:
    """A row while it is made.

    Attributes:
        values: Its cells by name of the column.
        scores: `(S, E)`.
        splits: Digest of the split by train seed.
        missing: Starts that some train seed lacks.
    """

    values: dict[str, Any]
    scores: pd.DataFrame
    splits: dict[int, str]
    orders: dict[int, str]
    missing: list[int]

    @property
    def env_seeds(self) -> tuple[int, ...]:
        return tuple(int(seed) for seed in self.scores.columns)

    @property
    def train_seeds(self) -> tuple[int, ...]:
        return tuple(int(seed) for seed in self.scores.index)


class _Shared(NamedTuple):
    """What most finished rows have in common; of equally many, the best row's."""

    demos_digest: str
    env_seeds: tuple[int, ...]
    train_seeds: tuple[int, ...]
    splits: dict[int, str]
    orders: dict[int, str]

    @classmethod
    def of(cls, rows: list[_Row]) -> _Shared:
        splits = _commonest_by_seed([row.splits for row in rows])
        orders = _commonest_by_seed([row.orders for row in rows])
        rows = [row for row in rows if not row.missing] or rows
        return cls(
            _commonest([row.values["demos_digest"] for row in rows]),
            _commonest([row.env_seeds for row in rows]),
            _commonest([row.train_seeds for row in rows]),
            splits,
            orders,
        )

    def differences(self, row: _Row) -> list[str]:
        found = ["unfinished"] if row.missing else []
        digest = row.values["demos_digest"]
        if digest != self.demos_digest:
            found.append(f"demonstrations {digest[:12]}, not {self.demos_digest[:12]}")
        if row.env_seeds != self.env_seeds:
            found.append(
                f"starts {_numbers(row.env_seeds)}, not {_numbers(self.env_seeds)}"
            )
        if row.train_seeds != self.train_seeds:
            found.append(
                f"train seeds {_numbers(row.train_seeds)}, "
                f"not {_numbers(self.train_seeds)}"
            )
        others = [s for s, split in row.splits.items() if split != self.splits[s]]
        if others and digest == self.demos_digest:
            found.append(
                f"another split into training and validation "
                f"(train seeds {_numbers(others)})"
            )
        elif digest == self.demos_digest:
            others = [s for s, order in row.orders.items() if order != self.orders[s]]
            if others:
                found.append(
                    f"another order of the training rows (train seeds "
                    f"{_numbers(others)})"
                )
        return found

    def paired_with(self, row: _Row) -> bool:
        """Whether a difference to rows like this one is about the methods."""
        same_demos = row.values["demos_digest"] == self.demos_digest
        return same_demos and row.env_seeds == self.env_seeds


def _only_task(frame: pd.DataFrame, task: Task | None) -> str:
    if frame.empty:
        raise BadInput("there are no records to make a table of")
    found = sorted(frame["task"].unique())
    if len(found) > 1 or (task and found != [task.name]):
        wanted = f"of task {task.name!r}" if task else "of one task"
        raise BadInput(f"records must be {wanted}, these are of {', '.join(found)}")
    return found[0]


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
    """Sub-scores of a task that nobody knows, under their own names."""
    fields = {*Record.__dataclass_fields__}
    return [Column(str(name), str(name)) for name in frame if name not in fields]


def _row(frame: pd.DataFrame, columns: Sequence[Column], rng_seed: int) -> _Row:
    first = frame.iloc[0]
    scores = grid(frame, "score")
    missing = sorted(set(frame["env_seed"]) - set(scores.columns))
    if scores.empty:
        raise BadInput(
            f"{first['method']!r} has no start that all its train seeds met "
            f"({_numbers(sorted(set(frame['train_seed'])))}); finish its evaluation"
        )
    values: dict[str, Any] = {
        "task": first["task"],
        "method": first["method"],
        "title": registry.title_of(first["method"]),
        **{name: first[name] for name in CIRCUMSTANCES},
    }
    for column in (Column("score", ""), Column("success", ""), *columns):
        name = column.key
        cells = grid(frame, name) if name in frame else scores * np.nan
        values |= _spread(name, _estimate(cells, rng_seed, column))
    runs = frame.drop_duplicates("train_seed")
    values |= {
        "parameters": int(runs["parameters"].median()),
        "train_seconds": float(runs["train_seconds"].mean()),
        "decision_latency": float(frame["decision_latency"].median()),
        "num_seeds": len(scores),
        "num_starts": scores.shape[1],
        "train_seeds": _numbers(int(seed) for seed in scores.index),
        "env_seeds": _numbers(int(seed) for seed in scores.columns),
        "demos_digest": first["demos_digest"],
    }
    splits = dict(zip(runs["train_seed"], runs["split_digest"], strict=True))
    orders = dict(zip(runs["train_seed"], runs["order_digest"], strict=True))
    return _Row(values, scores, splits, orders, missing)


def _estimate(cells: pd.DataFrame, rng_seed: int, column: Column) -> Estimate:
    """Every estimate has a generator of its own, so that none depends on other rows."""
    numbers = cells.to_numpy(dtype=np.float64)
    if column.statistic == "entropy":
        rng = np.random.default_rng(rng_seed)
        return entropy(numbers, rng, options=column.options, level=LEVEL)
    if np.isnan(numbers).any():  # an episode lacks this sub-score
        return _unknown(numbers.shape)
    return bootstrap(numbers, np.random.default_rng(rng_seed), level=LEVEL)


def _unknown(shape: tuple[int, ...]) -> Estimate:
    nan = float("nan")
    return Estimate(nan, nan, nan, LEVEL, *shape)


def _spread(name: str, estimate: Estimate) -> dict[str, float]:
    return {
        name: estimate.value,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
    }


def _order(task: Task | None, *, by_step: bool) -> Any:
    known = [*task.variants] if task else []

    def key(row: _Row) -> tuple[Any, ...]:
        values = row.values
        variant = values["variant"]
        place = known.index(variant) if variant in known else len(known)
        circumstances = [values[n] for n in ("starts", "obs_kind", "control", "preset")]
        run = (values["method"], values["settings"], values["demos_digest"])
        rank = (*run, values["step"]) if by_step else (-values["score"], *run)
        return (place, variant, *circumstances, *rank)

    return key


def _compare(rows: list[_Row], shared: _Shared, rng_seed: int) -> None:
    """Adds the difference to the best comparable row of the same variant."""
    groups: dict[Any, list[_Row]] = {}
    for row in rows:
        row.values |= _spread("difference", _unknown((0, 0)))
        row.values["best"] = False
        if shared.paired_with(row):
            groups.setdefault(row.values["variant"], []).append(row)
    for group in groups.values():
        best = max(group, key=lambda row: row.values["score"])
        if len(group) > 1:
            best.values["best"] = True
        for row in group:
            if row is not best:
                a, b = row.scores.to_numpy(), best.scores.to_numpy()
                rng = np.random.default_rng(rng_seed)
                difference = paired_difference(a, b, rng, level=LEVEL)
                row.values |= _spread("difference", difference)


def _add_published(
    rows: list[_Row],
    task: str,
    columns: Sequence[Column],
    published: pd.DataFrame | None,
    demos: str,
) -> list[str]:
    """Adds published values to the rows; returns where they come from."""
    if published is None:
        return []
    cells = published[published["task"] == task]
    if demos in set(cells["demos"]):
        cells = cells[cells["demos"] == demos]
    elif cells["demos"].nunique() > 1:
        raise BadInput(
            f"published values of {task!r} have no demonstrations {demos!r}; "
            f"they have {', '.join(sorted(cells['demos'].unique()))}"
        )
    used: list[str] = []
    for metric in ("score", *(column.key for column in columns)):
        for selection in ("last10", "max"):
            chosen = cells[(cells["metric"] == metric)]
            chosen = chosen[chosen["selection"] == selection]
            if chosen.empty:
                continue
            for row in rows:
                obs = "image" if row.values["obs_kind"] == "image" else "state"
                method = row.values["method"]
                cell = chosen[(chosen["obs"] == obs) & (chosen["method"] == method)]
                found = cell["value"].tolist()
                row.values[f"{metric}_published_{selection}"] = (
                    float(found[0]) if found else np.nan
                )
                used += cell["source"].tolist()[:1]
    return list(dict.fromkeys(used))


def _conditions(rows: list[_Row], frame: pd.DataFrame) -> list[str]:
    """Footer lines on what was measured."""
    digests = [f"{digest[:12]}" for digest in _distinct(rows, "demos_digest")]
    splits = _by_seed([row.splits for row in rows])
    orders = _by_seed([row.orders for row in rows])
    kinds = " and ".join(_distinct(rows, "starts"))
    lines = [
        f"Demonstrations: {', '.join(digests)}; split {splits}; order of training "
        f"rows {orders}.",
        f"Train seeds: {' or '.join(_distinct(rows, 'train_seeds'))}; {kinds} starts: "
        f"{' or '.join(_distinct(rows, 'env_seeds'))}.",
        f"Settings: {', '.join(_distinct(rows, 'preset'))}. "
        f"Commit: {_listed(frame['commit'].str.slice(0, 12), 'unknown')}. "
        f"Versions: {_listed(frame['versions'], 'unknown', '; or ')}.",
    ]
    for row in rows:
        if row.missing:
            lines.append(
                f"Unfinished: {_label(row, rows)} lacks the starts "
                f"{_numbers(row.missing)} under some train seed; they are left out."
            )
    for row in rows:
        if row.values["differs"]:
            lines.append(
                f"{DAGGER} {_label(row, rows)} is not comparable: "
                f"{row.values['differs']}."
            )
    return lines


def _by_seed(digests: list[dict[int, str]]) -> str:
    """Digests by train seed in words; one word where all have the same."""
    seeds: dict[str, set[int]] = {}
    for of_row in digests:
        for seed, digest in of_row.items():
            seeds.setdefault(digest[:12] or "unknown", set()).add(seed)
    if len(seeds) == 1:
        return next(iter(seeds))
    return ", ".join(
        f"{digest} (train seed {_numbers(sorted(found))})"
        for digest, found in sorted(seeds.items(), key=lambda item: min(item[1]))
    )


def _reading(
    columns: Sequence[Column], data: pd.DataFrame, sources: list[str]
) -> list[str]:
    """Footer lines on what the numbers mean."""
    crossed = (
        "train seeds and starts"
        if (data["num_seeds"] > 1).all()
        else "train seeds and starts (starts only, where there is one train seed)"
    )
    lines = [
        f"[low, high]: {LEVEL:.0%} interval, bootstrap over {crossed}; for shares of "
        f"solved episodes Wilson's, with as many trials as vary as much."
    ]
    for column in columns:
        if column.statistic == "entropy":
            lines.append(
                f"{column.title[:1].upper()}{column.title[1:]}: how evenly choices are "
                f"spread, in bits; 0 where it is always the same, log2 n for n choices "
                f"equally often. Its interval allows for choices that were missed."
            )
    if data["best"].any():
        lines.append(
            "Difference: score minus that of the best row, on the same starts; which "
            "row is best was found on these episodes too."
        )
    if sources:
        lines.append(
            f"Published: {'; '.join(sources)}; in their environment, on their "
            f"demonstrations. last10: mean over ten checkpoints; max: best checkpoint, "
            f"chosen on the episodes it is reported on."
        )
    return lines


def _label(row: _Row, rows: list[_Row]) -> str:
    """A row's method, with what sets it apart from the method's other rows."""
    values = row.values
    namesakes = [r.values for r in rows if r.values["method"] == values["method"]]
    apart = [
        f"{heading} {values[name]}"
        for name, heading in CIRCUMSTANCES.items()
        if len({other[name] for other in namesakes}) > 1
    ]
    return f"{values['title']} ({', '.join(apart)})" if apart else values["title"]


def _commonest(values: list[Any]) -> Any:
    return max(values, key=values.count)


def _commonest_by_seed(digests: list[dict[int, str]]) -> dict[int, str]:
    found: dict[int, list[str]] = {}
    for of_row in digests:
        for seed, digest in of_row.items():
            found.setdefault(seed, []).append(digest)
    return {seed: _commonest(values) for seed, values in found.items()}


def _distinct(rows: list[_Row], name: str) -> list[str]:
    return list(dict.fromkeys(str(row.values[name]) for row in rows))


def _listed(values: pd.Series, empty: str, between: str = ", ") -> str:
    return between.join(value or empty for value in sorted(values.unique()))


def _numbers(numbers: Iterable[int]) -> str:
    """`[0, 1, 2, 5]` becomes `0-2, 5`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)


# ---- From here on: how a table looks. ------------------------------------------------


class _Shown(NamedTuple):
    """One column as it is shown.

    Attributes:
        heading: Over the column; on two lines where there is room for that.
        cells: Value and interval of each row, the interval "" where there is none.
        rank: Of what must make room on a narrow terminal, the highest goes first, and
            with it all of its rank.
        text: Whether it holds words rather than numbers.
    """

    heading: str
    cells: list[tuple[str, str]]
    rank: int = 0
    text: bool = False


def to_markdown(table: Table) -> str:
    """A Markdown document: title, table, footer."""
    shown, constant = _shown(table)
    headings = [_md(column.heading.replace("\n", " ")) for column in shown]
    rows = list(zip(*(map(_md_cell, column.cells) for column in shown), strict=True))
    align = "".join("l" if column.text else "r" for column in shown)
    lines = markdown_table(headings, rows, align)
    head = [f"**{_md(table.title)}**", _md(constant)]
    foot = [f"- {_md(line)}" for line in table.footer]
    return "\n".join(["  \n".join(head), "", *lines, "", *foot, ""])


def _md(text: str) -> str:
    return re.sub(r"([|*_<\\])", r"\\\1", text)


def _md_cell(cell: tuple[str, str]) -> str:
    return _md(" ".join(part for part in cell if part))


def to_latex(table: Table) -> str:
    r"""A `tabular` with its title and footer; needs `\usepackage{booktabs}`."""
    shown, constant = _shown(table)
    spec = "".join("l" if column.text else "r" for column in shown)
    lines = [r"\begin{center}", r"\small", r"\setlength{\tabcolsep}{4pt}"]
    title = rf"\textbf{{{_tex(table.title)}}}"
    lines += [title + r" \\", _tex(constant), ""]
    lines += [r"\smallskip", rf"\begin{{tabular}}{{{spec}}}", r"\toprule"]
    headings = [
        _tex_stacked(*map(_tex, column.heading.split("\n")), place="[b]r")
        if "\n" in column.heading
        else _tex(column.heading)
        for column in shown
    ]
    lines += [" & ".join(headings) + r" \\", r"\midrule"]
    for row in zip(*(column.cells for column in shown), strict=True):
        cells = [
            _tex_stacked(_tex(value), rf"\scriptsize {_tex(interval)}", place="[t]r")
            if interval
            else _tex(value)
            for value, interval in row
        ]
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", "", r"\smallskip"]
    lines += [r"\begin{minipage}{\linewidth}", r"\footnotesize\raggedright"]
    lines += [_tex(line) + r"\par" for line in table.footer]
    return "\n".join([*lines, r"\end{minipage}", r"\end{center}", ""])


def to_csv(table: Table) -> str:
    """Raw numbers to ten digits, one column each, without a footer."""
    return table.data.to_csv(index=False, lineterminator="\n", float_format="%.10g")


def to_terminal(table: Table, width: int = TERMINAL_WIDTH) -> RichTable:
    """A `rich` table no wider than `width`, as far as dropping columns helps.

    Intervals stand under their values, and only where they matter most. Timing goes
    first, the score never.
    """
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown, constant = _shown(table)
    numbers = {column.title for column in table.columns}
    shown = [
        column._replace(cells=[(value, "") for value, _ in column.cells])
        if column.heading in numbers
        else column
        for column in shown
    ]
    dropped: list[str] = []
    while sum(map(_width, shown)) - GAP > width:
        last = max(column.rank for column in shown)
        if not last:
            break
        headings = [column.heading for column in shown if column.rank == last]
        dropped += [heading.replace("\n", " ") for heading in headings]
        shown = [column for column in shown if column.rank < last]
    notes = [f"Not shown: {', '.join(dropped)}."] if dropped else []
    result = RichTable(
        title=Text(f"{table.title}\n{constant}"),
        caption=Text("\n".join([*table.footer, *notes])),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        title_style="bold",
        caption_style="dim",
    )
    for column in shown:
        result.add_column(
            Text(column.heading),
            justify="left" if column.text else "right",
            vertical="top",
            min_width=_width(column) - GAP,
            max_width=_width(column) - GAP,
        )
    for row in zip(*(column.cells for column in shown), strict=True):
        result.add_row(
            *(Text.assemble(v, (f"\n{i}" if i else "", "dim")) for v, i in row)
        )
    return result


def _width(column: _Shown) -> int:
    """Characters that a column takes on a terminal, with the gap beside it."""
    heading = max(map(len, column.heading.split("\n")))
    widest = max(len(part) for cell in column.cells for part in cell)
    return max(heading, min(widest, TEXT_WIDTH) if column.text else widest) + GAP


def circumstances(table: Table) -> tuple[list[str], str]:
    """Which circumstances differ between rows, and a line with those that do not."""
    differ = [name for name in CIRCUMSTANCES if table.data[name].nunique() > 1]
    first = table.data.iloc[0]
    constant = [
        f"{heading} {_count(first[name]) if name == 'step' else first[name]}"
        for name, heading in CIRCUMSTANCES.items()
        if name not in differ and name != "settings"
    ]
    if table.data.groupby("method")["settings"].nunique().max() == 1:
        differ = [name for name in differ if name != "settings"]
    return differ, ", ".join(constant)


def _shown(table: Table) -> tuple[list[_Shown], str]:
    """The columns in their order, and the line that replaces the constant ones."""
    data = table.data
    differ, constant = circumstances(table)
    marks = [f" {DAGGER}" if text else "" for text in data["differs"]]
    titles = [
        (title + mark, "") for title, mark in zip(data["title"], marks, strict=True)
    ]
    shown = [_Shown("method", titles, text=True)]
    for name in differ:
        cells = [(_count(v) if name == "step" else str(v), "") for v in data[name]]
        shown.append(_Shown(CIRCUMSTANCES[name], cells, text=name != "step"))
    metrics = [("score", "score"), ("success", "success")]
    metrics += [(column.key, column.title) for column in table.columns]
    for place, (key, heading) in enumerate(metrics):
        cells = _with_intervals(data, key)
        cells = [(v + m, i) for (v, i), m in zip(cells, marks, strict=True)]
        shown.append(_Shown(heading, cells, rank=max(0, place - 1) and 2 + place))
        ours = "" if key == "score" else f"{heading} "
        shown += _published(data, key, ours)
    if data["best"].any():
        cells = _with_intervals(data, "difference", sign="+")
        best = [
            ("best", "") if is_best else cell
            for is_best, cell in zip(data["best"], cells, strict=True)
        ]
        shown.append(_Shown("difference", best, rank=1))
    grids = [
        f"{s} {TIMES} {e}"
        for s, e in zip(data["num_seeds"], data["num_starts"], strict=True)
    ]
    if len(set(grids)) > 1:
        cells = [(text, "") for text in grids]
        shown.append(_Shown(f"seeds\n{TIMES} starts", cells, rank=2))
    else:
        constant += f", {seeds_by_starts(data)}"
    sizes = [(_count(n), "") for n in data["parameters"]]
    times = [(duration(s), "") for s in data["train_seconds"]]
    latencies = [(f"{1000 * s:.3g} ms", "") for s in data["decision_latency"]]
    shown += [
        _Shown("parameters", sizes, rank=102),
        _Shown("training", times, rank=101),
        _Shown("decision", latencies, rank=100),
    ]
    return shown, constant


def seeds_by_starts(data: pd.DataFrame) -> str:
    """`3 train seeds x 50 starts`, or the range where rows differ."""
    parts = []
    for name, word in (("num_seeds", "train seed"), ("num_starts", "start")):
        low, high = data[name].min(), data[name].max()
        many = f"{low}" if low == high else f"{low}-{high}"
        parts.append(f"{many} {word}{'s' if high > 1 else ''}")
    return f" {TIMES} ".join(parts)


def _published(data: pd.DataFrame, key: str, ours: str) -> list[_Shown]:
    kinds = [k for k in ("last10", "max") if f"{key}_published_{k}" in data]
    if not kinds:
        return []
    numbers = [data[f"{key}_published_{kind}"] for kind in kinds]
    cells = [
        (NOTHING if np.isnan(row).all() else " / ".join(map(_decimals, row)), "")
        for row in np.array(numbers).T
    ]
    return [_Shown(f"{ours}published\n{' / '.join(kinds)}", cells, rank=90)]


def _with_intervals(
    data: pd.DataFrame, key: str, sign: str = ""
) -> list[tuple[str, str]]:
    cells = []
    ends = [data[key], data[f"{key}_low"], data[f"{key}_high"]]
    for value, low, high in zip(*ends, strict=True):
        known = not np.isnan(low)
        interval = f"[{_decimals(low)}, {_decimals(high)}]" if known else ""
        cells.append((_decimals(value, sign), interval))
    return cells


def _decimals(number: float, sign: str = "") -> str:
    """Two decimals; what rounds to 0 has no sign."""
    if np.isnan(number):
        return NOTHING
    return f"{round(number, 2) + 0.0:{sign}.2f}".replace("+0.00", "0.00")


def _count(number: float) -> str:
    """`65123456` becomes `65.1 M`."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # else an option of the \\ before it
    DAGGER: r"$^{\dagger}$",
    TIMES: r"$\times$",
    NOTHING: "--",
    MINUS: "$-$",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def _tex(text: str) -> str:
    """Escapes text; a hyphen in front of a number becomes a minus."""
    text = re.sub(r"(?<!\w)-(?=\d)", MINUS, text)
    return "".join(_TEX.get(character, character) for character in text)


def _tex_stacked(*lines: str, place: str) -> str:
    """Lines above each other in a cell, without a package; `place` is `[t]r`, say."""
    spec = f"{place[:-1]}{{@{{}}{place[-1]}@{{}}}}"
    return rf"\begin{{tabular}}{spec}" + r" \\ ".join(lines) + r"\end{tabular}"
