"""The tables of tasks and methods: our own, and those of installed packages.

A package adds a `Task` through the entry-point group `dp_bench.tasks`, and a `Method`
through `dp_bench.policies`.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Protocol, TypeVar

from dp_bench import references
from dp_bench.errors import BadInput
from dp_bench.method import Method
from dp_bench.task import Task


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


METHODS = {
    method.name: method
    for method in (
        Method(
            name="dp_c",
            title="Diffusion Policy, CNN (DP-C)",
            policy="dp_bench.policies.diffusion.policy:UnetDiffusion",
            about="denoises a sequence of actions with a temporal U-Net",
            presets="dp_bench.presets.dp_c:PRESETS",
        ),
        Method(
            name="dp_t",
            title="Diffusion Policy, transformer (DP-T)",
            policy="dp_bench.policies.diffusion.policy:TransformerDiffusion",
            about="denoises a sequence of actions with a transformer",
            presets="dp_bench.presets.dp_t:PRESETS",
        ),
        Method(
            name="lstm_gmm",
            title="LSTM-GMM",
            policy="dp_bench.baselines.lstm_gmm:LstmGmm",
            about="recurrent network with a Gaussian-mixture output",
            presets="dp_bench.presets.lstm_gmm:PRESETS",
        ),
        Method(
            name="ibc",
            title="IBC",
            policy="dp_bench.baselines.ibc:Ibc",
            about="picks the action that minimises a learned energy",
            presets="dp_bench.presets.ibc:PRESETS",
        ),
        Method(
            name="bet",
            title="BET",
            policy="dp_bench.baselines.bet:Bet",
            about="predicts an action cluster, then an offset",
            presets="dp_bench.presets.bet:PRESETS",
        ),
    )
}


@functools.cache
def tasks() -> Mapping[str, Task]:
    """Returns all tasks by name, our own first."""
    ours = references.load("dp_bench.envs:TASKS")
    return _with_installed(ours, "dp_bench.tasks", Task)


@functools.cache
def methods() -> Mapping[str, Method]:
    """Returns all methods by name, our own first."""
    return _with_installed(METHODS, "dp_bench.policies", Method)


def task(name: str) -> Task:
    """Finds a task by name.

    Raises:
        BadInput: When no task has this name; the error lists the names.
    """
    members = [task.name for task in tasks().values() if task.group == name]
    if members and name not in tasks():
        raise BadInput(
            f"{name!r} is a group of tasks, and only compare takes a group; name one "
            f"of its tasks: {', '.join(members)}"
        )
    return _find(tasks(), "task", name)


def method(name: str) -> Method:
    """Finds a method by name.

    Raises:
        BadInput: When no method has this name; the error lists the names.
    """
    return _find(methods(), "method", name)


def title_of(name: str) -> str:
    """Returns a method's label in tables; the name itself for an unknown method.

    Records may come from a machine that had other packages installed.
    """
    known = methods().get(name)
    return known.title if known else name


def position_of(name: str) -> int:
    """Returns a method's place in tables and plots; unknown methods come last."""
    names = list(methods())
    return names.index(name) if name in names else len(names)


def _with_installed(ours: Mapping[str, N], group: str, kind: type[N]) -> dict[str, N]:
    table = dict(ours)
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        try:
            member = point.load()
        except Exception as error:
            raise BadInput(
                f"entry point {point.name!r} of group {group!r} ({point.value}) "
                f"cannot be loaded: {error}"
            ) from error
        if not isinstance(member, kind):
            raise BadInput(
                f"entry point {point.name!r} of group {group!r} must be a "
                f"{kind.__name__}, and is a {type(member).__name__}"
            )
        if member.name != point.name or member.name in table:
            raise BadInput(
                f"entry point {point.name!r} of group {group!r} names "
                f"{member.name!r}: the two names must be equal, and no other "
                f"{kind.__name__.lower()} may have them"
            )
        table[member.name] = member
    return table


def _find(table: Mapping[str, N], kind: str, name: str) -> N:
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise BadInput(f"no {kind} {name!r}{hint}; there are {', '.join(table)}")
