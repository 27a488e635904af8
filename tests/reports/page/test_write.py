"""Pages as files: whole, the same every time, and closed to foreign scripts."""

import base64
import hashlib
import html
import json
import re

import pytest

from dp_bench.cli import main
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
    return write.write_task(folder, folder, "reach").read_text(encoding="utf-8")


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
    again = write.write_task(folder, folder, "reach")
    assert again.read_text(encoding="utf-8") == text


def test_a_page_elsewhere_takes_along_what_it_links_to(folder, tmp_path):
    page = write.write_task(folder, tmp_path / "page", "reach")
    own = SCRIPTS.sub("", page.read_text(encoding="utf-8"))
    links = [link for link in re.findall(r'href="([^"#]+)"', own)]
    assert any(link.startswith("runs/") for link in links)
    for link in links:
        assert (page.parent / link).is_file() == (folder / link).is_file()
    assert not list(page.parent.glob("**/.part.*"))


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
