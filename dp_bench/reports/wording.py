"""How numbers and ranges are written in tables, figures and notes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from dp_bench.reports.table import (
    CIRCUMSTANCES,
    FAMILY,
    Row,
    differing,
    telling_apart,
)
from dp_bench.statistics.estimates import Estimate

DAGGER = "†"  # marks a row that is not comparable with the others
DOUBLE_DAGGER = "‡"  # marks a row whose trainings differ in device or versions
NOTHING = "–"  # noqa: RUF001
TIMES = "×"  # noqa: RUF001


def decimals(number: float, sign: str = "") -> str:
    """Writes two decimals, and no sign for a number that rounds to 0.

    Args:
        number: NaN becomes a dash.
        sign: "+" to give positive numbers a sign, too.
    """
    if np.isnan(number):
        return NOTHING
    return f"{round(number, 2) + 0.0:{sign}.2f}".replace("+0.00", "0.00")


def interval(estimate: Estimate) -> str:
    """Writes `[0.34, 0.74]`, or nothing where the estimate has no interval."""
    if np.isnan(estimate.low):
        return ""
    return f"[{decimals(estimate.low)}, {decimals(estimate.high)}]"


def with_interval(estimate: Estimate | None, marks: str = "") -> str:
    """Writes `0.55 [0.34, 0.74]`, marks behind the value, or a dash for no estimate."""
    if estimate is None:
        return NOTHING
    return f"{decimals(estimate.value)}{marks} {interval(estimate)}".rstrip()


def count(number: float) -> str:
    """Writes `65123456` as `65.1 M`."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


def milliseconds(seconds: float) -> str:
    """Writes 0.0123 s as `12.3`, and 1.35 s as `1,350`."""
    number = 1000 * seconds
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def ranges(numbers: Iterable[int]) -> str:
    """Writes `[0, 1, 2, 5]` as `0-2, 5`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)


def seeds_by_starts(sizes: Sequence[tuple[int, int]]) -> str:
    """Writes `3 train seeds x 50 starts`, or ranges where the sizes differ.

    Args:
        sizes: Number of train seeds and of starts, of each row or point.
    """
    parts = []
    for numbers, word in zip(
        zip(*sizes, strict=True), ("train seed", "start"), strict=True
    ):
        low, high = min(numbers), max(numbers)
        many = f"{low}" if low == high else f"{low}-{high}"
        parts.append(f"{many} {word}{'s' if high > 1 else ''}")
    return f" {TIMES} ".join(parts)


def sizes_of(rows: Iterable[Row]) -> list[tuple[int, int]]:
    """Lists the number of train seeds and of starts of each row."""
    return [(row.num_seeds, row.num_starts) for row in rows]


def size(difference: float) -> str:
    """Writes a difference of scores; none is larger than 1."""
    return decimals(difference) if not difference > 1 else "more than 1"


def listed(parts: Sequence[str], word: str = "and") -> str:
    """Writes `a, b and c`, or with another word."""
    *others, last = parts
    return f"{', '.join(others)} {word} {last}" if others else last


def label(row: Row, rows: Sequence[Row]) -> str:
    """Writes a row's title, with what sets it apart from the method's other rows."""
    apart = [
        f"{CIRCUMSTANCES[name]} {getattr(row, name)}"
        for name in telling_apart(row, rows)
    ]
    return f"{row.title} ({', '.join(apart)})" if apart else row.title


def family_name(row: Row, rows: Sequence[Row]) -> str:
    """Writes what sets a row's family apart: `windy, image observations`.

    Args:
        row: A row of the family.
        rows: Of all families. Where they are of one family the name is empty.
    """
    words = {"variant": row.variant, "obs_kind": f"{row.obs_kind} observations"}
    return ", ".join(words[name] for name in differing(rows, FAMILY))


def short_label(row: Row, rows: Sequence[Row]) -> str:
    """Writes the same with the method's abbreviation, if its title has one."""
    abbreviation = re.search(r"\(([^()]+)\)$", row.title)
    short = replace(row, title=abbreviation[1]) if abbreviation else row
    return label(short, rows)
