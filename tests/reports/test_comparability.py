"""Rows that must not be compared carry a mark, and are never subtracted."""

import re

import pytest

from dp_bench.reports.markdown import to_markdown
from made_up_records import by_method, episodes, table


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (
            episodes("odd", ((0.1, 0.2),), demos_digest="d2"),
            "demonstrations d2, not d1",
        ),
        (
            episodes("odd", ((0.1, 0.2, 0.3),)),
            "starts 100000-100002, not 100000-100001",
        ),
        (episodes("odd", ((0.1, 0.2), (0.1, 0.2))), "train seeds 0-1, not 0"),
        (
            episodes("odd", ((0.1, 0.2),), split_digest="p2"),
            "another split into training and validation (train seeds 0)",
        ),
        (
            episodes("odd", ((0.1, 0.2),), order_digest="o2"),
            "another order of the training rows (train seeds 0)",
        ),
    ],
)
def test_rows_that_are_not_comparable_are_marked(odd, words):
    result = table(episodes("alpha_1") + episodes("beta", ((0.0, 0.5),)) + odd)
    rows = by_method(result)
    assert words in rows["odd"].differs
    assert not rows["alpha_1"].differs
    assert not rows["beta"].differs
    [note] = [line for line in result.footer if line.startswith("†")]
    assert "odd" in note
    assert words in note
    [line] = [ln for ln in to_markdown(result).splitlines() if "odd †" in ln][:1]
    assert re.search(r"0\.\d\d †", line)


@pytest.mark.parametrize(
    "odd",
    [
        episodes("odd", ((0.9, 1.0),) * 2, demos_digest="d2"),
        episodes("odd", ((0.9, 1.0, 1.0),) * 2),
        episodes("odd", ((0.9, 1.0),) * 3),
        episodes("odd", ((0.9, 1.0),)),
    ],
)
def test_a_marked_row_is_never_compared(odd):
    usual = episodes("alpha_1", ((0.5, 1.0),) * 2) + episodes("beta", ((0.0, 0.5),) * 2)
    rows = by_method(table(usual + odd))
    assert rows["odd"].differs
    assert rows["odd"].difference is None
    assert not rows["odd"].letters
    assert rows["alpha_1"].best
    assert not rows["odd"].best


def test_a_row_without_a_rival_is_not_called_best():
    [row] = table(episodes("alpha_1")).rows
    assert not row.best
    assert row.difference is None
