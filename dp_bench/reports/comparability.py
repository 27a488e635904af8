"""Which rows of a table can be compared, and how far each lies from the best."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from dp_bench.reports.table import CIRCUMSTANCES, FAMILY, LEVEL, Row, grouped
from dp_bench.reports.trained import conditions_of, other_trainings
from dp_bench.reports.wording import ranges
from dp_bench.statistics.comparisons import Pair, all_pairs, letters

H = TypeVar("H", bound=Hashable)


class Majority(NamedTuple):
    """What most finished rows have in common; the best row decides a draw.

    Attributes:
        demos_digest: Content digest of the demonstrations.
        frames_digest: Digest of images made apart from the demonstrations.
        env_seeds: Seeds of the starts.
        train_seeds: Seeds of the trainings.
        splits: Digest of the split into training and validation, by train seed.
        orders: Digest of the order of the training rows, by train seed.
        trained: Device, precision and version of torch, by train seed, where known.
    """

    demos_digest: str
    frames_digest: str
    env_seeds: tuple[int, ...]
    train_seeds: tuple[int, ...]
    splits: Mapping[int, str]
    orders: Mapping[int, str]
    trained: Mapping[int, str]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Majority:
        """Finds what most rows share; rows come best first."""
        finished = [row for row in rows if not row.missing] or rows
        return cls(
            _commonest([row.demos_digest for row in finished]),
            _commonest([row.frames_digest for row in finished]),
            _commonest([row.env_seeds for row in finished]),
            _commonest([row.train_seeds for row in finished]),
            _commonest_by_seed([row.splits for row in rows]),
            _commonest_by_seed([row.orders for row in rows]),
            _commonest_by_seed([conditions_of(row) for row in rows]),
        )

    def differences(self, row: Row) -> tuple[str, ...]:
        """Lists what makes a row not comparable with the majority, in words."""
        notes = ["unfinished"] if row.missing else []
        same_demos = row.demos_digest == self.demos_digest
        if not same_demos:
            notes.append(
                f"demonstrations {row.demos_digest[:12]}, not {self.demos_digest[:12]}"
            )
        if row.frames_digest != self.frames_digest:
            notes.append(
                f"images {row.frames_digest[:12] or 'of the demonstrations'}, not "
                f"{self.frames_digest[:12] or 'those of the demonstrations'}"
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
        return (*notes, *other_trainings(row, self.trained))


class Family(NamedTuple):
    """Rows of one variant and kind of observation, compared with each other.

    Attributes:
        rows: Two rows or more, best first.
        pairs: All pairs of them, by place.
    """

    rows: list[Row]
    pairs: list[Pair]


def marked(rows: Sequence[Row]) -> list[Row]:
    """Adds to each row what makes it not comparable with the others.

    Each kind of observation has a majority of its own.

    Args:
        rows: Of one task, best first within a variant and kind of observation.
    """
    kinds = grouped(rows, ["obs_kind"])
    majorities = {members[0].obs_kind: Majority.of(members) for members in kinds}
    return [
        replace(row, differs=majorities[row.obs_kind].differences(row)) for row in rows
    ]


def compared(rows: Sequence[Row]) -> tuple[list[Row], list[Family]]:
    """Compares all pairs of rows of each variant and kind of observation.

    A row takes part if nothing sets it apart from the others and it has two trainings
    or more. Each family is a table of its own: its pairs are corrected together.

    Args:
        rows: As of `marked`. Of several checkpoints of one training, only the last
            takes part.

    Returns:
        The rows, with their letters and their differences from the best row of their
        family, and what was compared.
    """
    able = [row for row in _last(rows) if row.comparable]
    families = [
        _family(members) for members in grouped(able, FAMILY) if len(members) > 1
    ]
    results = {id(row): new for family in families for row, new in _results(family)}
    return [results.get(id(row), row) for row in rows], families


def _last(rows: Sequence[Row]) -> list[Row]:
    """Selects the last checkpoint of each training."""
    data = ("demos_digest", "frames_digest")
    same = ["method", *data, *(n for n in CIRCUMSTANCES if n != "step")]
    return [max(group, key=lambda row: row.step) for group in grouped(rows, same)]


def _family(rows: Sequence[Row]) -> Family:
    ranked = sorted(rows, key=lambda row: -row.score.value)
    pairs = all_pairs([row.scores for row in ranked], level=LEVEL)
    return Family(ranked, pairs)


def _results(family: Family) -> list[tuple[Row, Row]]:
    """Gives each row of a family its letters and its difference from the best."""
    apart = [(pair.first, pair.second) for pair in family.pairs if pair.decided]
    named = letters(len(family.rows), apart)
    to_best = {pair.second: pair.difference for pair in family.pairs if not pair.first}
    best, *others = family.rows
    results = [(best, replace(best, best=True, letters=named[0]))]
    for place, row in enumerate(others, start=1):
        difference = to_best[place].negated()
        results.append((row, replace(row, difference=difference, letters=named[place])))
    return results


def _commonest(values: Sequence[H]) -> H:
    return max(values, key=values.count)


def _commonest_by_seed(digests: Iterable[Mapping[int, str]]) -> dict[int, str]:
    by_seed: dict[int, list[str]] = {}
    for digest_of in digests:
        for seed, digest in digest_of.items():
            by_seed.setdefault(seed, []).append(digest)
    return {seed: _commonest(members) for seed, members in by_seed.items()}
