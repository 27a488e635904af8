"""The Markdown writer, against tables written by hand."""

import pytest

from dp_bench.reports.markdown import markdown_table


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
