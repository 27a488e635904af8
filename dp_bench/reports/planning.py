"""Plans: how many trainings and starts tell two methods of a table apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dp_bench.errors import BadInput
from dp_bench.reports.comparability import Family, compared
from dp_bench.reports.markdown import markdown_table
from dp_bench.reports.table import (
    CIRCUMSTANCES,
    LEVEL,
    Row,
    Table,
    differing,
    distinct,
)
from dp_bench.reports.wording import (
    decimals,
    interval,
    label,
    listed,
    seeds_by_starts,
    short_label,
    size,
)
from dp_bench.statistics.comparisons import POWER, Pair, all_pairs
from dp_bench.statistics.planning import MOST_SEEDS, Study, study
from dp_bench.task import MOST_TEST_STARTS

MOST_STARTS = len(MOST_TEST_STARTS)
SEEDS = (3, 5, 10, 20)  # train seeds that every plan shows
STARTS = (50, 100, 200, MOST_STARTS)  # starts that every plan shows


@dataclass(frozen=True, eq=False)
class Plan:
    """What the records of two methods say about a further comparison.

    Attributes:
        a: The row of one method.
        b: The row of the other.
        study: Their parts of variance.
        where: Their task and variant, and their observation where the table has
            several.
    """

    a: Row
    b: Row
    study: Study
    where: str

    @property
    def names(self) -> tuple[str, str]:
        """Names the methods for a person."""
        rows = (self.a, self.b)
        return short_label(self.a, rows), short_label(self.b, rows)

    @property
    def size(self) -> tuple[int, int]:
        """The train seeds and starts of the records."""
        return self.a.num_seeds, self.a.num_starts

    @property
    def num_starts(self) -> list[int]:
        """Numbers of starts that are shown, those of the records among them."""
        return sorted({*STARTS, self.a.num_starts})


def plan(
    table: Table,
    methods: Sequence[str],
    *,
    variant: str | None = None,
    obs_kind: str | None = None,
    control: str | None = None,
) -> Plan:
    """Makes the plan of two methods of a table.

    Args:
        table: Of one task.
        methods: Names of two methods.
        variant: Variant of the task; None for that of the first row.
        obs_kind: Observation of both; None for that of the variant's first row.
        control: Control mode of both; None where each has one row only.

    Raises:
        BadInput: When a method is unknown, has several rows, has one training, or takes
            no part in comparisons.
    """
    if len(methods) != 2 or methods[0] == methods[1]:
        raise BadInput(
            f"--methods takes two methods, got {', '.join(methods) or 'none'}"
        )
    rows = _of_one(table.rows, "variant", variant)
    rows = _of_one(rows, "obs_kind", obs_kind)
    if control is not None:
        rows = [row for row in rows if row.control == control]
    a, b = (_only_row(rows, method) for method in methods)
    if a.env_seeds != b.env_seeds:
        raise BadInput(
            f"{label(a, rows)} and {label(b, rows)} did not meet the same starts; "
            "evaluate both on the same ones"
        )
    where = f"{a.task}, variant {a.variant}"
    if len(distinct(table.rows, "obs_kind")) > 1:
        where += f", {a.obs_kind} observations"
    return Plan(a, b, study(a.scores, b.scores), where)


def _of_one(rows: Sequence[Row], name: str, wanted: str | None) -> list[Row]:
    """Selects the rows with one value of a circumstance; None for the first row's."""
    values = distinct(rows, name)
    chosen = values[0] if wanted is None else wanted
    if chosen not in values:
        raise BadInput(
            f"these results have no {CIRCUMSTANCES[name]} {chosen!r}; they have "
            f"{', '.join(values)}"
        )
    return [row for row in rows if getattr(row, name) == chosen]


def _only_row(rows: Sequence[Row], method: str) -> Row:
    """Finds the row of a method, and refuses one that says nothing about it."""
    mine = [row for row in rows if row.method == method]
    if not mine:
        known = ", ".join(distinct(rows, "method")) or "none"
        raise BadInput(f"these results have no method {method!r}; they have {known}")
    if len(mine) > 1:
        raise BadInput(
            f"{method!r} has {len(mine)} rows in these results: "
            f"{listed([label(row, rows) for row in mine])}; choose one with --control, "
            "or give the others a folder of their own"
        )
    (row,) = mine
    if row.num_seeds == 1:
        raise BadInput(
            f"{method!r} was trained once, and one training does not show how much "
            "trainings differ; train it with at least two seeds"
        )
    if row.differs:
        raise BadInput(
            f"the row of {method!r} is marked as not comparable: "
            f"{'; '.join(row.differs)}"
        )
    return row


