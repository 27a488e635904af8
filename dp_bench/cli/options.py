"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from tyro.conf import Positional, arg

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.starts import env_seeds_of
from dp_bench.util.files import refuse_unwritable

if TYPE_CHECKING:
    from dp_bench.grid.cell import ResolvedCell
    from dp_bench.task import Task


class Command(Protocol):
    """A command: a dataclass whose fields are its options."""

    def run(self) -> None:
        """Does the work and prints the result."""


def hint(text: str) -> Callable[[str], str]:
    """What help says behind an option, in place of tyro's "(default: None)"."""
    return lambda _: f"({text})"


def one_of(
    names: Callable[[], Iterable[str]],
    default: str | Callable[[], str] | None = None,
) -> Callable[[str], str]:
    """Lists the choices of an option behind it; looks them up when help is printed.

    Args:
        names: Gives the choices.
        default: Names the default, or a function that does; None for the first choice.
    """

    def listed(_: str) -> str:
        choices = list(names())
        chosen = default() if callable(default) else default
        return f"(one of {', '.join(choices)}; default: {chosen or choices[0]})"

    return listed


def method_names() -> list[str]:
    """Lists the methods, and says that they have variants."""
    names = list(registry.methods())
    variants = [name for name in registry.methods_and_variants() if name not in names]
    return [*names, f"or a variant such as {variants[0]}"] if variants else names


def usual_methods() -> str:
    """Says which methods are compared if none are named."""
    usual = registry.usual_methods()
    others = [name for name in registry.methods() if name not in usual]
    return f"all but {', '.join(others)}" if others else "all"


def obs_kinds() -> list[str]:
    """Lists the kinds of observation of all tasks."""
    kinds = (kind for task in registry.tasks().values() for kind in task.obs_kinds)
    return list(dict.fromkeys(kinds))


def controls() -> list[str]:
    """Lists the control modes of all tasks."""
    modes = (mode for task in registry.tasks().values() for mode in task.controls)
    return list(dict.fromkeys(modes))


def groups() -> list[str]:
    """Lists the groups of tasks."""
    names = (task.group for task in registry.tasks().values() if task.group)
    return list(dict.fromkeys(names))


Tier = Annotated[
    Literal["smoke", "laptop", "gpu", "paper"],
    arg(
        metavar="TIER",
        help_behavior_hint=hint("one of smoke, laptop, gpu, paper; default: laptop"),
    ),
]
TaskName = Annotated[
    str | None, arg(metavar="TASK", help_behavior_hint=one_of(registry.tasks))
]
MethodName = Annotated[
    str | None, arg(metavar="METHOD", help_behavior_hint=one_of(method_names))
]
RunFolders = Positional[
    Annotated[
        tuple[Path, ...],
        arg(metavar="RUN ...", help_behavior_hint=hint("at least one")),
    ]
]
SourceName = Annotated[
    str | None,
    arg(
        metavar="SOURCE",
        help_behavior_hint=hint("`dp-bench list` shows them; default: the first"),
    ),
]
ObsKind = Annotated[
    str | None,
    arg(metavar="KIND", help_behavior_hint=one_of(obs_kinds, "the task's first")),
]
ResultsFolder = Annotated[
    Path | None,
    arg(
        metavar="PATH",
        help_behavior_hint=hint(
            "default: results; RUNS/results with --preset smoke, --set or --episodes"
        ),
    ),
]
ShardName = Annotated[
    str | None, arg(metavar="I/N", help_behavior_hint=hint("default: everything"))
]
Settings = Annotated[
    tuple[str, ...], arg(metavar="NAME=VALUE ...", help_behavior_hint="")
]
EvaluationDevice = Annotated[
    str,
    arg(
        metavar="DEVICE",
        help_behavior_hint=hint("one of cpu, cuda, cuda:1, ...; default: cpu"),
    ),
]
TrainingDevice = Annotated[
    str,
    arg(
        metavar="DEVICE",
        help_behavior_hint=hint(
            "one of auto, cpu, cuda, cuda:1, ...; default: auto, a GPU if there is one"
        ),
    ),
]


