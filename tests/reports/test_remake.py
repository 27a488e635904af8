"""Remaking a folder of results from its records."""

import json

import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation.records import append
from dp_bench.reports.plots import curves
from dp_bench.reports.plots.curves import stability
from dp_bench.reports.remake import remake_task
from made_up_records import episodes


def test_a_report_puts_each_score_beside_the_logs_of_its_trainings(
    tmp_path, monkeypatch
):
    drawn = []
    monkeypatch.setattr(
        curves, "stability", lambda *given: drawn.append(given) or stability(*given)
    )
    scores = [[0.2, 0.4], [0.3, 0.5]]
    records = episodes("n", scores, settings="t")
    for step in (10, 20):
        records += episodes("m", scores, settings="s", step=step)
        records += episodes("m", scores, settings="s", step=step, variant="windy")
        records += episodes("m", [[0.1]], settings="x", step=step)
    append(tmp_path / "records" / "all.jsonl", records)
    for name, digest in (
        ("m-s-aa-seed0", "d1"),
        ("m-s-aa-seed1", "d1"),
        ("m-s-bb-seed0", "d2"),
        ("n-t-aa-seed0", "d1"),
    ):
        info = {"method": name[0], "train_seed": int(name[-1]), "demos_digest": digest}
        for folder, ending, text in (
            ("runs", "json", {**info, "preset": "smoke"}),
            ("logs", "jsonl", {"update": 1, "loss": 1.0, "name": name}),
        ):
            file = tmp_path / folder / f"{name}.{ending}"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(text) + "\n")
    remake_task(tmp_path)
    assert (tmp_path / "stability.png").is_file()
    [(logs, frames)] = drawn
    names = {label: [log[0]["name"] for log in given] for label, given in logs.items()}
    assert names == {
        "m, settings s": ["m-s-aa-seed0", "m-s-aa-seed1"],
        "m, settings x": [],
    }
    assert {label: len(frame) for label, frame in frames.items()} == {
        "m, settings s": 8,
        "m, settings x": 2,
    }
    assert {v for frame in frames.values() for v in frame["variant"]} == {"plain"}


def test_a_log_without_its_run_is_refused(tmp_path):
    append(tmp_path / "records" / "all.jsonl", episodes())
    log = tmp_path / "logs" / "m-s-aa-seed0.jsonl"
    log.parent.mkdir()
    log.write_text('{"update": 1, "loss": 1.0}\n')
    with pytest.raises(BadInput, match="not the log and settings of one run"):
        remake_task(tmp_path)


def test_the_table_has_test_starts_or_else_validation_starts(tmp_path):
    append(tmp_path / "records" / "a.jsonl", episodes(starts="validation"))
    assert [row.starts for row in remake_task(tmp_path).rows] == ["validation"]
    append(tmp_path / "records" / "b.jsonl", episodes())
    assert [row.starts for row in remake_task(tmp_path).rows] == ["test"]
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert names == {"table.md", "table.tex", "table.csv", "success.png"}
