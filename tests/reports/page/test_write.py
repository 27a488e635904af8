"""Pages as files: whole, the same every time, and closed to foreign scripts."""

import base64
import hashlib
import html
import json
import re

import pytest

from dp_bench.cli import main
from dp_bench.errors import BadInput
from dp_bench.reports import remake
from dp_bench.reports.page import write
from made_up_results import SCRIPT, results

SCRIPTS = re.compile(r"<script>(.*?)</script>", re.DOTALL)
DATA = re.compile(
    r'<script type="application/json" id="(\w+)">(.*?)</script>', re.DOTALL
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def text(folder):
    return page_of(folder, folder).read_text(encoding="utf-8")


def page_of(folder, out):
    return write.write_task(folder, remake.table_of(folder), out, "reach")


def test_the_policy_allows_exactly_the_scripts_of_the_page(text):
    policy = html.unescape(re.search(r'Security-Policy" content="([^"]*)"', text)[1])
    allowed = re.search(r"script-src ([^;]*)", policy)[1].split()
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for script in SCRIPTS.findall(text)
    ]
    assert allowed == [f"'sha256-{digest}'" for digest in hashes]
    assert len(allowed) == 2
    assert "default-src 'none'" in policy


def test_nothing_comes_from_the_network(text):
    own = SCRIPTS.sub("", text)
    assert not re.search(r'(src|href)="(https?:)?//', own)


def test_markup_of_records_is_text(text):
    own = DATA.sub("", SCRIPTS.sub("", text))
    assert SCRIPT not in own
    assert "&lt;script&gt;document.title" in own
    for _, content in DATA.findall(text):
        assert "<" not in content
        json.loads(content)


def test_equal_records_give_equal_pages(folder, text):
    again = page_of(folder, folder)
    assert again.read_text(encoding="utf-8") == text


def test_a_page_elsewhere_takes_along_what_it_links_to(folder, tmp_path):
    page = page_of(folder, tmp_path / "page")
    own = SCRIPTS.sub("", page.read_text(encoding="utf-8"))
    links = [link for link in re.findall(r'href="([^"#]+)"', own)]
    assert any(link.startswith("runs/") for link in links)
    for link in links:
        assert (page.parent / link).is_file()
    assert not list(page.parent.glob("**/.part.*"))


def test_a_link_among_the_files_is_refused(tmp_path):
    folder = results(tmp_path)
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    (folder / "picture.png").symlink_to(tmp_path / "secret")
    with pytest.raises(BadInput, match=r"picture\.png is a symbolic link"):
        page_of(folder, tmp_path / "site")


def test_markup_in_the_name_of_a_line_is_text_for_the_charts(tmp_path):
    folder = results(tmp_path)
    text = page_of(folder, folder).read_text(encoding="utf-8")
    figures = json.loads(dict(DATA.findall(text))["figures"])
    names = [t["name"] for t in figures["learning"]["data"] if "name" in t]
    assert names
    assert not any("<" in name for name in names)


def test_a_folder_with_tables_in_it_has_a_page_for_each(tmp_path):
    outer = results(tmp_path)
    inner = results(outer)
    tables = {folder: remake.table_of(folder) for folder in (outer, inner)}
    page = write.write(outer, outer, tables)
    assert page == outer / "index.html"
    assert "Settings and files" in page.read_text(encoding="utf-8")
    assert (inner / "index.html").is_file()


def test_a_command_in_a_sentence_is_shown_as_code(tmp_path):
    folder = results(tmp_path)
    file = folder / "records" / "all.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    once = [line for line in lines if json.loads(line)["train_seed"] == 0]
    file.write_text("".join(once), encoding="utf-8")
    page = page_of(folder, folder).read_text(encoding="utf-8")
    assert "<code>--seeds 0 1 2</code>" in page
    assert "`--seeds" not in DATA.sub("", SCRIPTS.sub("", page))


def test_the_page_of_all_tables_follows_a_table_that_changed(tmp_path):
    folder = results(tmp_path / "results")
    tables = {folder: remake.table_of(folder)}
    index = write.write(tmp_path / "results", tmp_path / "results", tables)
    assert "alpha is better than beta" in index.read_text(encoding="utf-8")
    file = folder / "records" / "all.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(x for x in lines if '"alpha"' not in x), encoding="utf-8")
    write.renew_index(tmp_path / "results", {})
    assert "alpha" not in index.read_text(encoding="utf-8")
    write.renew_index(tmp_path / "results", tables)  # takes those at hand
    assert "alpha is better than beta" in index.read_text(encoding="utf-8")


def test_pages_inside_the_results_are_refused(folder, capsys):
    with pytest.raises(SystemExit):
        main(["report", str(folder.parent), "--html", str(folder.parent / "site")])
    assert "a later report would take its copies for results" in capsys.readouterr().err


def test_the_command_writes_a_page_for_each_task_and_one_for_all(
    folder, tmp_path, capsys
):
    out = tmp_path / "site"
    main(["report", str(folder.parent), "--html", str(out)])
    assert f"page: {out / 'index.html'}" in capsys.readouterr().out
    index = (out / "index.html").read_text(encoding="utf-8")
    assert 'href="reach/index.html"' in index
    assert "alpha is better than beta" in index
    page = (out / "reach" / "index.html").read_text(encoding="utf-8")
    assert 'href="../index.html"' in page
    assert (out / "reach" / "records" / "all.jsonl").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--films", "all"], "--films needs --html"),
        (["--html", "a", "b"], "--html takes one folder, got 2"),
        (["--html", "--films", "some"], "--films takes all, disagreement"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(folder, options, words, capsys):
    with pytest.raises(SystemExit) as error:
        main(["report", str(folder.parent), *options])
    assert error.value.code
    assert words in capsys.readouterr().err


def test_pages_are_written_although_a_film_cannot_be_made(tmp_path, capsys):
    folder = results(tmp_path / "results")
    for file in (folder / "runs").glob("*.json"):  # run folders without weights
        run = tmp_path / "runs" / file.stem
        run.mkdir(parents=True)
        (run / "run.json").write_bytes(file.read_bytes())
    words = ["--html", "--films", "1", "--runs", *tmp_path.glob("runs/*")]
    with pytest.raises(SystemExit) as error:
        main(["report", str(folder.parent), *map(str, words)])
    assert error.value.code == 2
    out, err = capsys.readouterr()
    assert "page: " in out
    assert "some films of" in err
    assert (folder / "index.html").is_file()


def test_films_of_starts_that_no_row_met_are_not_made(tmp_path, capsys):
    folder = results(tmp_path)
    main(["report", str(tmp_path), "--html", "--films", "7777777"])
    out = capsys.readouterr().out
    assert "3 of 3 rows have no run folder here" in " ".join(out.split())
    assert not (folder / "films").exists()