def describe(plan: Plan) -> str:
    """Writes the plan: what it rests on, its table, and what it takes."""
    (a, b), (S, E) = plan.names, plan.size
    (pair,) = all_pairs([plan.a.scores, plan.b.scores], level=LEVEL)
    head = (
        f"{plan.where}: {a} {decimals(plan.a.score.value)}, "
        f"{b} {decimals(plan.b.score.value)}; difference "
        f"{decimals(plan.study.difference, '+')} {interval(pair.difference)} from "
        f"{seeds_by_starts([plan.size])}"
    )
    lines = [
        head,
        f"Chance of telling them apart, if {decimals(abs(plan.study.difference))} is "
        "the true difference:",
        "",
        *_power_table(plan),
        "",
        _needs(plan),
        f"Smallest difference shown with a chance of {POWER:.0%}: "
        f"{size(pair.detectable)} now, "
        f"{size(plan.study.detectable(S + 1, E))} with one more "
        "train seed of each.",
        "The true difference may lie anywhere in the interval. If chance made the "
        "observed one large, the plan is too hopeful.",
    ]
    return "\n".join(lines)


def _power_table(plan: Plan) -> list[str]:
    S, E = plan.size
    needed = plan.study.seeds_needed(E)
    seeds = sorted({*SEEDS, S, S + 1, *([needed] if needed else [])})
    rows = [
        [str(s), *(f"{plan.study.power(s, e):.0%}" for e in plan.num_starts)]
        for s in seeds
    ]
    headings = ["train seeds", *(f"{e:,} starts" for e in plan.num_starts)]
    return markdown_table(headings, rows, "r" * len(headings))


def _needs(plan: Plan) -> str:
    """Says which numbers of train seeds or starts give a chance of 80 %."""
    S, E = plan.size
    if plan.study.power(S, E) >= POWER:
        return f"{S} train seeds on {E} starts give a chance of {POWER:.0%} or more."
    seeds, starts = plan.study.seeds_needed(E), plan.study.starts_needed(S, MOST_STARTS)
    by_seeds = (
        f"more than {MOST_SEEDS} train seeds of each on {E} starts"
        if seeds is None
        else f"{seeds} train seeds of each on {E} starts"
    )
    by_starts = (
        f"with {S} train seeds, {MOST_STARTS:,} starts are not enough"
        if starts is None
        else f"or {S} train seeds on {starts} starts"
    )
    joint = "; " if starts is None else ", "
    return f"A chance of {POWER:.0%} takes {by_seeds}{joint}{by_starts}."


def one_more_seed(table: Table) -> str:
    """Says what one more train seed would show about the closest undecided pair.

    The pair with the smallest p-value among the undecided ones is the closest to a
    decision. Returns "" where nothing is undecided, or where no score varies.
    """
    _, families = compared(table.rows)
    for family in families:
        pairs = [
            pair
            for pair in family.pairs
            if not pair.decided and math.isfinite(pair.detectable)
        ]
        if pairs:
            closest = min(pairs, key=lambda pair: pair.p)
            return _one_more_seed(family, closest, table)
    return ""


def _one_more_seed(family: Family, pair: Pair, table: Table) -> str:
    i, j = pair.first, pair.second
    others = [row.scores for k, row in enumerate(family.rows) if k not in (i, j)]
    a, b = family.rows[i], family.rows[j]
    alpha = (1 - LEVEL) / len(family.pairs)  # what Holm asks of the first pair
    both = study(a.scores, b.scores, others, alpha=alpha)
    S, E = a.num_seeds, a.num_starts
    names = " and ".join(short_label(row, family.rows) for row in (a, b))
    where = a.variant
    if differing(table.rows, ["obs_kind"]):
        where += f", {a.obs_kind}"
    return (
        f"One more train seed: of the undecided pairs ({where}), {names} are "
        f"closest to a decision. If their difference is the observed "
        f"{decimals(abs(both.difference))}, the chance of deciding is "
        f"{both.power(S, E):.0%} with {S} train seeds and "
        f"{both.power(S + 1, E):.0%} with {S + 1}; the smallest difference shown "
        f"with a chance of {POWER:.0%} falls from {size(pair.detectable)} to "
        f"{size(both.detectable(S + 1, E))}."
    )
