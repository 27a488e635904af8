"""`dp-bench list`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from dp_bench import registry
from dp_bench.cli.options import ObsKind, Tier, one_of, task_or_first

if TYPE_CHECKING:
    from dp_bench.task import Task

WIDTH = 100  # columns of a table in a pipe or a file

TIERS = (
    "presets: smoke (a test), laptop (two CPU cores), gpu (one GPU, for images), "
    "paper (as published)"
)


@dataclass(frozen=True)
class List:
    """Show tasks, methods and presets.

    --task shows one task in detail, --method shows all settings of a method.

    Examples:
      dp-bench list
      dp-bench list --task pusht
      dp-bench list --method dp_c --task pusht --preset paper
    """

    task: Annotated[
        str | None,
        arg(metavar="TASK", help_behavior_hint=one_of(registry.tasks, "all")),
    ] = None
    """Show this task, or the settings for this task."""
    method: Annotated[
        str | None,
        arg(metavar="METHOD", help_behavior_hint=one_of(registry.methods, "all")),
    ] = None
    """Show all settings of this method, in the form that --set takes."""
    preset: Tier = "laptop"
    """Tier of these settings."""
    obs: ObsKind = None
    """Kind of observation of these settings."""

    def run(self) -> None:
        """Prints the tables, or the settings."""
        if self.method:
            _print_settings(
                self.method, task_or_first(self.task), self.preset, self.obs
            )
        elif self.task:
            _print_task(registry.task(self.task))
        else:
            _print_overview()


def _print_overview() -> None:
    tasks = registry.tasks().values()
    _print_columns(
        {
            "task": None,
            "goal": None,
            "observations": 16,
            "control": None,
            "steps": None,
            "demonstrations": 16,
        },
        (
            (
                task.name,
                task.about,
                _observations(task),
                ", ".join(task.controls),
                str(task.max_steps),
                ", ".join(registry.full_sources(task)) or "none",
            )
            for task in tasks
        ),
    )
    _print_columns(
        {"method": None, "name": None, "what it does": None},
        ((m.name, m.title, m.about) for m in registry.methods().values()),
    )
    for group in dict.fromkeys(task.group for task in tasks if task.group):
        members = ", ".join(task.name for task in tasks if task.group == group)
        print(f"`dp-bench compare --task {group}` runs {members}")
    print(TIERS)


def _print_task(task: Task) -> None:
    print(f"{task.name}: {task.about}")
    print(f"  observations    {_observations(task)}")
    for kind, keys in task.obs_keys.items():
        print(f"  {'':15} {kind} holds {', '.join(keys)}")
    print(f"  control         {', '.join(task.controls)}")
    print(f"  episode         at most {task.max_steps} steps")
    print(f"  variants        {', '.join(task.variants)}")
    for k, (name, source) in enumerate(task.sources.items()):
        print(f"  {'' if k else 'demonstrations':15} {name}: {source.about}")


def _observations(task: Task) -> str:
    """Lists the observations of a task with their dimensions."""
    return ", ".join(
        f"{kind} {task.obs_dims[kind]}" if kind in task.obs_dims else kind
        for kind in task.obs_kinds
    )


def _print_settings(
    method_name: str, task: Task, tier: Tier, obs_kind: str | None
) -> None:
    from dp_bench.presets import preset
    from dp_bench.util import settings

    method = registry.method(method_name)
    task.check(obs_kind=obs_kind)
    values = settings.names(preset(method, task.name, tier, obs_kind))
    words = ", ".join(filter(None, (tier, obs_kind)))
    print(f"{method.name} on {task.name}, {words} (change with --set NAME=VALUE)")
    if method.variants:
        print(f"variants with other objectives: {', '.join(method.all_variants())}")
    _print_columns(
        {"name": None, "value": None},
        (
            (name, ",".join(map(str, v)) if isinstance(v, tuple) else str(v))
            for name, v in values.items()
            if name.startswith(("policy.", "training.", "vision."))
        ),
    )


def _print_columns(
    headings: Mapping[str, int | None], rows: Iterable[Sequence[str]]
) -> None:
    """Prints a table whose cells wrap between words and are never cut.

    Args:
        headings: Headings, each with the largest width of its column.
        rows: One text for each heading.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading, width in headings.items():
        table.add_column(heading, max_width=width, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    console.print(table)
