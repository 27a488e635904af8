"""The contract tests of `dp_bench.testing`, over every task and every method."""

import pytest

from dp_bench import plugins, testing

NEEDS = {"kitchen": "gymnasium_robotics"}  # what comes with an extra


def named(check):
    return check.__name__


@pytest.mark.parametrize("task", plugins.tasks())
@pytest.mark.parametrize("check", testing.TASK_CHECKS, ids=named)
def test_every_task(check, task):
    if task in NEEDS:
        pytest.importorskip(NEEDS[task], reason=f"needs 'dp-bench[{task}]'")
    check(task)


@pytest.mark.parametrize("method", plugins.methods())
@pytest.mark.parametrize("check", testing.POLICY_CHECKS, ids=named)
def test_every_method(check, method, tmp_path):
    check(method, tmp_path)
