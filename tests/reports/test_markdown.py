"""Markdown: the writer of tables, and the document of a table of results."""

from pathlib import Path

import pytest

from dp_bench.reports.markdown import markdown_table, to_markdown
from made_up_records import episodes, published, table, three_rows

GOLDEN = Path(__file__).parent / "golden" / "table.md"


def test_columns_of_a_padded_table_have_one_width():
    assert markdown_table(["name", "n"], [["a", "10"], ["", "2"]], "lr") == [
        "| name |  n |",
        "| ---- | -: |",
        "| a    | 10 |",
        "|      |  2 |",
    ]


def test_a_compact_table_has_no_padding():
    rows = [["long name", "1"]]
    assert markdown_table(["", "n"], rows, "lr", padded=False) == [
        "| | n |",
        "|---|---:|",
        "| long name | 1 |",
    ]


def test_a_table_may_have_no_rows():
    assert markdown_table(["a"], [], "l") == ["| a |", "| - |"]


def test_a_row_must_have_as_many_cells_as_there_are_headings():
    with pytest.raises(ValueError, match="zip"):
        markdown_table(["a", "b"], [["1"]], "ll")


def test_the_document_looks_as_it_did():
    text = to_markdown(table(three_rows(), published=published()))
    assert text.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_circumstances_that_all_rows_share_stand_above_the_table():
    text = to_markdown(table(three_rows()))
    assert "variant plain, observation state, control position" in text
    assert "| variant" not in text
    records = three_rows() + episodes("beta", ((0.0, 0.5),) * 2, variant="windy")
    text = to_markdown(table(records))
    assert "| variant" in text
    assert "variant plain" not in text
