"""The table of the sides that rollouts took."""

import numpy as np

from dp_bench.evaluation.choices import Choice
from dp_bench.reports.multimodality import to_csv, to_markdown
from dp_bench.statistics.estimates import Estimate

NOWHERE = Choice(
    title="BET",
    paths=[np.zeros((2, 2))],
    sides=np.array([0]),
    committed=np.array([False]),
    is_round=np.array([False]),
    left=None,
    commits=Estimate(0.0, 0.0, 0.79, 0.95, 1, 1),
)


def test_a_run_that_chose_no_side_has_no_share():
    assert "| BET | 1 | 0 | 0 | 0 | 1 | – | 0.00 [" in to_markdown([NOWHERE])  # noqa: RUF001
    assert to_csv([NOWHERE]).splitlines()[1] == "BET,1,0,0,0,1,,,,0.0,0.0,0.79"
