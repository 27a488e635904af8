"""Which env seeds belong to which kind of start."""

import itertools

import pytest

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.evaluate import evaluate
from dp_bench.evaluation.starts import MOST, env_seeds_of
from dp_bench.task import DECISION_STARTS
from made_up import written_run


def test_no_two_trainings_share_decision_starts():
    blocks = [env_seeds_of("decision", 1000, train_seed=seed) for seed in range(50)]
    blocks += [MOST["test"], MOST["validation"]]
    blocks += [
        source.env_seeds
        for task in registry.tasks().values()
        for source in task.sources.values()
        if source.env_seeds
    ]
    decision = set().union(*blocks[:50])
    assert len(decision) == 50 * 1000
    assert all(decision.isdisjoint(block) for block in blocks[50:])
    assert not any(set(a) & set(b) for a, b in itertools.combinations(blocks[:50], 2))


def test_the_train_seed_changes_no_other_starts():
    for starts in ("test", "validation"):
        assert env_seeds_of(starts, train_seed=3) == env_seeds_of(starts)


@pytest.mark.parametrize("episodes", [0, 1001])
def test_as_many_starts_as_there_are(episodes):
    with pytest.raises(BadInput, match=r"must be in 1\.\.1000, .* decision starts"):
        env_seeds_of("decision", episodes, train_seed=2)


def test_a_run_plays_the_decision_starts_of_its_train_seed(tmp_path):
    run = written_run(tmp_path / "run")
    seed = run.info().train_seed
    played = evaluate(run, starts="decision", episodes=2, variants=["default"])
    first = DECISION_STARTS.start + 1000 * seed
    assert [record.env_seed for record in played] == [first, first + 1]
    assert {record.starts for record in played} == {"decision"}
    evaluate(run, episodes=1, variants=["default"])
    again = evaluate(run, starts="decision", episodes=2, variants=["default"])
    assert again == played
