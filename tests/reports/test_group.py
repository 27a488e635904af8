"""Tables of several tasks: a column for each, and their mean."""

import shutil

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.evaluation.records import Record
from dp_bench.reports import group, report
from dp_bench.reports import table as tables
from dp_bench.statistics.estimates import Estimate, mean_of

GROUP = [task for task in registry.tasks().values() if task.group == "robomimic"]


def episodes(task, method, solved, control="velocity", seeds=(0,)):
    """A record for each start; `solved` are the starts that were."""
    return [
        Record(
            task=task,
            obs_kind="state",
            control=control,
            method=method,
            preset="laptop",
            settings=f"{method}-settings",
            demos_digest=f"demos of {task}",
            split_digest="split",
            order_digest="order",
            train_seed=seed,
            step=100,
            starts="test",
            variant="default",
            env_seed=100_000 + k,
            score=float(k in solved),
            success=k in solved,
            sub_scores={},
            length=10,
            decision_latency=0.001,
            parameters=1000,
            train_seconds=60.0,
            commit="abc",
            versions={"numpy": "2.0"},
        )
        for seed in seeds
        for k in range(10)
    ]


def some_tables():
    lift = episodes("lift", "bet", range(10)) + episodes("lift", "ibc", range(5))
    can = episodes("can", "bet", range(6))
    return {
        "lift": tables.summary(lift, registry.task("lift")),
        "can": tables.summary(can, registry.task("can")),
    }


def test_the_mean_is_as_far_off_as_its_parts_allow():
    def estimate(value, low, high):
        return Estimate(value, low, high, 0.95, 3, 50)

    found = mean_of([estimate(0.5, 0.2, 0.9), estimate(0.7, 0.3, 1.0)])
    # ends: .6 - sqrt(.3^2 + .4^2) / 2 and .6 + sqrt(.4^2 + .3^2) / 2
    assert found == pytest.approx((0.6, 0.35, 0.85, 0.95, 3, 100))
    one = estimate(0.5, 0.2, 0.9)
    assert mean_of([one]) == pytest.approx(one)
    with pytest.raises(BadInput, match="estimates of one level"):
        mean_of([one, one._replace(level=0.9)])
    with pytest.raises(BadInput, match="got 0"):
        mean_of([])


def test_intervals_of_a_mean_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    truths, held = np.array([0.3, 0.6, 0.95]), 0
    from dp_bench.statistics.estimates import bootstrap

    for _ in range(300):
        parts = [
            bootstrap((rng.random((1, 50)) < truth).astype(float), rng, resamples=1)
            for truth in truths
        ]
        mean = mean_of(parts)
        held += mean.low <= truths.mean() <= mean.high
    assert 0.92 <= held / 300 <= 0.985


def test_a_row_has_a_column_for_each_task_and_their_mean():
    found = group.combine(some_tables())
    assert found["method"].tolist() == ["bet", "ibc"]  # more tasks come first
    bet, ibc = found.iloc[0], found.iloc[1]
    assert (bet["lift"], bet["can"], bet["mean"]) == pytest.approx((1, 0.6, 0.8))
    assert bet["mean_low"] < 0.8 < bet["mean_high"]
    assert ibc["lift"] == pytest.approx(0.5)
    assert np.isnan(ibc["can"])
    assert np.isnan(ibc["mean"])


def test_control_modes_are_rows_of_their_own():
    tasks = some_tables()
    more = episodes("lift", "bet", range(2), "position")
    more += episodes("lift", "bet", range(10))
    tasks["lift"] = tables.summary(more, registry.task("lift"))
    found = group.combine(tasks)
    assert found[["method", "control"]].values.tolist() == [
        ["bet", "velocity"],
        ["bet", "position"],
    ]


def test_a_report_writes_the_table_of_a_group(tmp_path, capsys):
    for task, solved in (("lift", range(10)), ("can", range(6))):
        folder = tmp_path / report.folder_of(task, "scripted") / "records"
        folder.mkdir(parents=True)
        records.append(folder / "bet.jsonl", episodes(task, "bet", solved))
    (shown,) = report.make_groups(tmp_path)
    assert [column.header for column in shown.columns] == [
        "method",
        "lift",
        "can",
        "mean",
    ]
    text = (tmp_path / "robomimic" / "table.md").read_text()
    assert "| BET    | 1.00 [0.72, 1.00] | 0.60 [0.31, 0.83] | 0.80" in text
    assert (tmp_path / "robomimic" / "table.csv").is_file()
    assert (tmp_path / "robomimic" / "success.png").stat().st_size > 5000
    assert report.tasks_in(tmp_path) == [
        tmp_path / "robomimic" / "can",
        tmp_path / "robomimic" / "lift",
    ]


def test_other_demonstrations_have_a_table_of_their_own(tmp_path):
    for source, solved in (("scripted", range(10)), ("ph", range(3))):
        folder = tmp_path / report.folder_of("can", source) / "records"
        folder.mkdir(parents=True)
        records.append(folder / "bet.jsonl", episodes("can", "bet", solved))
    assert len(report.make_groups(tmp_path)) == 2
    for place, share in ((".", "1.00"), ("ph", "0.30")):
        text = (tmp_path / "robomimic" / place / "table.md").read_text()
        assert f"| BET    | {share} " in text
    assert len(report.make_groups(tmp_path / "robomimic")) == 2


def test_one_number_has_no_interval():
    one = tables.summary(episodes("can", "bet", [0])[:1], registry.task("can"))
    _, rows = group._cells(group.combine({"can": one}), ["can"])
    assert rows[0][1:] == ["1.00 [0.21, 1.00]", "1.00 [0.21, 1.00]"]


@pytest.mark.parametrize(("source", "last10"), [("scripted", 0.96), ("mh", 0.93)])
def test_published_numbers_are_those_of_the_same_demonstrations(
    source, last10, tmp_path, shared
):
    shutil.copy(shared / "published.csv", tmp_path / "published.csv")
    folder = tmp_path / report.folder_of("lift", source)
    (folder / "records").mkdir(parents=True)
    records.append(
        folder / "records" / "lstm.jsonl", episodes("lift", "lstm_gmm", [1, 2])
    )
    table = report.make(folder)
    assert table.data["score_published_last10"].tolist() == [last10]


def test_a_group_is_named_like_a_task():
    assert [t.name for t in group.named("robomimic")] == [t.name for t in GROUP]
    assert [t.name for t in group.named("pusht")] == ["pusht"]
    with pytest.raises(BadInput, match="'robomimic' is a group of tasks, and only"):
        registry.task("robomimic")
    with pytest.raises(BadInput, match=r"no task 'robotic'.* groups robomimic"):
        group.named("robotic")


def test_results_of_a_group_lie_together():
    for task in GROUP:
        assert report.folder_of(task.name, "scripted").parts == ("robomimic", task.name)
    assert report.folder_of("lift", "mh").parts == ("robomimic", "lift", "mh")
