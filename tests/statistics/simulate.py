"""Measures how often intervals hold the truth, and how often equal methods "differ".

Tables of five methods are drawn from a two-way model in logits: an effect of each
training (normal, standard deviation sa), an effect of each start (normal, standard
deviation 1, shared by all methods), and chance. Shares of solved episodes are Bernoulli
draws; scores are the logistic function of the sum plus a normal remainder. The
intercept makes the true mean p.

`python tests/statistics/simulate.py` writes docs/simulated/*.md for the manual.
"Before" stands for the crossed bootstrap that tables used until version 0.1, through
its variance in closed form.
"""

from __future__ import annotations

import argparse
import functools
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from dp_bench.statistics.comparisons import all_pairs
from dp_bench.statistics.estimates import estimate_mean, pool_of
from dp_bench.statistics.intervals import wilson_interval

TABLES = 1000  # simulated in each cell
METHODS = 5
Z = 1.959964  # 97.5 % quantile of the normal distribution
SIZES = ((3, 50), (3, 100), (5, 50), (10, 50))  # train seeds x starts
MEANS = (0.1, 0.5, 0.9)
SPREADS = (0.3, 0.5, 1.0)  # sa, of trainings [logits]
FOLDER = Path(__file__).parents[2] / "docs" / "simulated"


class Cell(NamedTuple):
    """What is simulated.

    Attributes:
        kind: "share" for solved episodes, "score" for scores in (0, 1).
        seeds: S, number of train seeds.
        starts: E, number of starts.
        mean: p, the true mean of all methods.
        spread: sa, standard deviation between trainings [logits].
        wild: Whether the first method has sa = 1 instead.
    """

    kind: str
    seeds: int
    starts: int
    mean: float
    spread: float
    wild: bool = False


@functools.cache
def intercept(mean: float, variance: float) -> float:
    """Finds m with E[expit(m + noise)] = mean, for normal noise of a variance."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(81)
    weights = weights / weights.sum()

    def excess(m: float) -> float:
        return float(weights @ expit(m + np.sqrt(variance) * nodes)) - mean

    return float(brentq(excess, -20, 20))


def tables(cell: Cell, count: int, means: tuple[float, ...] = ()) -> Iterator[list]:
    """Draws tables of scores: a list of one matrix `(S, E)` for each method.

    Args:
        cell: What to draw.
        count: Number of tables.
        means: True mean of each method; () for five equal ones.
    """
    key = (cell.kind == "share", cell.wild, *(round(100 * x) for x in cell[1:5]))
    draw = np.random.default_rng(list(map(int, key)))
    means = means or (cell.mean,) * METHODS
    for _ in range(count):
        starts = draw.normal(size=cell.starts)
        yield [
            one_method(draw, cell, starts, mean, cell.wild and place == 0)
            for place, mean in enumerate(means)
        ]


def one_method(
    draw: np.random.Generator, cell: Cell, starts: np.ndarray, mean: float, wild: bool
) -> np.ndarray:
    """Draws the scores of one method, `(S, E)`."""
    spread = 1.0 if wild else cell.spread
    rest = 1.0 if cell.kind == "score" else 0.0
    logits = intercept(mean, spread**2 + 1 + rest) + starts
    logits = logits + spread * draw.normal(size=(cell.seeds, 1))
    if cell.kind == "score":
        return expit(logits + draw.normal(size=logits.shape))
    return (draw.random(logits.shape) < expit(logits)).astype(float)


def bootstrap_variance(scores: np.ndarray) -> float:
    """The variance of the mean in crossed bootstraps of scores `(S, E)`."""
    S, E = scores.shape
    mean = scores.mean()
    rows = scores.mean(axis=1, keepdims=True) - mean
    columns = scores.mean(axis=0, keepdims=True) - mean
    rest = scores - mean - rows - columns
    squares = [float((part**2).sum()) for part in (rows, columns, rest)]
    return squares[0] / S**2 + squares[1] / E**2 + squares[2] / (S * E) ** 2


def interval_before(scores: np.ndarray) -> tuple[float, float]:
    """The interval that tables had: Wilson's for shares, normal otherwise."""
    mean, variance = float(scores.mean()), bootstrap_variance(scores)
    if not np.isin(scores, (0, 1)).all():
        return mean - Z * np.sqrt(variance), mean + Z * np.sqrt(variance)
    if variance == 0:
        return wilson_interval(mean, max(scores.shape), 0.95)
    trials = min(mean * (1 - mean) / variance, scores.size)
    return wilson_interval(mean, trials, 0.95)


