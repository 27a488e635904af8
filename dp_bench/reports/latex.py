"""LaTeX: a table of results as a `tabular`."""

from __future__ import annotations

import re

from dp_bench.reports.columns import Cell, ShownColumn, shown
from dp_bench.reports.table import Table
from dp_bench.reports.wording import DAGGER, NOTHING, TIMES

MINUS = "\u2212"
ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # LaTeX would read a bare one as an option of the \\ before it
    DAGGER: r"$^{\dagger}$",
    TIMES: r"$\times$",
    NOTHING: "--",
    MINUS: "$-$",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def to_latex(table: Table) -> str:
    r"""Writes a `tabular` with title and footer; needs `\usepackage{booktabs}`."""
    columns, constant = shown(table)
    return "\n".join(
        [
            *(r"\begin{center}", r"\small", r"\setlength{\tabcolsep}{4pt}"),
            rf"\textbf{{{_escaped(table.title)}}} \\",
            *(_escaped(constant), "", r"\smallskip"),
            *_tabular(columns),
            *("", r"\smallskip"),
            *(r"\begin{minipage}{\linewidth}", r"\footnotesize\raggedright"),
            *(_escaped(line) + r"\par" for line in table.footer),
            *(r"\end{minipage}", r"\end{center}", ""),
        ]
    )


def _tabular(columns: list[ShownColumn]) -> list[str]:
    spec = "".join("l" if column.text else "r" for column in columns)
    headings = [_heading(column.heading) for column in columns]
    rows = zip(*(column.cells for column in columns), strict=True)
    return [
        *(rf"\begin{{tabular}}{{{spec}}}", r"\toprule"),
        *(" & ".join(headings) + r" \\", r"\midrule"),
        *(" & ".join(map(_cell, row)) + r" \\" for row in rows),
        *(r"\bottomrule", r"\end{tabular}"),
    ]


def _heading(text: str) -> str:
    lines = [_escaped(line) for line in text.split("\n")]
    return _stacked(*lines, place="[b]r") if len(lines) > 1 else lines[0]


def _cell(cell: Cell) -> str:
    if not cell.interval:
        return _escaped(cell.value)
    small = rf"\scriptsize {_escaped(cell.interval)}"
    return _stacked(_escaped(cell.value), small, place="[t]r")


def _stacked(*lines: str, place: str) -> str:
    """Stacks lines in a cell without a package; `place` is `[t]r`, say."""
    spec = f"{place[:-1]}{{@{{}}{place[-1]}@{{}}}}"
    return rf"\begin{{tabular}}{spec}" + r" \\ ".join(lines) + r"\end{tabular}"


def _escaped(text: str) -> str:
    """Escapes text; a hyphen in front of a number becomes a minus."""
    text = re.sub(r"(?<!\w)-(?=\d)", MINUS, text)
    return "".join(ESCAPES.get(character, character) for character in text)
