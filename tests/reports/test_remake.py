"""Remaking a folder of results from its records."""

import dataclasses

import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation.records import append
from dp_bench.reports.plots import curves
from dp_bench.reports.plots.curves import stability
from dp_bench.reports.remake import remake_task
from dp_bench.runs.folder import RunFolder
from dp_bench.util import jsonl
from made_up import run_info
from made_up_records import episodes, log_line, with_digests


def test_a_report_puts_each_score_beside_the_logs_of_its_trainings(
    tmp_path, monkeypatch
):
    drawn = []
    monkeypatch.setattr(
        curves,
        "stability",
        lambda *given, **titles: drawn.append(given) or stability(*given, **titles),
    )
    digest = with_digests(episodes())[0].demos_digest
    facts = {"method": "m", "obs_kind": "state", "demos_digest": digest}
    ours = run_info(**facts)
    other = run_info(**facts, training={"updates": 7})
    scores = [[0.2, 0.4], [0.3, 0.5]]
    n = dataclasses.replace(ours, method="n")
    records = episodes("n", scores, settings=n.settings)
    for step in (10, 20):
        facts = {"settings": ours.settings, "step": step}
        records += episodes("m", scores, **facts)
        records += episodes("m", scores, **facts, variant="windy")
        records += episodes("m", [[0.1]], settings=other.settings, step=step)
    append(tmp_path / "records" / "all.jsonl", with_digests(records))
    infos = [
        ours,
        dataclasses.replace(ours, train_seed=1),
        dataclasses.replace(ours, demos_digest="2" * 64),
        n,
    ]
    for number, info in enumerate(infos):
        for folder in ("runs", "logs"):
            (tmp_path / folder).mkdir(exist_ok=True)
        RunFolder(tmp_path / "run").write_info(info)
        (tmp_path / "run" / "run.json").rename(tmp_path / "runs" / f"{info.name}.json")
        jsonl.write(tmp_path / "logs" / f"{info.name}.jsonl", [log_line(1, number)])
    remake_task(tmp_path)
    assert (tmp_path / "stability.png").is_file()
    [(logs, frames)] = drawn
    losses = {
        curve.label: [log[0].loss for log in given] for curve, given in logs.items()
    }
    assert losses == {
        f"m, settings {ours.settings}": [0.0, 1.0],
        f"m, settings {other.settings}": [],
    }
    assert {curve.label: len(frame) for curve, frame in frames.items()} == {
        f"m, settings {ours.settings}": 8,
        f"m, settings {other.settings}": 2,
    }
    assert {v for frame in frames.values() for v in frame["variant"]} == {"plain"}


def test_a_log_without_its_run_is_refused(tmp_path):
    append(tmp_path / "records" / "all.jsonl", with_digests(episodes()))
    log = tmp_path / "logs" / "m-s-aa-seed0.jsonl"
    log.parent.mkdir()
    log.write_text("")
    with pytest.raises(BadInput, match="has no settings"):
        remake_task(tmp_path)


def test_the_table_has_test_starts_or_else_validation_starts(tmp_path):
    validation = with_digests(episodes(starts="validation"))
    append(tmp_path / "records" / "a.jsonl", validation)
    assert [row.starts for row in remake_task(tmp_path).rows] == ["validation"]
    append(tmp_path / "records" / "b.jsonl", with_digests(episodes()))
    assert [row.starts for row in remake_task(tmp_path).rows] == ["test"]
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    tables = {"table.md", "table.tex", "table.csv"}
    assert names == tables | {"success.png", "profile.png"}


def test_rows_that_allow_it_have_figures_of_profiles_and_probabilities(tmp_path):
    several = [[0.2, 0.4], [0.3, 0.5]]
    records = [*episodes("m", several), *episodes("n", several)]
    append(tmp_path / "records" / "a.jsonl", with_digests(records))
    remake_task(tmp_path)
    assert (tmp_path / "profile.png").is_file()
    assert (tmp_path / "probability.png").is_file()


@pytest.mark.parametrize(("source", "said"), [("scripted-20", True), ("ph", False)])
def test_a_table_says_the_number_of_few_demonstrations(tmp_path, source, said):
    append(tmp_path / source / "records" / "a.jsonl", with_digests(episodes()))
    remake_task(tmp_path / source)
    note = "Few demonstrations: scripted-20, 20 episodes instead of all of scripted"
    assert (note in (tmp_path / source / "table.md").read_text()) is said
