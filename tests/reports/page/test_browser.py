"""Pages in a real browser. Skipped where there is no Chromium."""

import os
import shutil
from pathlib import Path

import pytest

from dp_bench.reports import remake
from dp_bench.reports.page import write
from made_up_results import SCORES, add_films, results

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright: 'dp-bench[dev]'"
)
imageio = pytest.importorskip("imageio.v2", reason="needs imageio: 'dp-bench[video]'")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

START = 100_002


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = results(tmp_path_factory.mktemp("results"))
    add_films(folder, START)
    write.write(folder.parent, folder.parent, {folder: remake.table_of(folder)})
    return folder.as_uri() + "/index.html"


@pytest.fixture(scope="module")
def browser():
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with playwright.sync_playwright() as tools:
        options = ["--no-sandbox"] if root else []
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, address):
    """Opens the page with a state in its address; fails if the browser complains."""
    complaints, requests = [], []

    def open_page(state="", **options):
        page = browser.new_context(**options).new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address + state)
        page.locator("#losses .main-svg").first.wait_for()
        return page

    yield open_page
    assert complaints == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests)


def test_the_page_opens_and_its_scripts_are_text(opened):
    page = opened()
    assert page.title() == "reach · dp-bench"
    assert "document.title='hit'" in page.locator("main").inner_text()
    assert page.locator("[data-chart] .main-svg").count() > 4


def test_a_click_on_a_cell_plays_its_start_for_all_methods(opened):
    page = opened()
    page.locator(f'tr:nth-child(2) [data-start="{START}"] button').click()
    panel = page.locator("#start")
    assert panel.locator("h3").inner_text() == f"Start {START}"
    films = panel.locator("video").evaluate_all("all => all.map(v => v.src)")
    names = [film.rpartition("/")[2] for film in films]
    assert sorted(names) == sorted(f"{method}.mp4" for method in SCORES)
    panel.locator("#paths .scatterlayer .trace").first.wait_for()
    assert panel.locator("#paths .scatterlayer .trace").count() == len(SCORES)
    page.wait_for_function(
        "[...document.querySelectorAll('video')].every(v => v.currentTime > 0)"
    )
    assert f"start={START}" in page.evaluate("location.hash")
    captions = panel.locator("figcaption").all_inner_texts()
    assert [("0.95" in text, "scored 0.50" in text) for text in captions] == [
        *[(True, True), (False, True), (False, True)]
    ]


def test_the_address_of_a_start_shows_it(opened):
    page = opened(f"#start={START}&map=0&order=disagreement&training=1")
    rows = page.locator("#start tbody tr")
    assert rows.count() == len(SCORES)  # of one training
    assert page.locator("#order").input_value() == "disagreement"
    first = page.locator("table.map tbody tr:first-child td").first
    assert first.get_attribute("data-start") == str(START)  # they disagree most there


def test_a_link_within_the_page_keeps_what_was_chosen(opened):
    page = opened(f"#start={START}&map=0&order=score")
    page.get_by_role("link", name="Charts").click()
    assert page.evaluate("location.hash") == "#charts"
    assert page.locator("#start h3").inner_text() == f"Start {START}"
    assert page.locator("#order").input_value() == "score"
    page.locator("#training").select_option("0")
    assert f"start={START}&map=0&order=score&training=0" in page.url


def test_a_film_that_is_lost_is_called_missing(opened, browser, address):
    film = next(Path(address.removeprefix("file://")).parent.glob("films/beta.mp4"))
    aside = film.rename(film.with_suffix(".aside"))
    try:
        page = browser.new_context().new_page()
        page.goto(f"{address}#start={START}")
        page.get_by_text("This film is missing").wait_for()
        assert page.locator("#start video").count() == len(SCORES) - 1
    finally:
        aside.rename(film)


def test_a_training_without_a_film_says_so(opened):
    page = opened(f"#start={START}&training=1")
    assert "No film shows this training" in page.locator("#start").inner_text()


def test_a_start_without_films_says_how_to_make_them(opened):
    page = opened("#start=100001")
    assert "--films 100001" in page.locator("#start").inner_text()


def test_a_table_sorts_by_number_and_by_word(opened):
    page = opened()
    scores = page.locator("#table table").first
    heading = scores.get_by_role("button", name="score", exact=True)

    def methods():
        return scores.locator("tbody th").all_inner_texts()

    assert methods() == ["alpha", "gamma", "beta"]
    heading.click()
    assert methods() == ["alpha", "gamma", "beta"]  # largest first
    heading.click()
    assert methods() == ["beta", "gamma", "alpha"]
    scores.get_by_role("button", name="method").click()
    assert methods() == ["alpha", "beta", "gamma"]


def test_arrow_keys_move_over_the_map(opened):
    page = opened()
    page.locator("table.map button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused.startswith("start 100001, gamma")
    page.keyboard.press("Enter")
    assert page.locator("#start h3").inner_text() == "Start 100001"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = opened(f"#start={START}", color_scheme=scheme, bypass_csp=True)
    found = axe.Axe().run(page).response["violations"]
    assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("width", [390, 800, 1400])
def test_the_page_is_never_wider_than_its_window(opened, width):
    page = opened(f"#start={START}", viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_tables_can_be_read_without_scripts(browser, address):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(address)
    text = page.locator("#table").inner_text()
    assert "alpha" in text
    assert "0.86" in text
    assert page.locator("table.map button").count() == 6 * len(SCORES)
