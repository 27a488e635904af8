"""Every text file is UTF-8, whatever the locale or code page of the machine."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    f for part in ("dp_bench", "envs", "baselines") for f in (ROOT / part).rglob("*.py")
]


def opens_text(call):
    """Whether a call opens a text file or pipe; binary modes and descriptors do not."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in ("read_text", "write_text"):
        return True
    if name == "open":
        given = [*call.args, *(k.value for k in call.keywords if k.arg == "mode")]
        modes = [a.value for a in given if isinstance(a, ast.Constant)]
        return not call.args or any(m in ("r", "w", "a", "x") for m in modes)
    return any(k.arg in ("text", "universal_newlines") for k in call.keywords) and (
        name in ("run", "Popen", "check_output")
    )


def without_encoding(source):
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and opens_text(node)
        and not any(k.arg in ("encoding", None) for k in node.keywords)
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_every_text_file_names_its_encoding(file):
    lines = without_encoding(file.read_text(encoding="utf-8"))
    assert not lines, f"{file}, lines {lines}: name encoding='utf-8'"


@pytest.mark.parametrize(
    "source", ["p.write_text(x)", "p.read_text()", "open(p, 'w')", "run(c, text=True)"]
)
def test_the_check_finds_what_it_is_for(source):
    assert without_encoding(source) == [1]
