"""Workers: the results of several processes come in order."""

import os
import subprocess
import sys

import pytest

from dp_bench.errors import BadInput
from dp_bench.util import workers
from made_up_work import cannot_prepare, die, fail, prepare, square, write_late


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


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_while_a_worker_prepares_reaches_the_caller(processes):
    with pytest.raises(ValueError, match="no simulator here"):
        list(workers.in_order(cannot_prepare, square, range(2), processes=processes))


def test_a_worker_that_dies_at_work_is_said_to_have_died():
    with pytest.raises(BadInput, match="one of 2 worker processes died"):
        list(workers.in_order(prepare, die, range(2), processes=2))


class Interrupting(list):
    """Items of which the first comes through, and then a signal."""

    def __iter__(self):
        yield self[0]
        raise KeyboardInterrupt


def test_a_signal_while_work_is_handed_out_ends_the_work(tmp_path):
    files = Interrupting([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(KeyboardInterrupt):
        list(workers.in_order(prepare, write_late, files, processes=2))
    assert list(tmp_path.iterdir()) == []


UNGUARDED = """
from dp_bench.errors import BadInput
from dp_bench.util import workers
from made_up_work import prepare, square
try:
    print(list(workers.in_order(prepare, square, range(2), processes=2)))
except BadInput as error:
    print(error)
"""


def test_a_script_without_a_main_guard_is_told_so(tmp_path):
    (tmp_path / "script.py").write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        env=os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(__file__))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "`if __name__ == '__main__':`" in done.stdout
    assert "memory" not in done.stdout
    assert "Traceback" not in done.stderr
