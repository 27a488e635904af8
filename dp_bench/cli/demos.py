"""`dp-bench demos get`, `check`, `render` and `compare`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from dp_bench import registry
from dp_bench.cli.options import (
    ShardName,
    SourceName,
    controls,
    hint,
    obs_kinds,
    one_of,
)
from dp_bench.errors import BadInput
from dp_bench.util.files import refuse_unwritable
from dp_bench.util.shard import Shard

if TYPE_CHECKING:
    from dp_bench.data.demos import Demos
    from dp_bench.task import Task

ACTIONS = ("get", "check", "render", "compare")


def _task_hint(_: str) -> str:
    return f"(one of {', '.join(registry.tasks())})"


TaskArgument = Positional[
    Annotated[str | None, arg(metavar="TASK", help_behavior_hint=_task_hint)]
]
Mask = Annotated[str | None, arg(metavar="MASK", help_behavior_hint="")]


@dataclass(frozen=True)
class GetDemos:
    """Download, make or import demonstrations of a task.

    They go to the user's cache, or to the folder that DP_BENCH_DATA names.

    Examples:
      dp-bench demos get pusht
      dp-bench demos get pusht --from pusht.zip
    """

    task: TaskArgument = None
    """Task whose demonstrations you want."""
    from_: Annotated[
        Path | None,
        arg(name="from", metavar="PATH", help_behavior_hint=hint("optional")),
    ] = None
    """File or folder to import, in place of a download."""
    mask: Mask = None
    """Import only the episodes of this list in a robomimic file."""
    source: SourceName = None
    """Source of the demonstrations."""

    def run(self) -> None:
        """Gets the demonstrations, and describes them."""
        from dp_bench.data import replay, store

        task = _named(self.task, "get")
        if self.mask is not None and self.from_ is None:
            raise BadInput(f"--mask {self.mask} goes with --from FILE")
        known = self.from_ is None and store.find(task, self.source) is not None
        path = store.obtain(task, self.source, self.from_, self.mask)
        demos = store.load_demos(task, self.source, path)
        print(f"{path}\n{_described(demos)}", flush=True)
        recipe = task.sources.get(demos.source)
        if not (known or (self.from_ is None and recipe and recipe.script)):
            print(replay.of_a_few(demos, task, path))


@dataclass(frozen=True)
class CheckDemos:
    """Replay a file of demonstrations and compare the scores.

    Examples:
      dp-bench demos check my_demos.hdf5 --task pusht
      dp-bench demos check my_demos.hdf5 --control velocity
    """

    file: Positional[
        Annotated[Path | None, arg(metavar="FILE", help_behavior_hint=hint("required"))]
    ] = None
    """File of demonstrations."""
    task: Annotated[
        str | None,
        arg(
            metavar="TASK",
            help_behavior_hint=one_of(registry.tasks, "the task that the file names"),
        ),
    ] = None
    """Task of the demonstrations, where the file does not name it."""
    source: SourceName = None
    """Source of the demonstrations, where the file does not name it."""
    mask: Mask = None
    """Check only the episodes of this list in a robomimic file."""
    control: Annotated[
        str | None,
        arg(
            metavar="MODE",
            help_behavior_hint=one_of(controls, "as recorded"),
        ),
    ] = None
    """Replay converted actions, too, to show what the conversion loses."""

    def run(self) -> None:
        """Replays the demonstrations, and prints a summary."""
        from dp_bench.data import replay
        from dp_bench.data.actions import actions_of

        if self.file is None:
            raise BadInput("name the file: `dp-bench demos check FILE`")
        task, demos = self._read(self.file)
        actions_of(task, demos, self.control)  # refuses before the replay
        print(_described(demos))
        report = replay.replay(demos, task)
        print("\n".join(report.summary_lines()))
        if self.control in (None, demos.env_kwargs.get("control", task.controls[0])):
            return
        converted = replay.replay(demos, task, control=self.control)
        print("\n".join(converted.summary_lines() + converted.loss_lines(report)))

    def _read(self, file: Path) -> tuple[Task, Demos]:
        """Reads the file; one that dp-bench wrote names its task."""
        from dp_bench.data import hdf5, readers

        if self.task is None and not self.mask and hdf5.is_ours(file):
            demos = hdf5.load(file)
            return registry.task(demos.task), demos
        if not file.exists():
            raise BadInput(f"{file} does not exist")
        if self.task is None:
            raise BadInput(
                f"{file} does not name its task: add --task and one of "
                f"{', '.join(registry.tasks())}"
            )
        task = registry.task(self.task)
        return task, readers.read(file, task, self.source, self.mask)


@dataclass(frozen=True)
class RenderDemos:
    """Draw the images of demonstrations from their states.

    They go to a file beside the imported demonstrations. After an interruption,
    the same command continues.

    Examples:
      dp-bench demos render can
      dp-bench demos render pusht --demos my_demos.hdf5
    """

    task: TaskArgument = None
    """Task of the demonstrations."""
    source: SourceName = None
    """Source of the demonstrations; they are fetched or made where they are missing."""
    demos: Annotated[
        Path | None, arg(metavar="FILE", help_behavior_hint=hint("optional"))
    ] = None
    """File of demonstrations, in place of those of a source."""
    obs: Annotated[
        str | None,
        arg(
            metavar="KIND",
            help_behavior_hint=one_of(obs_kinds, "the task's first with images"),
        ),
    ] = None
    """Kind of observation that the images belong to."""
    shard: ShardName = None
    """Draw only part I of N of the episodes; draw the others on other machines. All
    write to one shared folder, and the last part joins the images."""

    def run(self) -> None:
        """Renders the images unless they are there, and names their file."""
        from dp_bench.data import frames, image_sources, observed, rendering, store

        task = _named(self.task, "render")
        shard = Shard.read(self.shard)
        task.check(obs_kind=self.obs)
        kind = self.obs or rendering.image_kind(task)
        if self.demos is None:
            store.obtain(task, self.source)
        demos = store.load_demos(task, self.source, self.demos)
        print(_described(demos), flush=True)
        keys = observed.lacking(task, demos, kind)
        if not keys:
            print(f"the demonstrations themselves hold all of {kind!r}")
            return
        places = store.frames_places(demos, is_imported=self.demos is None)
        if shard.is_all:
            path = image_sources.find_or_make(
                demos,
                keys,
                places,
                lambda path: image_sources.render(task, demos, keys, path, kind),
            )
        else:
            part = image_sources.render_part(task, demos, keys, places, kind, shard)
            if part is None:
                print(f"{shard} is drawn; other parts are missing")
                return
            path = part
        print(f"{path}\nimages {', '.join(keys)}, digest {frames.digest_of(path)}")


@dataclass(frozen=True)
class CompareDemos:
    """Compare two sets of demonstrations of a task.

    Example:
      dp-bench demos compare blockpush --against published.npz --other published
    """

    task: TaskArgument = None
    """Task of both sets."""
    against: Annotated[
        Path | None, arg(metavar="FILE", help_behavior_hint=hint("required"))
    ] = None
    """File with the second set."""
    source: SourceName = None
    """Source of the first set, which is fetched or made where it is missing."""
    other: SourceName = None
    """Source of the second set, where its file does not name it."""
    out: Path = Path("results")
    """Folder of results; table and figure go to `OUT/TASK/demos.*`."""

    def run(self) -> None:
        """Prints and writes the comparison."""
        from dp_bench.data import compare, readers, store
        from dp_bench.reports import demos_comparison

        task = _named(self.task, "compare")
        if self.against is None:
            raise BadInput(f"name the second set: --against FILE beside {task.name}")
        task.check(source=self.other)
        refuse_unwritable(self.out / task.name, f"--out {self.out}")
        path = store.obtain(task, self.source)
        demos = store.load_demos(task, self.source, path)
        print(f"{path}\n{_described(demos)}")
        other = readers.read(self.against, task, self.other)
        comparison = compare.compare(task, demos, other)
        print(f"\n{_described(other)}\n\n{demos_comparison.to_markdown(comparison)}")
        demos_comparison.write(comparison, self.out / task.name)
        print(f"table and figure: {self.out / task.name}/demos.*")


def _named(name: str | None, action: str) -> Task:
    """Looks up the task that a command needs."""
    if name is None:
        raise BadInput(
            f"name a task: `dp-bench demos {action} TASK`; there are "
            f"{', '.join(registry.tasks())}"
        )
    return registry.task(name)


def refuse_old_spelling(words: Sequence[str]) -> None:
    """Refuses `dp-bench demos TASK` and names the command that replaces it."""
    match words:
        case ["demos", task, *rest] if task not in ACTIONS and task[0] != "-":
            pass
        case _:
            return
    if rest and not rest[0].startswith("-"):
        rest = ["--from", *rest]
    action = "compare" if "--against" in rest else "get"
    command = shlex.join(["dp-bench", "demos", action, task, *rest])
    raise BadInput(f"`dp-bench demos {task}` is now `{command}`")


def _described(demos: Demos) -> str:
    """Describes demonstrations for a person."""
    kinds = ", ".join(f"{k} {v.shape[1:]}" for k, v in demos.obs.items())
    return (
        f"{demos.task}, {demos.source}: {demos.num_episodes} episodes, "
        f"{len(demos.actions)} steps, observations {kinds}, "
        f"mean recorded score {demos.scores.mean():.3f}\ndigest {demos.digest}"
    )
