"""Every task and every method passes the contract tests of `dp_bench.testing`."""

import pytest

from dp_bench import references, registry, testing

NEEDS = {  # by task: the package it needs, and the extra that installs it
    "kitchen": ("gymnasium_robotics", "kitchen"),
    **{
        task.name: ("robosuite", "robomimic")
        for task in registry.tasks().values()
        if task.group == "robomimic"
    },
}


LONG = {"transport", "tool_hang"}  # 700 steps, so a whole episode is a slow test


VARIANTS = [n for n, m in registry.methods_and_variants().items() if m.base]


def named(check):
    return check.__name__


def checks_of_tasks():
    """Lists every check of every task; whole long episodes are slow tests."""
    for check in testing.TASK_CHECKS:
        for task in registry.tasks():
            long = task in LONG and named(check) == "task_scores_an_episode"
            marks = [pytest.mark.slow] if long else []
            yield pytest.param(check, task, marks=marks, id=f"{named(check)}-{task}")


@pytest.mark.parametrize(("check", "task"), list(checks_of_tasks()))
def test_every_task_keeps_the_contract(check, task):
    if task in NEEDS:
        package, extra = NEEDS[task]
        pytest.importorskip(package, reason=f"needs 'dp-bench[{extra}]'")
    check(task)


@pytest.mark.parametrize("name", registry.tasks())
def test_every_task_of_ours_says_when_it_was_solved(name):
    if name in NEEDS:
        pytest.importorskip(
            NEEDS[name][0], reason=f"needs 'dp-bench[{NEEDS[name][1]}]'"
        )
    task = registry.task(name)
    env = task.make_env()
    env.reset(seed=0)
    _, reward, _, _, info = env.step(env.action_space.sample())
    env.close()
    outcome = references.load(task.score)([reward], [info])
    assert (outcome.success_once, outcome.success_at_end) == (False, False)


@pytest.mark.parametrize("method", registry.methods())
@pytest.mark.parametrize("check", testing.POLICY_CHECKS, ids=named)
def test_every_method_keeps_the_contract(check, method, tmp_path):
    check(method, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("method", VARIANTS)
@pytest.mark.parametrize("check", testing.POLICY_CHECKS, ids=named)
def test_every_variant_keeps_the_contract(check, method, tmp_path):
    if named(check) == "policy_overfits_one_batch" and method.endswith("-regression"):
        pytest.skip("it shows zeros, so no gradient reaches the weights of the input")
    check(method, tmp_path)
