"""Tables of searches, and their budgets under a table of test starts."""

import dataclasses

import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation import search
from dp_bench.evaluation.conditions import Conditions
from dp_bench.evaluation.records import append
from dp_bench.evaluation.search import Pause, Trial
from dp_bench.reports import search as report
from dp_bench.reports.remake import remake_task
from made_up_records import episodes, with_digests

DEMOS = "d" * 64
CONDITIONS = Conditions(
    minutes=15.0, updates=None, task="pusht", method="dp_c", preset="laptop",
    obs_kind="keypoints", control="position", changes=(), demos=DEMOS, device="cpu",
    threads=1, processor="CPU", gpu=None,
)  # fmt: skip


def trial(number, search_name="a", seconds=60.0, score=0.5, copying=0.25, **changes):
    return Trial(
        number=number, search=search_name, train_seed=0, starts=1, commit="abc",
        conditions=dataclasses.replace(CONDITIONS, **changes), values={}, changes=(),
        updates=9, update_seconds=1.0, state="finished",
        pauses=(Pause(9, (score,), (False,), seconds, copying),),
    )  # fmt: skip


def written(folder, *trials):
    for each in trials:
        search.put(search.path_of(folder, each.conditions.method), each)


def test_each_observation_has_a_table_of_its_last_search(tmp_path):
    written(
        tmp_path,
        trial(0, "old", score=0.1),
        trial(0, "images", score=0.2, obs_kind="image"),
        trial(0, "set", score=0.6, changes=("training.lr=0.1",)),
        trial(0, "new", score=0.3),
        trial(1, "new", score=0.4, copying=None),
    )
    (text,) = report.remake(tmp_path)
    assert text.count("search for settings") == 3
    assert "0.10" not in text
    assert "0.60" in text[: text.index("laptop with training.lr=0.1")]
    keypoints, images = text.split("observation image")
    assert "0.20" in images
    assert "0.30" in keypoints
    assert "0.40" in keypoints
    assert "    0.25 |" in keypoints
    rows = (tmp_path / "search" / "dp_c.csv").read_text().splitlines()
    assert [row.split(",")[:5] for row in rows[1:]] == [
        ["keypoints", "position", "laptop", "", "0"],
        ["keypoints", "position", "laptop", "", "1"],
        ["image", "position", "laptop", "", "0"],
        ["keypoints", "position", "laptop", "training.lr=0.1", "0"],
    ]


def footer_of(folder, *methods):
    """Writes test records of methods, and returns the footer of their table."""
    for name in methods:
        facts = {"task": "pusht", "obs_kind": "keypoints", "preset": "laptop"}
        rows = with_digests(episodes(name, [[0.2, 0.4], [0.3, 0.5]], **facts))
        rows = [dataclasses.replace(row, demos_digest=DEMOS) for row in rows]
        append(folder / "records" / f"{name}.jsonl", rows)
    return "\n".join(remake_task(folder).footer)


def test_a_table_says_how_long_each_method_was_searched(tmp_path):
    written(tmp_path, trial(0, seconds=90.0), trial(1, seconds=30.0))
    footer = footer_of(tmp_path, "dp_c", "bet")
    assert "these settings: DP-C 2 trials in 2 min 0 s; none for BET." in footer
    written(tmp_path, trial(0, method="bet", seconds=3720.0))
    footer = "\n".join(remake_task(tmp_path).footer)
    assert "DP-C 2 trials in 2 min 0 s" in footer
    assert "BET 1 trial in 1 h 2 min and" in footer


@pytest.mark.parametrize(
    "change", [{"obs_kind": "image"}, {"control": "velocity"}, {"preset": "gpu"},
               {"demos": "e" * 64}, {"changes": ("policy.obs_noise=0.1",)}]
)  # fmt: skip
def test_a_search_for_something_else_is_not_counted(tmp_path, change):
    written(tmp_path, trial(0, **change))
    assert "dp-bench tune" not in footer_of(tmp_path, "dp_c")


def test_damaged_trials_do_not_cost_the_table(tmp_path):
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "dp_c.jsonl").write_text("{}\n")
    with pytest.raises(BadInput, match=r"dp_c\.jsonl, line 1"):  # the table comes first
        footer_of(tmp_path, "dp_c")
    text = (tmp_path / "table.md").read_text()
    assert "Searches with dp-bench tune cannot be read: " in text
