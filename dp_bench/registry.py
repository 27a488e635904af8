"""The tables of tasks, methods and samplers: our own, and those of installed packages.

A package adds a `Task` through the entry-point group `dp_bench.tasks`, a `Method`
through `dp_bench.policies`, and a `Sampler` through `dp_bench.samplers`. A broken entry
point is left out with a warning; asking for it by name raises an error with the reason.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Protocol, TypeVar

from dp_bench import references
from dp_bench.errors import BadInput
from dp_bench.method import Method, Sampler
from dp_bench.task import Task


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


class LeftOut(UserWarning):
    """An entry point of an installed package cannot be used, and was left out."""


# Objectives of Diffusion Policy beside `ddpm`, with the settings that they need.
OBJECTIVE_VARIANTS = {
    "flow": {
        "policy.objective": "flow",
        "policy.sampler": "euler",
        "policy.sample_steps": "4",
    },
    "mip": {"policy.objective": "mip"},
    "regression": {"policy.objective": "regression", "policy.noise_draws": "1"},
}

METHODS = {
    method.name: method
    for method in (
        Method(
            name="dp_c",
            title="Diffusion Policy, CNN (DP-C)",
            policy="dp_bench.policies.diffusion.policy:UnetDiffusion",
            about="denoises a sequence of actions with a temporal U-Net",
            presets="dp_bench.presets.dp_c:PRESETS",
            space="dp_bench.presets.dp_c:SPACE",
            variants=OBJECTIVE_VARIANTS,
        ),
        Method(
            name="dp_t",
            title="Diffusion Policy, transformer (DP-T)",
            policy="dp_bench.policies.diffusion.policy:TransformerDiffusion",
            about="denoises a sequence of actions with a transformer",
            presets="dp_bench.presets.dp_t:PRESETS",
            space="dp_bench.presets.dp_t:SPACE",
            variants=OBJECTIVE_VARIANTS,
        ),
        Method(
            name="dp_mlp",
            title="Diffusion Policy, MLP (DP-MLP)",
            policy="dp_bench.policies.diffusion.policy:MlpDiffusion",
            about="denoises a sequence of actions with a residual MLP",
            presets="dp_bench.presets.dp_mlp:PRESETS",
            space="dp_bench.presets.dp_mlp:SPACE",
            variants=OBJECTIVE_VARIANTS,
            on_request=True,
        ),
        Method(
            name="lstm_gmm",
            title="LSTM-GMM",
            policy="dp_bench.baselines.lstm_gmm:LstmGmm",
            about="recurrent network with a Gaussian-mixture output",
            presets="dp_bench.presets.lstm_gmm:PRESETS",
            space="dp_bench.presets.lstm_gmm:SPACE",
        ),
        Method(
            name="ibc",
            title="IBC",
            policy="dp_bench.baselines.ibc:Ibc",
            about="picks the action that minimises a learned energy",
            presets="dp_bench.presets.ibc:PRESETS",
            space="dp_bench.presets.ibc:SPACE",
        ),
        Method(
            name="bet",
            title="BET",
            policy="dp_bench.baselines.bet:Bet",
            about="predicts an action cluster, then an offset",
            presets="dp_bench.presets.bet:PRESETS",
            space="dp_bench.presets.bet:SPACE",
        ),
    )
}


_OURS = "dp_bench.policies.diffusion.samplers"
SAMPLERS = {
    sampler.name: sampler
    for sampler in (
        Sampler("ddim", f"{_OURS}:ddim", ("ddpm",)),
        Sampler("ddpm", f"{_OURS}:ddpm", ("ddpm",), draws_each_call=True),
        Sampler("dpmsolver++", f"{_OURS}:dpmsolver", ("ddpm",)),
        Sampler("heun", f"{_OURS}:heun"),
        Sampler("euler", f"{_OURS}:euler"),
    )
}


SMALL = 20  # episodes of demonstrations in a smoke test


@functools.cache
def tasks() -> Mapping[str, Task]:
    """Returns all tasks by name, our own first.

    A script that makes many demonstrations has a small source, too; see `small_source`.
    """
    ours = references.load("dp_bench.envs:TASKS")
    known = _with_installed(ours, "dp_bench.tasks", Task)
    return {name: _with_small_sources(task) for name, task in known.items()}


def small_source(task: Task, source: str | None) -> str | None:
    """Names the source with the first episodes of a script, "scripted-20" say.

    Args:
        task: Their task.
        source: Name of the full source; None for the task's default.

    Returns:
        `source` itself, where no script makes it or it is small already.
    """
    name = f"{source or task.default_source}-{SMALL}"
    return name if name in task.sources else source


def full_sources(task: Task) -> list[str]:
    """Lists the sources of a task without the small ones."""
    small = {f"{name}-{SMALL}" for name in task.sources}
    return [name for name in task.sources if name not in small]


def _with_small_sources(task: Task) -> Task:
    small = {
        f"{name}-{SMALL}": dataclasses.replace(
            source,
            about=f"the first {SMALL} episodes of {name}, for smoke tests",
            max_episodes=SMALL,
            digest=None,
        )
        for name, source in task.sources.items()
        if source.script and (source.max_episodes or len(source.env_seeds)) > SMALL
    }
    if not small:
        return task
    return dataclasses.replace(task, sources={**task.sources, **small})


@functools.cache
def methods() -> Mapping[str, Method]:
    """Returns all methods by name, our own first, without their variants."""
    return _with_installed(METHODS, "dp_bench.policies", Method)


def usual_methods() -> tuple[str, ...]:
    """Names the methods that are compared if none are named."""
    return tuple(name for name, method in methods().items() if not method.on_request)


def methods_and_variants() -> Mapping[str, Method]:
    """Returns all methods by name, each followed by its variants."""
    known: dict[str, Method] = {}
    for name, method in methods().items():
        known |= {name: method, **method.all_variants()}
    return {**known, **methods()}  # a method hides a variant of the same name


@functools.cache
def samplers() -> Mapping[str, Sampler]:
    """Returns all samplers by name, our own first."""
    return _with_installed(SAMPLERS, "dp_bench.samplers", Sampler)


# Why entry points were left out, by kind and name.
_left_out: dict[tuple[type[object], str], str] = {}


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
    return _find(tasks(), Task, name)


def method(name: str) -> Method:
    """Finds a method by name.

    Raises:
        BadInput: When no method has this name; the error lists the names.
    """
    return _find(methods_and_variants(), Method, name, list(methods()))


def sampler(name: str) -> Sampler:
    """Finds a sampler by name.

    Raises:
        BadInput: When no sampler has this name; the error lists the names.
    """
    return _find(samplers(), Sampler, name)


def samplers_for(objective: str) -> list[str]:
    """Names the samplers for an objective; none where decisions draw no noise."""
    return [s.name for s in samplers().values() if objective in s.objectives]


def title_of(name: str) -> str:
    """Returns a method's label in tables; the name itself for an unknown method.

    Records may come from a machine that had other packages installed.
    """
    known = methods_and_variants().get(name)
    return known.title if known else name


def position_of(name: str) -> int:
    """Returns a method's place in tables and plots; unknown methods come last."""
    names = list(methods_and_variants())
    return names.index(name) if name in names else len(names)


