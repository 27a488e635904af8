"""Text from files in tables and figures: it says itself, and does nothing."""

import csv
import io
import re

import pytest
from rich.console import Console

from dp_bench import registry
from dp_bench.reports import group
from dp_bench.reports.csv_file import to_csv
from dp_bench.reports.escaping import for_csv, for_latex, for_markdown
from dp_bench.reports.latex import to_latex
from dp_bench.reports.markdown import to_markdown
from dp_bench.reports.plots.style import figure_of, new_axes, save
from dp_bench.reports.summary import summary
from dp_bench.reports.terminal import empty_table, to_terminal
from made_up_records import episodes, table

EVIL = "=1+1\n[red]x[/red] \x1b[2J`a` [c](http://d) <script> | $a_b$ \\input{e}"


def evil_table():
    """A table whose settings, variant and commit come from a stranger."""
    records = episodes("good", variant=EVIL, commit=EVIL, settings="s")
    return table(records + episodes("good", variant="plain", settings=EVIL))


def printed(rich_table):
    console = Console(file=io.StringIO(), width=400, force_terminal=False)
    console.print(rich_table)
    return console.file.getvalue()


def evil_group(folder):
    task = registry.task("lift")
    records = episodes("bet", task="lift", variant=EVIL, sub_scores={})
    records += episodes("bet", task="lift", variant="default", sub_scores={})
    shown = group.make(folder, {"lift": summary(records, task)})
    return (folder / "table.md").read_text(), (folder / "table.csv").read_text(), shown


def check_markdown(text):
    assert "\x1b" not in text
    assert not re.search(r"(?<!\\)<script", text)
    assert not re.search(r"(?<!\\)\]\(", text)
    assert not re.search(r"(?<!\\)`", text)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert len(rows) == 4


def check_csv(text):
    assert "\x1b" not in text
    lines = list(csv.reader(io.StringIO(text)))
    assert len(lines) == 3
    assert not [cell for line in lines for cell in line if cell.startswith(("=", "@"))]


def test_markdown_and_csv_of_a_task():
    check_markdown(to_markdown(evil_table()))
    check_csv(to_csv(evil_table()))


def test_all_formats_of_a_group(tmp_path):
    markdown, table_csv, shown = evil_group(tmp_path / "robomimic")
    check_markdown(markdown)
    check_csv(table_csv)
    assert "[red]x[/red]" in printed(shown)
    assert "\x1b" not in printed(shown)


def test_the_terminal_shows_markup_and_escape_sequences_as_text():
    text = printed(to_terminal(evil_table(), width=400))
    assert "\x1b" not in text
    assert "\\x1b[2J" in text.replace("\n", "")


def test_the_title_of_a_terminal_table_is_text():
    shown = empty_table(EVIL, [EVIL])
    shown.add_column("a" * 200)  # a title wraps at the width of its table
    text = printed(shown)
    assert "\x1b" not in text
    assert text.count("[red]x[/red] \\x1b[2J") == 2


def test_latex_commands_are_text():
    text = to_latex(evil_table())
    assert "\x1b" not in text
    assert r"\input" not in text
    assert r"\$a\_b\$" in text


def test_a_logarithmic_axis_keeps_its_own_mathematics(tmp_path):
    ax = new_axes(2, 2)
    ax.set_yscale("symlog")
    ax.plot([1, 2], [1, 1000])
    save(figure_of(ax), tmp_path / "figure.png")
    assert all(label.get_parse_math() for label in ax.get_yticklabels())


@pytest.mark.parametrize("start", "=+-@")
def test_no_cell_of_csv_begins_a_formula(start):
    assert for_csv(f"{start}cmd") == f"'{start}cmd"


def test_numbers_and_intervals_stay_as_they_are():
    assert for_csv(-1.5) == -1.5
    assert for_markdown("0.55 [0.34, 0.74]") == "0.55 [0.34, 0.74]"
    assert for_latex("-1") == "$-$1"


def test_a_dollar_in_a_name_is_no_mathematics_in_a_figure(tmp_path):
    ax = new_axes(2, 2)
    ax.set_yscale("log")
    ax.plot([1, 2], [1, 1000], label="$\\frac{$")
    ax.set_title("$x_{$")
    ax.set_xticks([1], ["$\\bad$"])
    ax.legend()
    save(figure_of(ax), tmp_path / "figure.png")  # would raise a ParseException
    assert (tmp_path / "figure.png").is_file()
