"""The comparison of two sets of demonstrations -> a table and a figure."""

from __future__ import annotations

from pathlib import Path

from dp_bench.data.compare import DemosComparison
from dp_bench.reports.escaping import for_markdown
from dp_bench.reports.markdown import markdown_table
from dp_bench.reports.plots.demos import demos_comparison
from dp_bench.reports.plots.style import save
from dp_bench.util.files import atomic_write_text

NOTES = """
Numbers: 5 % quantile, median, 95 % quantile; the distance is the largest
difference of the cumulative distributions (Kolmogorov-Smirnov). Choices:
the share of each among all choices; the distance is half the sum of the
differences. The bars of the figure are shares of episodes, in which several
choices can be made. Equal sets have distance 0, sets with nothing in common
have distance 1.
"""


def write(comparison: DemosComparison, folder: Path) -> None:
    """Writes the table and the figure into a folder.

    Args:
        comparison: As `data.compare.compare` returns it.
        folder: `results/<task>`; gets `demos.md` and `demos.png`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_text(folder / "demos.md", to_markdown(comparison))
    save(demos_comparison(comparison), folder / "demos.png")


def to_markdown(comparison: DemosComparison) -> str:
    """Writes the table for people, a row for each feature."""
    rows = []
    for pair in comparison.pairs:
        title = pair.one.title
        if pair.one.choices:
            title += f": {', '.join(pair.one.choices)}"
        summaries = pair.one.summary(), pair.other.summary()
        cells = [title, *summaries, f"{pair.distance:.2f}"]
        rows.append(list(map(for_markdown, cells)))
    headings = ["", *map(for_markdown, comparison.names), "distance"]
    return "\n".join([*markdown_table(headings, rows, "lllr", padded=False), NOTES])
