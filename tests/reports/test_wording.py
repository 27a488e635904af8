"""How numbers are written."""

import pytest

from dp_bench.reports.wording import (
    count,
    decimals,
    milliseconds,
    ranges,
    seeds_by_starts,
    with_interval,
)
from dp_bench.statistics.estimates import Estimate

NAN = float("nan")


@pytest.mark.parametrize(
    ("number", "sign", "text"),
    [
        (0.456, "", "0.46"),
        (-0.001, "", "0.00"),
        (0.001, "+", "0.00"),
        (0.25, "+", "+0.25"),
        (NAN, "", "–"),  # noqa: RUF001
    ],
)
def test_two_decimals_and_no_sign_for_zero(number, sign, text):
    assert decimals(number, sign) == text


def test_an_estimate_shows_its_interval_if_it_has_one():
    assert with_interval(Estimate(0.5, 0.3, 0.7, 0.95, 1, 9)) == "0.50 [0.30, 0.70]"
    assert with_interval(Estimate(0.5, NAN, NAN, 0.95, 1, 1)) == "0.50"
    assert with_interval(None) == "–"  # noqa: RUF001


def test_neighbouring_numbers_become_ranges():
    assert ranges([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert ranges([]) == ""


def test_large_numbers_have_three_digits_and_a_unit():
    numbers = (12, 999, 1000, 65_123_456, 2e9)
    assert [*map(count, numbers)] == ["12", "999", "1 k", "65.1 M", "2 G"]


def test_sizes_that_differ_become_a_range():
    assert seeds_by_starts([(1, 1)]) == "1 train seed × 1 start"  # noqa: RUF001
    sizes = [(1, 50), (3, 50)]
    assert seeds_by_starts(sizes) == "1-3 train seeds × 50 starts"  # noqa: RUF001


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0001234, "0.123"), (0.0534, "53.4"), (0.1613, "161"), (1.35, "1,350")],
)
def test_milliseconds_have_three_digits_or_all(seconds, text):
    assert milliseconds(seconds) == text