def differs_before(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the paired interval that tables had excluded 0."""
    difference = a.mean() - b.mean()
    columns = (a.mean(axis=0) - b.mean(axis=0)) - difference
    variance = (columns**2).sum() / len(columns) ** 2
    for scores in (a, b):
        rows = scores.mean(axis=1) - scores.mean()
        rest = scores - scores.mean(axis=0) - rows[:, None]
        variance += (rows**2).sum() / len(rows) ** 2 + (rest**2).sum() / scores.size**2
    return bool(abs(difference) > Z * np.sqrt(variance))


class Coverage(NamedTuple):
    """Share of intervals that hold the truth, and their mean width."""

    before: float
    after: float
    width_before: float
    width_after: float


def coverage(cell: Cell, count: int = TABLES) -> Coverage:
    """Measures the intervals of rows; with a wild method, of its row alone."""
    held = []
    for rows in tables(cell, count):
        pooled = pool_of(rows)
        for scores in rows[:1] if cell.wild else rows:
            old = interval_before(scores)
            new = estimate_mean(scores, pooled)[1:3]
            held.append(
                [
                    *(low <= cell.mean <= high for low, high in (old, new)),
                    *(high - low for low, high in (old, new)),
                ]
            )
    return Coverage(*map(float, np.mean(held, axis=0)))


class OneTraining(NamedTuple):
    """One training of each method: what its interval holds, and what "differs".

    Attributes:
        of_method: Share of intervals before that hold the mean of the method.
        of_training: Share of intervals after that hold the mean of this training.
        from_best: Share of tables before with a row that "differs" from the best. Now
            one training is never compared.
    """

    of_method: float
    of_training: float
    from_best: float


def one_training(cell: Cell, count: int = TABLES) -> OneTraining:
    """Measures tables of shares in which each method was trained once."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(81)
    draw, seen = np.random.default_rng(round(1000 * sum(cell[3:5]))), []
    middle = intercept(cell.mean, cell.spread**2 + 1)
    for _ in range(count):
        starts = draw.normal(size=cell.starts)
        logits = middle + cell.spread * draw.normal(size=METHODS)
        truths = expit(logits[:, None] + nodes) @ weights / weights.sum()
        rows = [
            (draw.random((1, cell.starts)) < expit(logit + starts)).astype(float)
            for logit in logits
        ]
        best = max(rows, key=np.mean)
        differs = any(differs_before(row, best) for row in rows if row is not best)
        for row, truth in zip(rows, truths, strict=True):
            low, high = interval_before(row)
            own_low, own_high = estimate_mean(row)[1:3]
            held = (low <= cell.mean <= high, own_low <= truth <= own_high)
            seen.append([*held, differs])
    return OneTraining(*map(float, np.mean(seen, axis=0)))


class FalseDifferences(NamedTuple):
    """Share of tables of equal methods in which something "differs"."""

    one_pair_before: float
    from_best_before: float
    any_pair_after: float


def false_differences(cell: Cell, count: int = TABLES) -> FalseDifferences:
    """Measures tables of five equal methods."""
    seen = []
    for rows in tables(cell, count):
        best = max(rows, key=np.mean)
        others = [row for row in rows if row is not best]
        seen.append(
            [
                differs_before(rows[0], rows[1]),
                any(differs_before(row, best) for row in others),
                any(pair.decided for pair in all_pairs(rows)),
            ]
        )
    return FalseDifferences(*map(float, np.mean(seen, axis=0)))


def power(cell: Cell, count: int = TABLES) -> tuple[float, float, float]:
    """Measures how often a true difference of 0.1 is found.

    Returns:
        In a table of two methods before and after; among five methods after.
    """
    seen = []
    for rows in tables(cell, count, (cell.mean + 0.1, *(cell.mean,) * 4)):
        [pair] = all_pairs(rows[:2])
        first = all_pairs(rows)[0]
        seen.append([differs_before(*rows[:2]), pair.decided, first.decided])
    before, after, among = map(float, np.mean(seen, axis=0))
    return before, after, among


def grid(kind: str) -> list[Cell]:
    """Lists the cells of one kind of scores."""
    return [
        Cell(kind, S, E, mean, spread)
        for (S, E), mean, spread in itertools.product(SIZES, MEANS, SPREADS)
    ]


def wild_cells() -> list[Cell]:
    """Lists the cells with one wild method among calm ones (sa = 0.3)."""
    return [Cell("share", S, E, 0.5, 0.3, wild=True) for S, E in SIZES]


def each(measure: Callable, cells: list[Cell], count: int) -> list:
    """Measures cells in as many processes as there are cores."""
    with ProcessPoolExecutor() as processes:
        return list(processes.map(measure, cells, [count] * len(cells)))


def write(name: str, headings: list[str], lines: list[list[str]]) -> None:
    """Writes a Markdown table for the manual."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    FOLDER.mkdir(exist_ok=True)
    text = "\n".join(f"| {' | '.join(line)} |" for line in (headings, rule, *lines))
    (FOLDER / name).write_text(text + "\n", encoding="utf-8")
    print(f"{name}\n{text}\n", flush=True)


def by_size(cells: list[Cell], texts: list[str]) -> list[list[str]]:
    """Lays texts out: a line for each size and mean, a column for each spread."""
    lines: dict[str, list[str]] = {}
    for cell, text in zip(cells, texts, strict=True):
        name = f"{cell.seeds} x {cell.starts}, p = {cell.mean}"
        lines.setdefault(name, []).append(text)
    return [[name, *line] for name, line in lines.items()]


def main() -> None:
    """Simulates everything and writes the tables of the manual."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=TABLES, help="in each cell")
    count = parser.parse_args().tables
    spreads = [f"sa = {spread}" for spread in SPREADS]
    for kind in ("share", "score"):
        cells = grid(kind)
        texts = [
            f"{c.before:.2f} / {c.after:.2f}" for c in each(coverage, cells, count)
        ]
        write(f"coverage_{kind}.md", ["", *spreads], by_size(cells, texts))
        texts = [
            f"{f.one_pair_before:.1%} / {f.from_best_before:.1%} / "
            f"{f.any_pair_after:.1%}"
            for f in each(false_differences, cells, count)
        ]
        write(f"equal_methods_{kind}.md", ["", *spreads], by_size(cells, texts))
    cells = [
        Cell("share", 1, 50, mean, spread)
        for mean, spread in itertools.product(MEANS, SPREADS)
    ]
    texts = [
        f"{m.of_method:.2f} / {m.of_training:.2f} / {m.from_best:.0%}"
        for m in each(one_training, cells, count)
    ]
    write("one_training.md", ["", *spreads], by_size(cells, texts))
    wild = zip(wild_cells(), each(coverage, wild_cells(), 5 * count), strict=True)
    lines = [
        [f"{c.seeds} x {c.starts}", f"{m.before:.3f}", f"{m.after:.3f}",
         f"{m.width_before:.3f}", f"{m.width_after:.3f}"]
        for c, m in wild
    ]  # fmt: skip
    headings = ["", "before", "after", "width before", "width after"]
    write("one_wild_method.md", headings, lines)
    cells = [
        Cell("share", S, 50, 0.5, spread)
        for S, spread in itertools.product((3, 5, 10), (0.0, 0.3, 0.5))
    ]
    lines = [
        [f"{c.seeds} x {c.starts}, sa = {c.spread}", *(f"{value:.2f}" for value in m)]
        for c, m in zip(cells, each(power, cells, count), strict=True)
    ]
    write("power.md", ["", "two methods, before", "after", "among five, after"], lines)


if __name__ == "__main__":
    main()
