"""Workers: the results of several processes come in order."""

import os

import pytest

from dp_bench.util import workers
from made_up_work import fail, prepare, square


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_items(processes):
    ticks = []
    results = list(
        workers.in_order(
            prepare, square, range(4), processes=processes, on_progress=ticks.append
        )
    )
    assert [result for result, _ in results] == [0, 1, 4, 9]
    assert (os.getpid() in {pid for _, pid in results}) == (processes == 1)
    assert sum(ticks) <= 4


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_in_a_worker_reaches_the_caller(processes):
    with pytest.raises(ValueError, match="item 0"):
        list(workers.in_order(prepare, fail, range(2), processes=processes))