def entry_points(*, group: str) -> list[EntryPoint]:
    """Lists what installed packages offer; a package counts where it comes first.

    A package whose metadata are damaged is left out with a warning. Python's own
    function would give nothing at all.
    """
    found: dict[str, list[EntryPoint]] = {}
    for package in distributions():
        try:
            points = list(package.entry_points.select(group=group))
        except (ValueError, TypeError, LookupError, AttributeError, OSError) as error:
            warnings.warn(
                f"the metadata of {_package(package)} cannot be read ({error}); its "
                f"tasks, methods and samplers are left out: install the package again",
                LeftOut,
                stacklevel=4,
            )
            continue
        if points:
            found.setdefault(_package(package), points)
    return [point for points in found.values() for point in points]


def _package(package: Distribution) -> str:
    """Names an installed package, or its folder where its metadata have no name."""
    try:
        name = package.metadata["Name"]
    except (ValueError, TypeError, LookupError, AttributeError, OSError):
        name = None
    return f"package {name!r}" if name else f"a package in {package.locate_file('')}"


def _with_installed(ours: Mapping[str, N], group: str, kind: type[N]) -> dict[str, N]:
    table = dict(ours)
    points = sorted(entry_points(group=group), key=lambda point: point.name)
    offers = Counter(point.name for point in points)
    for point in points:
        _left_out.pop((kind, point.name), None)
    for point in points:
        try:
            if offers[point.name] > 1:
                raise BadInput(
                    f"{_described(point)} is one of {offers[point.name]} with this name"
                )
            table[point.name] = _member(point, kind, ours)
        except BadInput as error:
            _left_out[kind, point.name] = str(error)
            word = kind.__name__.lower()
            warnings.warn(
                f"{error}; the {word} is left out: mend or uninstall the package",
                LeftOut,
                stacklevel=4,
            )
    return table


def _member(point: EntryPoint, kind: type[N], ours: Mapping[str, N]) -> N:
    """Loads and checks the member of an entry point."""
    try:
        member = point.load()
    except (Exception, SystemExit) as error:  # whatever code of others raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"{_described(point)} cannot be loaded: {reason}") from error
    if not isinstance(member, kind):
        raise BadInput(
            f"{_described(point)} must be a {kind.__name__}, and is a "
            f"{type(member).__name__}"
        )
    if member.name != point.name or member.name in ours:
        raise BadInput(
            f"{_described(point)} names {member.name!r}: the two names must be equal, "
            f"and no {kind.__name__.lower()} of dp-bench may have them"
        )
    return member


def _described(point: EntryPoint) -> str:
    """Names an entry point and the package that declares it."""
    package = f" of {_package(point.dist)}" if point.dist else ""
    return f"entry point {point.name!r}{package} (group {point.group!r}, {point.value})"


def _find(
    table: Mapping[str, N], kind: type[N], name: str, listed: Sequence[str] = ()
) -> N:
    """Finds a member; an error lists all of the table, or those that are given."""
    if name in table:
        return table[name]
    word = kind.__name__.lower()
    if (kind, name) in _left_out:
        raise BadInput(f"{word} {name!r} cannot be used: {_left_out[kind, name]}")
    near = difflib.get_close_matches(name, table, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise BadInput(f"no {word} {name!r}{hint}; there are {', '.join(listed or table)}")
