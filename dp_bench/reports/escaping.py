"""Text from files, made harmless for each format: one function a format."""

from __future__ import annotations

import re

from dp_bench.reports.wording import DAGGER, DOUBLE_DAGGER, NOTHING, TIMES
from dp_bench.util.text import one_line

MINUS = "\u2212"
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # LaTeX would read a bare one as an option of the \\ before it
    DAGGER: r"$^{\dagger}$",
    DOUBLE_DAGGER: r"$^{\ddagger}$",
    TIMES: r"$\times$",
    NOTHING: "--",
    MINUS: "$-$",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def for_terminal(text: str) -> str:
    """Escapes text for a terminal, where escape sequences could act; keeps its lines.

    Pass it to rich as `Text`, or rich reads markup in it.
    """
    return "\n".join(map(one_line, text.split("\n")))


def for_markdown(text: str, *, names: bool = False) -> str:
    """Escapes text for a Markdown paragraph or a cell of a table.

    Args:
        text: Any.
        names: Whether underscores inside words stay plain: they are no markup.
    """
    text = re.sub(r"([|*_<\\`])", r"\\\1", one_line(text))
    text = re.sub(r"\](?=[(\[])", r"\\]", text)  # links; intervals stay readable
    return re.sub(r"(?<=\w)\\_(?=\w)", "_", text) if names else text


def for_latex(text: str) -> str:
    """Escapes text for LaTeX; a hyphen in front of a number becomes a minus."""
    text = re.sub(r"(?<!\w)-(?=\d)", MINUS, one_line(text))
    return "".join(LATEX.get(character, character) for character in text)


def for_csv(cell: object) -> object:
    """Keeps a spreadsheet from reading text as a formula; numbers stay as they are."""
    if not isinstance(cell, str):
        return cell
    text = one_line(cell)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
