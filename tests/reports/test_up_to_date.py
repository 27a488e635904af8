"""Tables, figures and pages are remade when something that they show has changed."""

import pytest

from dp_bench.reports import results_folder, up_to_date
from made_up import written_run


@pytest.fixture
def folder(tmp_path):
    """Results of one training, with a table and a page that show them."""
    run = written_run(tmp_path / "a", demos_source="human")
    run.records.write_text("", encoding="utf-8")
    results_folder.collect([run.path], tmp_path / "results")
    folder = tmp_path / "results" / "pusht"
    for name in ("table.md", "success.png", "index.html"):
        (folder / name).write_text("", encoding="utf-8")
    up_to_date.mark(folder, up_to_date.digest(folder))
    return folder


def is_up_to_date(folder):
    return up_to_date.is_marked(folder, up_to_date.digest(folder))


def test_what_is_collected_again_changes_nothing(folder, tmp_path):
    assert is_up_to_date(folder)
    results_folder.collect([tmp_path / "a"], tmp_path / "results")
    assert is_up_to_date(folder)


@pytest.mark.parametrize(
    "name",
    [
        "records/a.jsonl",
        "records/b.jsonl",
        "runs/a.json",
        "search/bet.jsonl",
        "films/films.jsonl",
        "modes.jsonl",
        "published.csv",
        "../published.csv",
    ],
)
def test_whatever_they_show_makes_them_old(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("{}\n", encoding="utf-8")
    assert not is_up_to_date(folder)


def test_a_record_that_comes_while_a_table_is_made_makes_it_old(folder):
    made_from = up_to_date.digest(folder)
    (folder / "records" / "b.jsonl").write_text("{}\n", encoding="utf-8")
    up_to_date.mark(folder, made_from)
    assert not is_up_to_date(folder)


def test_a_record_that_is_being_written_does_not(folder):
    (folder / "records" / ".part.host-1.b.jsonl").write_text("{", encoding="utf-8")
    assert is_up_to_date(folder)


@pytest.mark.parametrize("name", ["table.md", "success.png", "index.html"])
def test_a_lost_table_figure_or_page_is_made_again(folder, name):
    (folder / name).unlink()
    assert not is_up_to_date(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"digest": 3}', '{"made": null}'])
def test_a_damaged_mark_counts_as_none(folder, text):
    (folder / up_to_date.MARK).write_text(text, encoding="utf-8")
    assert not is_up_to_date(folder)
