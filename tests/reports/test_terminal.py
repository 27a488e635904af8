"""The table on a terminal."""

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from dp_bench.reports.summary import summary
from dp_bench.reports.terminal import to_terminal
from dp_bench.task import Column
from made_up_records import REACH, episodes, published, table, three_rows

GOLDEN = Path(__file__).parent / "golden" / "table.txt"


def printed(result, width=100):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(to_terminal(result, width))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_the_table_on_a_terminal_looks_as_it_did():
    text = printed(table(three_rows(), published=published()))
    assert text.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("width", [100, 80])
def test_a_wide_table_fits_a_terminal(width):
    many = dataclasses.replace(
        REACH, columns=tuple(Column(f"p{k}", f"p{k}") for k in range(1, 8))
    )
    sub_scores = {f"p{k}": 0.5 for k in range(1, 8)}
    records = episodes("a" * 15) + episodes("a method with a long name")
    records += episodes("a" * 15, variant="windy")
    records = [dataclasses.replace(r, sub_scores=sub_scores) for r in records]
    text = printed(summary(records, many), width)
    assert max(map(len, text.splitlines())) <= width
    assert "0.75" in text
    assert "[0.01, 1.00]" in text
    assert "Not shown: parameters, training, decision" in " ".join(text.split())
    assert "[low, high]" in text


def test_rows_that_are_not_comparable_are_marked():
    odd = episodes("odd", ((0.1, 0.2),), demos_digest="d2")
    text = printed(table(episodes("alpha_1") + episodes("beta") + odd))
    [line] = [line for line in text.splitlines() if line.startswith("odd †")]
    assert "0.15 †" in line
