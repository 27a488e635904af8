"""How long a grid takes on several workers, worked out by hand."""

import pytest

from dp_bench.grid.schedule import makespan, worthwhile


@pytest.mark.parametrize(
    ("workers", "seconds"),
    [
        (1, 12.0),
        (2, 6.0),  # 5 and 2; then 4 from 2 to 6, and 1 from 5 to 6
        (3, 5.0),  # 5; 4; 2 and then 1
        (9, 5.0),
    ],
)
def test_free_workers_take_the_next_cell(workers, seconds):
    assert makespan([5, 2, 4, 1], workers) == seconds


def test_more_workers_than_the_longest_cell_allows_save_nothing():
    assert worthwhile([10] + [1] * 10) == 2
    assert worthwhile([1.0] * 8) == 8
    assert worthwhile([3.0]) == 1
