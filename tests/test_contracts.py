"""The contract tests of `dp_bench.testing`, over every task and every method."""

import pytest

from dp_bench import registry, testing

NEEDS = {  # what comes with an extra, and the extra
    "kitchen": ("gymnasium_robotics", "kitchen"),
    **{
        task.name: ("robosuite", "robomimic")
        for task in registry.tasks().values()
        if task.group == "robomimic"
    },
}


def named(check):
    return check.__name__


@pytest.mark.parametrize("task", registry.tasks())
@pytest.mark.parametrize("check", testing.TASK_CHECKS, ids=named)
def test_every_task(check, task):
    if task in NEEDS:
        package, extra = NEEDS[task]
        pytest.importorskip(package, reason=f"needs 'dp-bench[{extra}]'")
    check(task)


@pytest.mark.parametrize("method", registry.methods())
@pytest.mark.parametrize("check", testing.POLICY_CHECKS, ids=named)
def test_every_method(check, method, tmp_path):
    check(method, tmp_path)
