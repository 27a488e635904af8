"""Tables of several tasks: a column for each, and their mean."""

import numpy as np
import pytest

import made_up_records
from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.reports import group
from dp_bench.reports.remake import remake_groups, remake_task
from dp_bench.reports.results_folder import folder_of, folders_with_records
from dp_bench.reports.summary import summary
from dp_bench.reports.wording import with_interval

GROUP = [task for task in registry.tasks().values() if task.group == "robomimic"]


def episodes(task, method, solved, control="velocity"):
    """Ten records; `solved` are the starts that the method solved."""
    made_up = made_up_records.episodes(
        method,
        [[float(k in solved) for k in range(10)]],
        task=task,
        control=control,
        preset="laptop",
        variant="default",
        demos_digest=f"demos of {task}",
        sub_scores={},
    )
    return made_up_records.with_digests(made_up)


def some_tables():
    lift = episodes("lift", "bet", range(10)) + episodes("lift", "ibc", range(5))
    can = episodes("can", "bet", range(6))
    return {
        "lift": summary(lift, registry.task("lift")),
        "can": summary(can, registry.task("can")),
    }


def test_a_row_has_a_score_for_each_task_and_their_mean():
    bet, ibc = group.combine(some_tables())
    assert (bet.first.method, ibc.first.method) == ("bet", "ibc")  # most tasks first
    scores = [bet.scores[name].value for name in ("lift", "can")]
    assert (*scores, bet.mean.value) == pytest.approx((1, 0.6, 0.8))
    assert bet.mean.low < 0.8 < bet.mean.high
    assert ibc.scores["lift"].value == pytest.approx(0.5)
    assert ibc.scores["can"] is None
    assert ibc.mean is None


def test_a_missing_task_is_an_empty_number_in_the_csv_file():
    frame = group.to_frame(group.combine(some_tables()))
    assert frame["known"].tolist() == [2, 1]
    assert np.isnan(frame.loc[1, ["can", "can_low", "mean"]].astype(float)).all()


def test_control_modes_are_rows_of_their_own():
    tables = some_tables()
    more = episodes("lift", "bet", range(2), "position")
    more += episodes("lift", "bet", range(10))
    tables["lift"] = summary(more, registry.task("lift"))
    rows = [row.first for row in group.combine(tables)]
    assert [(row.method, row.control) for row in rows] == [
        ("bet", "velocity"),
        ("bet", "position"),
    ]


def test_a_report_writes_the_table_of_a_group(tmp_path, capsys):
    for task, solved in (("lift", range(10)), ("can", range(6))):
        folder = tmp_path / folder_of(task, "scripted") / "records"
        folder.mkdir(parents=True)
        records.append(folder / "bet.jsonl", episodes(task, "bet", solved))
    (shown,) = remake_groups(tmp_path)
    assert [str(column.header) for column in shown.columns] == [
        "method",
        "lift",
        "can",
        "mean",
    ]
    text = (tmp_path / "robomimic" / "table.md").read_text()
    assert "| BET    | 1.00 [0.72, 1.00] | 0.60 [0.31, 0.83] | 0.80" in text
    assert (tmp_path / "robomimic" / "table.csv").is_file()
    assert (tmp_path / "robomimic" / "success.png").stat().st_size > 5000
    assert folders_with_records(tmp_path) == [
        tmp_path / "robomimic" / "can",
        tmp_path / "robomimic" / "lift",
    ]


def test_other_demonstrations_have_a_table_of_their_own(tmp_path):
    for source, solved in (("scripted", range(10)), ("ph", range(3))):
        folder = tmp_path / folder_of("can", source) / "records"
        folder.mkdir(parents=True)
        records.append(folder / "bet.jsonl", episodes("can", "bet", solved))
    assert len(remake_groups(tmp_path)) == 2
    for place, share in ((".", "1.00"), ("ph", "0.30")):
        text = (tmp_path / "robomimic" / place / "table.md").read_text()
        assert f"| BET    | {share} " in text
    assert len(remake_groups(tmp_path / "robomimic")) == 2


def test_one_episode_has_a_wide_interval():
    one = summary(episodes("can", "bet", [0])[:1], registry.task("can"))
    [row] = group.combine({"can": one})
    assert with_interval(row.scores["can"]) == "1.00 [0.21, 1.00]"
    assert with_interval(row.mean) == "1.00 [0.21, 1.00]"


@pytest.mark.parametrize(("source", "last10"), [("scripted", 0.96), ("mh", 0.93)])
def test_published_numbers_are_those_of_the_same_demonstrations(
    source, last10, tmp_path
):
    folder = tmp_path / folder_of("lift", source)
    (folder / "records").mkdir(parents=True)
    records.append(
        folder / "records" / "lstm.jsonl", episodes("lift", "lstm_gmm", [1, 2])
    )
    table = remake_task(folder)
    assert [row.published["score", "last10"] for row in table.rows] == [last10]


def test_a_group_is_named_like_a_task():
    assert [t.name for t in group.named("robomimic")] == [t.name for t in GROUP]
    assert [t.name for t in group.named("pusht")] == ["pusht"]
    with pytest.raises(BadInput, match="'robomimic' is a group of tasks, and only"):
        registry.task("robomimic")
    with pytest.raises(BadInput, match=r"no task 'robotic'.* groups robomimic"):
        group.named("robotic")
