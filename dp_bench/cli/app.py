"""The commands of `dp-bench`, and what happens to their errors."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Final, TextIO, cast

import tyro

from dp_bench.cli.collect import Collect
from dp_bench.cli.compare import Compare
from dp_bench.cli.demo import Demo
from dp_bench.cli.demos import (
    CheckDemos,
    CompareDemos,
    GetDemos,
    RenderDemos,
    refuse_old_spelling,
)
from dp_bench.cli.evaluate import Evaluate
from dp_bench.cli.export import Export
from dp_bench.cli.list import List
from dp_bench.cli.modes import Modes
from dp_bench.cli.options import Command
from dp_bench.cli.pack import Pack
from dp_bench.cli.power import Power
from dp_bench.cli.report import Report
from dp_bench.cli.study_encoders import StudyEncoders
from dp_bench.cli.study_samplers import StudySamplers
from dp_bench.cli.train import Train
from dp_bench.cli.tune import Tune
from dp_bench.cli.watch import Watch
from dp_bench.errors import BadInput
from dp_bench.registry import LeftOut
from dp_bench.util.memory import keep_freed_memory
from dp_bench.util.processes import signals_stop
from dp_bench.util.text import sentence
from dp_bench.util.threads import SPIN

ABOUT = """\
Compare robot policies that learn from demonstrations. Every method learns
from the same demonstrations under the same seeds, and tables give intervals.
  dp-bench list                      shows tasks, methods and presets
  dp-bench compare --task blockpush  trains and compares all methods
  dp-bench COMMAND --help            shows the options of a command
  dp-bench --version                 shows the version
"""
ABOUT_DEMOS = """\
Get, check, render or compare demonstrations.
  dp-bench demos get pusht
  dp-bench demos check my_demos.hdf5 --task pusht
  dp-bench demos compare blockpush --against published.npz
"""
ABOUT_STUDY = """\
Compare encoders or samplers of a method on validation starts.
  dp-bench study encoders --task pusht --minutes 20
  dp-bench study samplers RUN
"""

COMMANDS: Final[dict[str, type[Command]]] = {
    "list": List,
    "demo": Demo,
    "demos get": GetDemos,
    "demos check": CheckDemos,
    "demos render": RenderDemos,
    "demos compare": CompareDemos,
    "train": Train,
    "eval": Evaluate,
    "compare": Compare,
    "collect": Collect,
    "study encoders": StudyEncoders,
    "study samplers": StudySamplers,
    "tune": Tune,
    "watch": Watch,
    "pack": Pack,
    "modes": Modes,
    "power": Power,
    "report": Report,
    "export": Export,
}
GROUPS = {"demos": ABOUT_DEMOS, "study": ABOUT_STUDY}
CONFIG = (
    tyro.conf.OmitArgPrefixes,
    tyro.conf.OmitSubcommandPrefixes,
    tyro.conf.DisallowNone,  # "None" is a word like any other
)


def main(args: Sequence[str] | None = None) -> None:
    """Runs a command; reports wrong input in one sentence, with exit code 2."""
    os.environ.update({**SPIN, **os.environ})
    if args is None:  # this process ends with the command
        keep_freed_memory()
    words = list(sys.argv[1:] if args is None else args)
    try:
        if words == ["--version"]:
            print(f"dp-bench {version('dp-bench')}")
            return
        refuse_old_spelling(words)
        with signals_stop(), _packages_left_out_are_said():
            parse(words).run()
    except BadInput as error:
        print(f"dp-bench: {sentence(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\ndp-bench: stopped; the same command resumes here", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print(f"dp-bench: {sentence(error)}", file=sys.stderr)
        sys.exit(1)


@contextlib.contextmanager
def _packages_left_out_are_said() -> Iterator[None]:
    """Shows that a broken package was left out as one line, like an error."""
    with warnings.catch_warnings():
        usual, said = warnings.showwarning, set[str]()

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, LeftOut):
                if str(message) in said:  # tasks and methods are looked up apart
                    return
                said.add(str(message))
                print(f"dp-bench: {sentence(message)}", file=sys.stderr, flush=True)
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        warnings.simplefilter("always", LeftOut)
        yield


def parse(words: Sequence[str]) -> Command:
    """Turns words into a command; tyro prints help and refuses unknown options."""
    app = tyro.extras.SubcommandApp()
    groups: dict[str, tyro.extras.SubcommandApp] = {}
    for name, command in COMMANDS.items():
        *group, last = name.split()
        owner = app
        if group:
            if group[0] not in groups:
                groups[group[0]] = tyro.extras.SubcommandApp()
                about = _about(group[0], GROUPS[group[0]], words)
                app.command(groups[group[0]], name=group[0], help=about)
            owner = groups[group[0]]
        about = _about(last, inspect.getdoc(command) or "", words)
        owner.command(name=last, help=about)(command)
    return cast(
        Command,
        app.cli(prog="dp-bench", description=_kept(ABOUT), args=words, config=CONFIG),
    )


def _about(name: str, text: str, words: Sequence[str]) -> str:
    """The whole description in a command's own help, its first line in a list."""
    return _kept(text) if name in words else text.splitlines()[0]


def _kept(text: str) -> str:
    """Keeps the lines of a text apart: tyro joins those that begin with a letter.

    It also doubles blank lines before indented ones, so they are left out.
    """
    return "\n".join(f" {line}" for line in text.splitlines() if line)
