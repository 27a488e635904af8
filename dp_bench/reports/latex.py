"""LaTeX: a table of results as a `tabular`."""

from __future__ import annotations

from dp_bench.reports.columns import Cell, ShownColumn, shown
from dp_bench.reports.escaping import for_latex
from dp_bench.reports.table import Table


def to_latex(table: Table) -> str:
    r"""Writes a `tabular` with title and footer; needs `\usepackage{booktabs}`."""
    columns, constant = shown(table)
    return "\n".join(
        [
            *(r"\begin{center}", r"\small", r"\setlength{\tabcolsep}{4pt}"),
            rf"\textbf{{{for_latex(table.title)}}} \\",
            *(for_latex(constant), "", r"\smallskip"),
            *_tabular(columns),
            *("", r"\smallskip"),
            *(r"\begin{minipage}{\linewidth}", r"\footnotesize\raggedright"),
            *(for_latex(line) + r"\par" for line in table.footer),
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
    lines = [for_latex(line) for line in text.split("\n")]
    return _stacked(*lines, place="[b]r") if len(lines) > 1 else lines[0]


def _cell(cell: Cell) -> str:
    if not cell.interval:
        return for_latex(cell.value)
    small = rf"\scriptsize {for_latex(cell.interval)}"
    return _stacked(for_latex(cell.value), small, place="[t]r")


def _stacked(*lines: str, place: str) -> str:
    """Stacks lines in a cell without a package; `place` is `[t]r`, say."""
    spec = f"{place[:-1]}{{@{{}}{place[-1]}@{{}}}}"
    return rf"\begin{{tabular}}{spec}" + r" \\ ".join(lines) + r"\end{tabular}"