@dataclass(frozen=True)
class GridOptions:
    """`--set training.lr=1e-4` changes a setting, `--set dp_c:training.lr=1e-4` changes
    it for one method only. `dp-bench list --method METHOD` lists the settings.
    """  # noqa: D205 - help shows it as one paragraph

    preset: Tier = "laptop"
    """Tier of the settings: smoke for a quick test, laptop for two CPU cores, gpu for
    one GPU (from images only), paper as published."""
    set: Settings = ()
    """Settings to change."""
    demos: Annotated[
        Path | None,
        arg(metavar="PATH", help_behavior_hint=hint("default: fetched or made")),
    ] = None
    """File or folder with demonstrations of your own."""
    source: SourceName = None
    """Source of the demonstrations."""
    obs: ObsKind = None
    """Kind of observation that the policy sees."""
    control: Annotated[
        str | None,
        arg(metavar="MODE", help_behavior_hint=one_of(controls, "the preset's")),
    ] = None
    """Control mode: what an action sets."""
    episodes: Annotated[
        int | None,
        arg(metavar="N", help_behavior_hint=hint("default: the preset's")),
    ] = None
    """Evaluate on the first N of 1,000 test starts; the first 50 are the protocol's."""
    runs: Path = Path("runs")
    """Folder where runs are stored; finished runs are reused."""
    device: TrainingDevice = "auto"
    """Device to train on."""
    log: Annotated[
        Literal["tensorboard", "wandb"] | None,
        arg(
            metavar="WHERE",
            help_behavior_hint=hint("one of tensorboard, wandb; default: nowhere"),
        ),
    ] = None
    """Where to follow losses and scores while trainings run."""

    def cells(
        self,
        task: Task,
        methods: Sequence[str],
        seeds: Sequence[int],
    ) -> list[ResolvedCell]:
        """Lists the cells of a grid, and checks all of it before anything runs.

        Args:
            task: Their task.
            methods: Names of the methods.
            seeds: Train seeds.

        Raises:
            BadInput: For an option that cannot be used.
        """
        from dp_bench.grid.cell import Cell, resolve

        _check_grid(methods, seeds, self.episodes)
        if self.log:
            from dp_bench.grid import live

            live.check(self.log)
        changes = self._changes(methods)
        cells = [
            Cell(
                task=task.name,
                method=method,
                train_seed=seed,
                preset=self.preset,
                obs_kind=self.obs,
                control=self.control,
                demos=str(self.demos) if self.demos else None,
                source=self.source,
                changes=changes[method],
                episodes=self.episodes,
                runs=str(self.runs),
                device=self.device,
                log=self.log or "",
            )
            for method in methods
            for seed in seeds
        ]
        resolved = resolve(cells, task)
        _refuse_equal(resolved)
        resolved[0].demos.check()
        if not (self.runs / task.name).is_dir():  # finished runs may be read-only
            refuse_unwritable(self.runs / task.name, f"--runs {self.runs}")
        return resolved

    def results(self, out: Path | None, cells: Sequence[ResolvedCell]) -> Path:
        """Chooses the folder of results of these cells.

        Args:
            out: What the user typed.
            cells: With the settings that the user typed.

        Raises:
            BadInput: When `out` is the folder of one task.
        """
        trial = (
            self.preset == "smoke"
            or self.episodes is not None
            or any(cell.names.changes_results for cell in cells)
        )
        out = out or (self.runs / "results" if trial else Path("results"))
        if (out / "records").is_dir():
            raise BadInput(
                f"{out} holds the results of one task; --out names the folder above it"
            )
        return out

    def _changes(
        self, methods: Sequence[str]
    ) -> dict[str, tuple[tuple[str, str], ...]]:
        """Reads `--set` into the changes of each method."""
        changes: dict[str, list[tuple[str, str]]] = {name: [] for name in methods}
        for text in self.set:
            name, value = name_and_value(text)
            owner, colon, field = name.rpartition(":")
            if colon and owner not in changes:
                raise BadInput(
                    f"--set {text} changes {owner!r}, which is not among the methods "
                    f"{', '.join(methods)}"
                )
            for method in [owner] if colon else methods:
                changes[method].append((field, value))
        return {name: tuple(pairs) for name, pairs in changes.items()}


def _refuse_equal(cells: Sequence[ResolvedCell]) -> None:
    """Refuses two cells that settings make one: they would share a run folder."""
    seen: dict[object, str] = {}
    for cell in cells:
        run = (cell.method.name, cell.names.train_seed, repr(cell.settings))
        if run in seen:
            raise BadInput(
                f"{seen[run]} and {cell.names.method} name the same training here; "
                f"leave one out"
            )
        seen[run] = cell.names.method


def _check_grid(
    methods: Sequence[str], seeds: Sequence[int], episodes: int | None
) -> None:
    for name in methods:
        registry.method(name)  # refuses an unknown one
    env_seeds_of("test", episodes, option="--episodes")
    for kind, values in (("method", methods), ("seed", seeds)):
        twice = [value for k, value in enumerate(values) if value in values[:k]]
        if twice:
            raise BadInput(f"{kind} {twice[0]} is named twice")
    negative = [seed for seed in seeds if seed < 0]
    if negative:
        raise BadInput(f"a seed must be 0 or above, got {negative[0]}")


def name_and_value(text: str) -> tuple[str, str]:
    """Splits one word of `--set`; dashes in the name of a setting become underscores.

    Raises:
        BadInput: When it is not NAME=VALUE.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--set takes NAME=VALUE, got {text!r}")
    owner, colon, field = name.rpartition(":")
    return f"{owner}{colon}{field.replace('-', '_')}", value


def task_or_first(name: str | None) -> Task:
    """Looks a task up by name; None means the first."""
    return registry.task(name or next(iter(registry.tasks())))
