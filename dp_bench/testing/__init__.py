"""Contract tests that every task and every policy must pass, ours and yours.

In a test file of your own package::

    import pytest
    from dp_bench import testing

    @pytest.mark.parametrize("check", testing.TASK_CHECKS, ids=lambda c: c.__name__)
    def test_my_task(check):
        check("my_task")

    @pytest.mark.parametrize("check", testing.POLICY_CHECKS, ids=lambda c: c.__name__)
    def test_my_policy(check, tmp_path):
        check("my_method", tmp_path)

A check that fails raises an AssertionError, which says what the task or the policy
violates. Policies have their smoke preset and learn from generated data.
"""

from dp_bench.testing.policies import POLICY_CHECKS
from dp_bench.testing.tasks import TASK_CHECKS

__all__ = ["POLICY_CHECKS", "TASK_CHECKS"]
