"""The contracts that dp-bench holds its own tasks and policies to."""

import pytest

from dp_bench import testing


@pytest.mark.parametrize("check", testing.TASK_CHECKS, ids=lambda c: c.__name__)
def test_slide(check):
    check("slide")


@pytest.mark.parametrize("check", testing.POLICY_CHECKS, ids=lambda c: c.__name__)
def test_linear(check, tmp_path):
    check("linear", tmp_path)
