"""Text of strangers in messages: on one line, printable and not too long."""

from __future__ import annotations

LONGEST_VALUE = 200  # letters of a value in a message
LONGEST_SENTENCE = 1200  # letters of a message


def one_line(text: str) -> str:
    r"""Writes line breaks and other control characters as `\n`, `\x1b`, say."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shown(value: object) -> str:
    """Shows a value in a message; the middle of a long one is left out."""
    return _cut(repr(value), LONGEST_VALUE)


def sentence(error: object) -> str:
    """Writes an error on one line; the middle of a long one is left out.

    Names of files and values in files may hold line breaks, and escape sequences that
    act on a terminal.
    """
    return _cut(one_line(str(error)), LONGEST_SENTENCE)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    end = most // 4
    return f"{text[: most - end - 5]} ... {text[-end:]}"
