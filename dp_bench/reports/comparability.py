"""Which rows of a table can be compared, and how far each lies from the best."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np

from dp_bench.reports.table import LEVEL, Row
from dp_bench.reports.wording import ranges
from dp_bench.statistics.comparisons import paired_difference

H = TypeVar("H", bound=Hashable)


class Majority(NamedTuple):
    """What most finished rows have in common; the best row decides a draw.

    Attributes:
        demos_digest: Content digest of the demonstrations.
        env_seeds: Seeds of the starts.
        train_seeds: Seeds of the trainings.
        splits: Digest of the split into training and validation, by train seed.
        orders: Digest of the order of the training rows, by train seed.
    """

    demos_digest: str
    env_seeds: tuple[int, ...]
    train_seeds: tuple[int, ...]
    splits: Mapping[int, str]
    orders: Mapping[int, str]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Majority:
        """Finds what most rows share; rows come best first."""
        finished = [row for row in rows if not row.missing] or rows
        return cls(
            _commonest([row.demos_digest for row in finished]),
            _commonest([row.env_seeds for row in finished]),
            _commonest([row.train_seeds for row in finished]),
            _commonest_by_seed([row.splits for row in rows]),
            _commonest_by_seed([row.orders for row in rows]),
        )

    def differences(self, row: Row) -> tuple[str, ...]:
        """Lists what makes a row not comparable with the majority, in words."""
        notes = ["unfinished"] if row.missing else []
        same_demos = row.demos_digest == self.demos_digest
        if not same_demos:
            notes.append(
                f"demonstrations {row.demos_digest[:12]}, not {self.demos_digest[:12]}"
            )
        for word, seeds, usual in (
            ("starts", row.env_seeds, self.env_seeds),
            ("train seeds", row.train_seeds, self.train_seeds),
        ):
            if seeds != usual:
                notes.append(f"{word} {ranges(seeds)}, not {ranges(usual)}")
        other_splits = [s for s in row.splits if row.splits[s] != self.splits[s]]
        other_orders = [s for s in row.orders if row.orders[s] != self.orders[s]]
        if same_demos and other_splits:
            notes.append(
                f"another split into training and validation "
                f"(train seeds {ranges(other_splits)})"
            )
        elif same_demos and other_orders:
            notes.append(
                f"another order of the training rows (train seeds "
                f"{ranges(other_orders)})"
            )
        return tuple(notes)

    def allows_pairs(self, row: Row) -> bool:
        """Whether a difference between this row and the others is due to the methods.

        Only rows with the same demonstrations and starts can be paired.
        """
        same_demos = row.demos_digest == self.demos_digest
        return same_demos and row.env_seeds == self.env_seeds


def compared(rows: Sequence[Row], rng_seed: int) -> list[Row]:
    """Adds to each row how it differs, and its distance to the best row of its variant.

    Args:
        rows: Of one task, best first within a variant.
        rng_seed: Seed of the bootstrap.
    """
    majority = Majority.of(rows)
    rows = [replace(row, differs=majority.differences(row)) for row in rows]
    pairable = [row for row in rows if majority.allows_pairs(row)]
    best = {
        variant: max(members, key=lambda row: row.score.value)
        for variant, members in _grouped(pairable, lambda row: row.variant).items()
        if len(members) > 1
    }
    return [
        _against(row, best[row.variant], rng_seed)
        if row in pairable and row.variant in best
        else row
        for row in rows
    ]


def _against(row: Row, best: Row, rng_seed: int) -> Row:
    if row is best:
        return replace(row, best=True)
    rng = np.random.default_rng(rng_seed)
    difference = paired_difference(row.scores, best.scores, rng, level=LEVEL)
    return replace(row, difference=difference)


def _grouped(rows: Iterable[Row], key: Callable[[Row], H]) -> dict[H, list[Row]]:
    groups: dict[H, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _commonest(values: Sequence[H]) -> H:
    return max(values, key=values.count)


def _commonest_by_seed(digests: Iterable[Mapping[int, str]]) -> dict[int, str]:
    by_seed: dict[int, list[str]] = {}
    for digest_of in digests:
        for seed, digest in digest_of.items():
            by_seed.setdefault(seed, []).append(digest)
    return {seed: _commonest(members) for seed, members in by_seed.items()}
