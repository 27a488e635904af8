"""The verdict under a table: which methods differ, and how far repetitions scatter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dp_bench.reports.comparability import Family
from dp_bench.reports.table import FAMILY, LEVEL, Row, distinct, grouped
from dp_bench.reports.wording import (
    decimals,
    family_name,
    listed,
    short_label,
    size,
    with_interval,
)
from dp_bench.statistics.comparisons import POWER


def verdict(
    rows: Sequence[Row], families: Sequence[Family], noun: str = "method"
) -> list[str]:
    """Says in words which pairs are decided, and what a repetition would change.

    Args:
        rows: Of a table.
        families: Rows of each variant and kind of observation that were compared.
        noun: What the rows are.
    """
    lines = []
    for family in families:
        name = family_name(family.rows[0], rows)
        where = f" ({name})" if name else ""
        lines += [f"Verdict{where}: {_decisions(family, noun)}", *_limit(family, where)]
    if not families:
        lines = [f"Verdict: {no_comparison(rows, noun)}"]
    return [*lines, *_noise(rows)]


def _decisions(family: Family, noun: str) -> str:
    """Says which rows are better than which."""
    number, sure = len(family.pairs), _confidence(family)
    if not any(pair.decided for pair in family.pairs):
        return f"no two {noun}s can be told apart ({sure})."
    worse: dict[int, list[int]] = {}
    for pair in family.pairs:
        if pair.decided:
            ends = (pair.first, pair.second)
            better, other = ends if pair.difference.value > 0 else ends[::-1]
            worse.setdefault(better, []).append(other)
    names = [short_label(row, family.rows) for row in family.rows]
    sentences = [
        f"{names[better]} is better than {listed([names[k] for k in others])}"
        for better, others in sorted(worse.items())
    ]
    open_pairs = sum(not pair.decided for pair in family.pairs)
    are = "is" if open_pairs == 1 else "are"
    rest = f" {open_pairs} of {number} pairs {are} undecided." if open_pairs else ""
    return f"{'; '.join(sentences)} ({sure}).{rest}"


def about_the_best(family: Family) -> str:
    """Says how far the best row is ahead, and which rows it cannot be told apart from.

    A row that cannot be told apart has the smallest difference that would have shown.
    """
    best, *others = [short_label(row, family.rows) for row in family.rows]
    to_best = {pair.second: pair for pair in family.pairs if not pair.first}
    ahead, level, could = [], [], []
    for place, name in enumerate(others, start=1):
        pair = to_best[place]
        if pair.decided:
            ahead.append(f"than {name} by {with_interval(pair.difference)}")
            continue
        level.append(name)
        if np.isfinite(pair.detectable):
            could.append(f"{size(pair.detectable)} from {name}")
    sentences = []
    if ahead:
        sentences.append(f"{best} is better {listed(ahead)} ({_confidence(family)}).")
    if level:
        who = "It" if ahead else best
        sentences.append(f"{who} cannot be told apart from {listed(level, 'or')}.")
    if could:
        sentences.append(
            f"With a chance of {POWER:.0%}, this run would have shown a difference of "
            f"{listed(could, 'or')}."
        )
    return " ".join(sentences)


def _confidence(family: Family) -> str:
    number = len(family.pairs)
    pairs = "the one pair" if number == 1 else f"{number} pairs"
    return f"{LEVEL:.0%} confidence, corrected for {pairs}"


def _limit(family: Family, where: str) -> list[str]:
    """Says how small a difference the undecided pairs could have shown."""
    smallest = [pair.detectable for pair in family.pairs if not pair.decided]
    known = [value for value in smallest if np.isfinite(value)]
    if not known:
        return []
    ends = list(dict.fromkeys(map(size, (min(known), max(known)))))
    depends = ", depending on the pair" if len(ends) > 1 else ""
    return [
        f"Undecided{where} does not mean equal: the smallest difference that this run "
        f"would show with a chance of {POWER:.0%} is {' to '.join(ends)}{depends}."
    ]


def no_comparison(rows: Sequence[Row], noun: str = "method") -> str:
    """Says why no rows were compared."""
    if len(distinct(rows, "method")) == 1 and len(rows) == 1:
        return f"none; a comparison needs a second {noun}."
    if all(row.num_seeds == 1 for row in rows):
        return (
            f"none. Each {noun} was trained once, so a difference can come "
            "from the train seed; `--seeds 0 1 2` trains each three times."
        )
    several = len(distinct(rows, "obs_kind")) > 1
    return (
        "none. A comparison needs two comparable rows of one variant"
        f"{' and one kind of observation' if several else ''}, each "
        "with two trainings or more."
    )


def _noise(rows: Sequence[Row]) -> list[str]:
    """Says how far the score moves when something is repeated."""
    several = [row for row in rows if row.num_seeds > 1]
    floor = "Noise floor: 0 for evaluating the same weights again"
    if not several:
        return [f"{floor}; unknown for training again, with one training."]
    parts = []
    for members in grouped(several, FAMILY):
        spreads = [
            f"{short_label(row, members)} {decimals(_spread(row))}" for row in members
        ]
        name = family_name(members[0], several)
        parts.append((f"({name}) " if name else "") + ", ".join(spreads))
    return [
        f"{floor}; standard deviation of the score between trainings: "
        f"{'; '.join(parts)}."
    ]


def _spread(row: Row) -> float:
    """Computes the standard deviation of the mean scores of a row's trainings."""
    return float(row.scores.mean(axis=1).std(ddof=1))
