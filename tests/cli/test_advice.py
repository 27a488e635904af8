"""Advice: every command and option that a message names exists."""

import ast
import dataclasses
import re
import typing
from pathlib import Path

import pytest

from dp_bench.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]
FILES = sorted(
    file
    for folder in ("dp_bench", "envs", "baselines")
    for file in (ROOT / folder).rglob("*.py")
)
OTHER_PROGRAMS = ("pip ", "make ", "h5repack ")


def options_of(command):
    """The options of a command, as they are typed."""
    hints = typing.get_type_hints(command, include_extras=True)
    found = {"--help"}
    for field in dataclasses.fields(command):
        kind = hints[field.name]
        inner = typing.get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
        if dataclasses.is_dataclass(inner):
            found |= options_of(inner)
        else:
            found.add("--" + field.name.rstrip("_").replace("_", "-"))
    return found


OPTIONS = {name: options_of(command) for name, command in COMMANDS.items()}
EVERY_OPTION = set().union(*OPTIONS.values(), {"--version"})


def messages(source):
    """The sentences of a file, without docstrings; values in them are X."""
    tree = ast.parse(source)
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                p.value if isinstance(p, ast.Constant) else "X" for p in node.values
            )
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and " " in node.value
            and id(node) not in inside | docstrings
        ):
            yield node.value


def wrong_advice(text, options=EVERY_OPTION):
    """Commands and options in a text that do not exist.

    Args:
        text: A sentence.
        options: The options that it may name alone, without their command.
    """
    wrong = []
    quoted = re.findall(r"`dp-bench ([^`]*)`|^ *dp-bench (.*)$", text, re.MULTILINE)
    for words in map("".join, quoted):
        if words.startswith(("-", "COMMAND", "X")):
            continue
        name = next((n for n in OPTIONS if f"{words} ".startswith(f"{n} ")), None)
        group = next((n for n in OPTIONS if n.startswith(f"{words.split()[0]} ")), None)
        if name is None and group is None:
            wrong.append(f"dp-bench {words}")
            continue
        known = OPTIONS[name] if name else EVERY_OPTION
        wrong += [o for o in re.findall(r"--[a-z][a-z-]*", words) if o not in known]
    if not any(program in text for program in OTHER_PROGRAMS):
        alone = re.sub(r"`dp-bench [^`]*`", "", text)
        bare = re.findall(r"(?<![\w-])--[a-z][a-z-]*", alone)
        wrong += [option for option in bare if option not in options]
    return wrong


def test_wrong_advice_is_found():
    assert wrong_advice("use `dp-bench train --processes 1`") == ["--processes"]
    assert wrong_advice("use `dp-bench tarin`") == ["dp-bench tarin"]
    assert wrong_advice("use --procs") == ["--procs"]
    assert not wrong_advice("use `dp-bench demos get X --from PATH` or --processes")


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_advice_names_commands_and_options_that_exist(file):
    for text in messages(file.read_text(encoding="utf-8")):
        assert not wrong_advice(text), text


@pytest.mark.parametrize(
    "file", sorted((ROOT / "dp_bench/util").glob("*.py")), ids=lambda f: f.name
)
def test_code_that_every_command_shares_names_no_option_of_some(file):
    shared = set.intersection(*OPTIONS.values())
    for text in messages(file.read_text(encoding="utf-8")):
        assert not wrong_advice(text, shared), text


@pytest.mark.parametrize(
    "file",
    [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))],
    ids=lambda f: f.name,
)
def test_the_manual_names_commands_and_options_that_exist(file):
    commands = re.findall(r"dp-bench [^`\n#|]*", file.read_text(encoding="utf-8"))
    for command in commands:
        if command.split()[1].split(" ")[0] in {n.split()[0] for n in OPTIONS}:
            assert not wrong_advice(f"`{command.strip()}`"), command
