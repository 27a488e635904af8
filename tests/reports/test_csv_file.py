"""The table as CSV."""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from dp_bench.reports.csv_file import to_csv, to_frame
from made_up_records import published, table, three_rows

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
