"""Passages of demonstrations that begin before the choice of a fork."""

import shutil

import numpy as np
import pytest
from made_up_rollouts import AT, BEHIND, FORK, LEFT, RIGHT, rollouts

from dp_bench import registry
from dp_bench.cli import main
from dp_bench.data import hdf5
from dp_bench.errors import BadInput
from dp_bench.evaluation import multimodality
from dp_bench.evaluation.choices import choices
from dp_bench.evaluation.passages import Passage, collect
from dp_bench.reports import multimodality as report
from made_up import pusht_demos
from pushing import on_table

TASK = registry.task("pusht")
WAY_LEFT = np.array([(AT, LEFT), (LEFT, (-90, -20)), ((-90, -20), BEHIND)], float)


def passages(ways, **changes):
    facts = {"task": "pusht", "demos_source": "human", "demos_digest": "d" * 64}
    return [
        Passage(
            **facts | changes, episode=k, start=FORK.start, path=rollouts([way])[0].path
        )
        for k, way in enumerate(ways)
    ]


def test_the_share_of_the_demonstrations_leads():
    left, right = (on_table(AT, side, BEHIND) for side in (LEFT, RIGHT))
    both = choices(rollouts([right] * 2), passages([left, right, left, left]))
    assert [choice.title for choice in both] == ["Demonstrations", "BET"]
    assert [choice.left.value for choice in both] == [0.75, 0]
    others = passages([left], demos_digest="e" * 64)
    (policy,) = choices(rollouts([right]), others)
    assert policy.title == "BET", "the run learned from other demonstrations"


def leftward_demos():
    """Two of three episodes begin before the choice; both go round on the left."""
    steps = np.linspace(0, 1, 15)[:, None]
    way = np.concatenate([a + (b - a) * steps for a, b in WAY_LEFT])
    path = on_table(*map(tuple, way))
    states = np.column_stack([path, np.tile(FORK.start[2:], (len(path), 1))])
    away = np.tile([30.0, 30.0, *FORK.start[2:]], (len(path), 1))
    return pusht_demos([len(path)] * 3, states=np.concatenate([states, away, states]))


def test_passages_are_found_in_the_demonstrations_that_the_runs_learned_from(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path))
    monkeypatch.setattr("dp_bench.data.store._cache_folder", lambda: tmp_path)
    demos = leftward_demos()
    assert collect(TASK, {demos.digest: "human"}) == []
    hdf5.save(demos, tmp_path / "pusht-human.hdf5")
    found = collect(TASK, {demos.digest: "human"})
    assert [passage.episode for passage in found] == [0, 2]
    moved = demos.states[: FORK.steps + 1, :2]
    np.testing.assert_allclose(found[0].path, moved, atol=1e-9)
    assert {passage.demos_digest for passage in found} == {demos.digest}
    assert collect(TASK, {"e" * 64: "human"}) == [], "others of the same source"
    own = shutil.copy(tmp_path / "pusht-human.hdf5", tmp_path / "own.hdf5")
    assert collect(TASK, {demos.digest: "human"}, own) == found
    with pytest.raises(BadInput, match=r"the runs did not learn from .*own\.hdf5"):
        collect(TASK, {"e" * 64: "human"}, own)


def test_demonstrations_are_added_to_results_that_were_made_without(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path))
    monkeypatch.setattr("dp_bench.data.store._cache_folder", lambda: tmp_path)
    demos = leftward_demos()
    hdf5.save(demos, tmp_path / "own.hdf5")
    results = tmp_path / "results"
    add = ["modes", "--task", "pusht", "--demos", str(tmp_path / "own.hdf5")]
    add += ["--out", str(results)]
    lines = rollouts([on_table(AT, RIGHT, BEHIND)], demos_digest=demos.digest)
    multimodality.write(results / "pusht" / "modes.jsonl", lines)
    without = report.remake(results / "pusht")
    assert "Demonstrations |" not in without
    assert "`dp-bench modes --task pusht --demos FILE` adds" in without
    main(add)
    said = capsys.readouterr().out
    assert "| Demonstrations | 2 | 2 | 0 | 0 | 0 | 1.00 [" in said
    assert "--demos FILE" not in said
    rows = (results / "pusht" / "modes.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["method", "Demonstrations", "BET"]

    others = rollouts([on_table(AT, RIGHT, BEHIND)], demos_digest="e" * 64)
    multimodality.write(results / "pusht" / "modes.jsonl", others)
    assert "Demonstrations |" not in report.remake(results / "pusht")
    for words, fault in (
        (add, "the runs did not learn from"),
        (["modes", "--demos", str(tmp_path / "own.hdf5")], "--task TASK"),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert fault in capsys.readouterr().err
