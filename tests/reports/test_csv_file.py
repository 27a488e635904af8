"""The table as CSV."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pandas as pd

from dp_bench.reports.csv_file import to_csv, to_frame
from dp_bench.reports.markdown import to_markdown
from made_up_records import episodes, published, table, three_rows

GOLDEN = Path(__file__).parent / "golden" / "table.csv"


def test_the_csv_file_looks_as_it_did():
    text = to_csv(table(three_rows(), published=published()))
    assert text.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_raw_numbers_survive_the_csv():
    result = table(three_rows(), published=published())
    back = pd.read_csv(io.StringIO(to_csv(result)))
    lows = [row.estimates["success"].low for row in result.rows]
    np.testing.assert_allclose(back["success_low"], lows)
    assert list(back) == list(to_frame(result))


def test_shares_of_success_at_any_step_and_at_the_last_one():
    knows = [
        dataclasses.replace(r, success=once, success_once=once, success_at_end=end)
        for r, (once, end) in zip(
            episodes("alpha_1", ((0.9, 0.9, 0.9, 0.9),)),
            [(True, False), (True, True), (False, False), (True, False)],
            strict=True,
        )
    ]
    half = episodes("beta", ((0.5, 0.5, 0.5, 0.5),))
    half[0] = dataclasses.replace(half[0], success_once=False, success_at_end=False)
    result = table(knows + half)
    back = pd.read_csv(io.StringIO(to_csv(result))).set_index("method")
    assert back.loc["alpha_1", "success_once"] == 0.75
    assert back.loc["alpha_1", "success_at_end"] == 0.25
    assert back.loc["alpha_1", "success_at_end_low"] < 0.25
    assert np.isnan(back.loc["beta", "success_once"]), "three records do not know it"
    assert "success_once" not in to_csv(table(half))
    assert to_markdown(result) == to_markdown(table(without(knows) + half))


def without(records):
    """The same records, which do not say when the task was solved."""
    return [
        dataclasses.replace(r, success_once=None, success_at_end=None) for r in records
    ]
