"""The page of all tables: one row each, their verdicts, and the published order."""

import dataclasses

from dp_bench.cli import main
from dp_bench.evaluation.records import append
from dp_bench.reports import overview
from dp_bench.reports.remake import remake_task
from made_up_records import episodes, with_digests

APART = {"dp_c": [[0.9] * 20, [0.92] * 20], "bet": [[0.1] * 20, [0.12] * 20]}


def tables_in(results, scores=APART, **facts):
    """Tables of two tasks: `reach`, where the methods differ, and `pusht`."""
    for task, obs_kind in (("reach", "state"), ("pusht", "keypoints")):
        for method, values in scores.items():
            rows = episodes(method, values, task=task, obs_kind=obs_kind, **facts)
            append(results / task / "records" / f"{method}.jsonl", with_digests(rows))
    return {results / task: remake_task(results / task) for task in ("pusht", "reach")}


def test_every_table_has_a_row_with_the_letters_of_its_methods(tmp_path):
    text = overview.to_markdown(tmp_path, tables_in(tmp_path))
    lines = [line for line in text.splitlines() if line.startswith("| [")]
    assert [line.split("]")[0] for line in lines] == ["| [pusht", "| [reach"]
    assert "(pusht/table.md)" in lines[0]
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        assert cells[1] in ("keypoints", "state")
        assert cells[4].startswith("0.91")
        assert cells[4].endswith(" a")
        assert cells[5].startswith("0.11")
        assert cells[5].endswith(" b")
    assert "- reach: DP-C is better than BET" in text


def test_values_are_ranked_beside_the_published_ones(tmp_path):
    text = overview.to_markdown(tmp_path, tables_in(tmp_path))
    (line,) = [line for line in text.splitlines() if ": published" in line]
    assert line.startswith("- pusht, keypoints, smoke settings, score: published DP-C")
    assert line.endswith("here DP-C 0.91, BET 0.11.")


def test_a_published_zero_counts(tmp_path):
    tables = tables_in(tmp_path)
    (folder, table), *others = tables.items()
    rows = [
        dataclasses.replace(row, published={("score", "last10"): value})
        for row, value in zip(table.rows, (0.0, 0.5), strict=True)
    ]
    table = dataclasses.replace(table, rows=tuple(rows))
    text = overview.to_markdown(tmp_path, {folder: table, **dict(others)})
    assert "BET 0.50, DP-C 0.00; here" in text


def test_a_method_with_two_controls_has_both_in_its_cell(tmp_path):
    both = episodes("dp_c", APART["dp_c"], control="velocity")
    append(tmp_path / "reach" / "records" / "more.jsonl", with_digests(both))
    text = overview.to_markdown(tmp_path, tables_in(tmp_path))
    assert "position: 0.91" in text
    assert "; velocity: 0.91" in text


def test_validation_scores_are_marked(tmp_path):
    text = overview.to_markdown(tmp_path, tables_in(tmp_path, starts="validation"))
    assert text.count("starts, validation starts |") == 2
    assert "score on validation starts: published" in text


def test_an_unknown_number_is_not_ranked(tmp_path):
    tables = tables_in(tmp_path)
    (folder, table), *others = tables.items()
    worst = table.rows[-1].score._replace(value=float("nan"))
    estimates = {**table.rows[-1].estimates, "score": worst}
    last = dataclasses.replace(table.rows[-1], estimates=estimates)
    table = dataclasses.replace(table, rows=(*table.rows[:-1], last))
    text = overview.to_markdown(tmp_path, {folder: table, **dict(others)})
    assert "No table has published values." in text


def test_rows_with_other_settings_are_told_apart(tmp_path):
    more = episodes("dp_c", APART["dp_c"], settings="cafe1234")
    append(tmp_path / "reach" / "records" / "more.jsonl", with_digests(more))
    text = overview.to_markdown(tmp_path, tables_in(tmp_path))
    (line,) = [line for line in text.splitlines() if line.startswith("| [reach")]
    (cell,) = [c for c in line.split("|") if "; " in c and "0.91" in c]
    first, second = cell.split("; ")
    assert first.split(":")[0] != second.split(":")[0]


def test_without_several_trainings_there_is_no_verdict(tmp_path):
    once = {name: values[:1] for name, values in APART.items()}
    text = overview.to_markdown(tmp_path, tables_in(tmp_path, once))
    assert "None: no table has two methods with several trainings each." in text


def test_a_report_of_several_tasks_writes_the_page(tmp_path, capsys):
    tables_in(tmp_path)
    main(["report", str(tmp_path)])
    assert "all tables on one page" in capsys.readouterr().out
    assert "| [reach]" in (tmp_path / overview.FILE).read_text()
    (tmp_path / overview.FILE).unlink()
    main(["report", str(tmp_path / "reach")])
    assert not list(tmp_path.rglob(overview.FILE))
