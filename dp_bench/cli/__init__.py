"""The command line: dp-bench list | demos | train | eval | compare | modes | report."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.task import TEST_STARTS

if TYPE_CHECKING:
    from dp_bench.reports.table import Table

Words = tyro.conf.arg
Tier = Literal["smoke", "laptop", "paper"]


@dataclass(frozen=True)
class List:
    """Show the tasks and methods there are; with --method, all of its settings.

    Examples: `dp-bench list`, `dp-bench list --method dp_c --task pusht`.
    """

    task: str | None = None
    """Task whose settings are shown."""
    method: str | None = None
    """Method whose settings are shown, one line each, as --set takes them."""
    preset: Tier = "laptop"
    """Tier of these settings."""

    def run(self) -> None:
        """Prints the tables, or the settings."""
        from rich import print as show
        from rich.table import Table

        if self.method or self.task:
            self._settings()
            return
        table = Table(
            "task", "what it is", "observations", "demonstrations", title="Tasks"
        )
        for task in registry.tasks().values():
            sources = "; ".join(f"{n}: {s.about}" for n, s in task.sources.items())
            table.add_row(task.name, task.about, ", ".join(task.obs_kinds), sources)
        show(table)
        groups: dict[str, list[str]] = {}
        for task in registry.tasks().values():
            if task.group:
                groups.setdefault(task.group, []).append(task.name)
        for group, names in groups.items():
            show(f"compare --task {group}: {', '.join(names)}, and a table of all")
        table = Table("method", "name", "what it does", title="Methods")
        for method in registry.methods().values():
            table.add_row(method.name, method.title, method.about)
        show(table)

    def _settings(self) -> None:
        from rich import print as show
        from rich.table import Table

        from dp_bench.presets import preset
        from dp_bench.util import settings

        method = registry.method(self.method or next(iter(registry.methods())))
        task = _task(self.task)
        found = preset(method, task.name, self.preset)
        title = (
            f"{method.name} on {task.name}, {self.preset} "
            "(change with --set NAME=VALUE)"
        )
        table = Table("name", "value", title=title)
        for name, value in settings.names(found).items():
            if name.startswith(("policy.", "training.")):
                shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
                table.add_row(name, str(shown))
        show(table)


@dataclass(frozen=True)
class Demos:
    """Fetch or make demonstrations of a task, check a file of them, compare two sets.

    Examples: `dp-bench demos pusht`, `dp-bench demos pusht --from pusht.zip`,
    `dp-bench demos check my_demos.hdf5 --task pusht`,
    `dp-bench demos blockpush --against published.npz --other published`.
    """

    what: tyro.conf.Positional[str]
    """Name of a task; or the word `check`, to replay the demonstrations of a file."""
    file: tyro.conf.Positional[Path | None] = None
    """With `check`: the file."""
    from_: Annotated[Path | None, Words(name="from", metavar="PATH")] = None
    """A file or folder to import instead of downloading."""
    mask: str | None = None
    """Of a file of robomimic: the name of a list in it; only these episodes are
    imported or checked."""
    source: str | None = None
    """Which demonstrations of the task; the first that `dp-bench list` names if left
    out."""
    task: str | None = None
    """With `check`: the task, where the file does not say."""
    control: str | None = None
    """With `check`: what actions are converted to, position or velocity, and replayed
    once more, to see what that loses."""
    against: Path | None = None
    """Another file of demonstrations of the task, to compare lengths, speeds and
    whatever else the task names."""
    other: str | None = None
    """With --against: which demonstrations of the task that file holds, where it does
    not say; the first if left out."""
    out: Path = Path("results")
    """With --against: folder of results; table and picture go to
    `<out>/<task>/demos.*`."""

    def run(self) -> None:
        """Fetches or checks, and prints what there is."""
        from dp_bench.data import readers
        from dp_bench.data import store as fetch

        if self.what != "check":
            task = registry.task(self.what)
            if self.file is not None:
                raise BadInput(
                    f"did you mean `dp-bench demos {self.what} --from {self.file}`?"
                )
            if self.mask is not None and self.from_ is None:
                raise BadInput(f"--mask {self.mask} goes with --from FILE")
            path = fetch.obtain(task.name, self.source, self.from_, self.mask)
            demos = fetch.load_demos(task.name, self.source, path)
            print(f"{path}\n{_described(demos)}")
            if self.against is not None:
                self._compare(task, demos)
            return
        from dp_bench.data import hdf5
        from dp_bench.data import replay as doctor
        from dp_bench.data.actions import actions_of

        if self.file is None:
            raise BadInput("name the file: `dp-bench demos check FILE`")
        if self.task is None and not self.mask and hdf5.is_ours(self.file):
            found = hdf5.load(self.file)
            task = registry.task(found.task)
        else:
            task = _task(self.task)
            found = readers.read(self.file, task, self.source, self.mask)
        actions_of(task, found, self.control)  # refuses early
        print(_described(found))
        report = doctor.replay(found, task)
        print("\n".join(report.summary_lines()))
        if self.control in (None, found.env_kwargs.get("control", task.controls[0])):
            return
        converted = doctor.replay(found, task, control=self.control)
        print("\n".join(converted.summary_lines() + converted.loss_lines(report)))

    def _compare(self, task: Any, demos: Any) -> None:
        from dp_bench.data import compare, readers
        from dp_bench.reports import demos_comparison

        assert self.against is not None
        task.check(source=self.other)
        other = readers.read(self.against, task, self.other)
        comparison = compare.compare(task, demos, other)
        print(f"\n{_described(other)}\n\n{demos_comparison.to_markdown(comparison)}")
        demos_comparison.write(comparison, self.out / task.name)
        print(f"table and picture: {self.out / task.name}/demos.*")


@dataclass(frozen=True)
class _Common:
    task: str = ""
    """Task to work on; the first that `dp-bench list` names if left out. For compare a
    group of tasks, too: robomimic."""
    preset: Tier = "laptop"
    """Tier of the settings: seconds, two processor cores, or as published (a GPU)."""
    set: Annotated[tuple[str, ...], Words(metavar="NAME=VALUE")] = ()
    """Settings to change, `training.updates=2000 policy.sample_steps=8`; with a method
    in front, `dp_c:training.lr=1e-4`, for that method only. `dp-bench list --method M`
    shows all names."""
    demos: Path | None = None
    """File or folder with demonstrations; if left out, those that `dp-bench demos`
    has fetched, and else they are fetched."""
    source: str | None = None
    """Which demonstrations of the task."""
    obs: str | None = None
    """Which observation; the task's default if left out."""
    control: str | None = None
    """What actions mean, position or velocity; the preset's choice if left out."""
    episodes: int | None = None
    """Play only the first so many test starts."""
    runs: Path = Path("runs")
    """Folder of run folders; what it holds already is not made again."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def cells(self, methods: Sequence[str], seeds: Sequence[int]) -> list[Any]:
        """The grid, with everything about it checked before anything runs."""
        from dp_bench.data import store as fetch
        from dp_bench.grid.run import Cell, settings_of

        task = _task(self.task)
        names = [registry.method(name).name for name in methods]
        changes = self._changes(names)
        most = len(TEST_STARTS)
        if self.episodes is not None and not 1 <= self.episodes <= most:
            raise BadInput(f"--episodes must be in 1..{most}, got {self.episodes}")
        if len(set(seeds)) < len(seeds) or len(set(names)) < len(names):
            raise BadInput(
                f"a method or seed is named twice in {names} x {list(seeds)}"
            )
        if any(seed < 0 for seed in seeds):
            raise BadInput(f"seeds must be 0 or above, got {list(seeds)}")
        cells = [
            Cell(
                task=task.name,
                method=name,
                train_seed=seed,
                preset=self.preset,
                obs_kind=self.obs,
                control=self.control,
                demos=str(self.demos) if self.demos else None,
                source=self.source,
                changes=changes[name],
                episodes=self.episodes,
                runs=str(self.runs),
                device=self.device,
            )
            for name in names
            for seed in seeds
        ]
        for cell in cells[:: len(seeds)]:
            settings_of(cell)
        if self.source and fetch.find(task.name, self.source) is None:
            task.check(source=self.source)  # neither imported nor known
        if self.demos is not None:
            _ = self._source_of_file  # refuses early
        return cells

    def scripted(self) -> bool:
        """Whether demonstrations are made and not downloaded."""
        task = _task(self.task)
        source = task.sources.get(self.source or task.default_source)
        return source is not None and source.script is not None

    def demos_source(self) -> str:
        """Which demonstrations these are; of a file, what it says."""
        if self.demos is not None:
            return self._source_of_file
        return self.source or _task(self.task).default_source

    @functools.cached_property
    def _source_of_file(self) -> str:
        """Read once, as a file can be large."""
        from dp_bench.data import store as fetch

        return fetch.load_demos(_task(self.task).name, self.source, self.demos).source

    def obtain(self) -> None:
        """Gets the demonstrations, unless they are there."""
        from dp_bench.data import store as fetch

        if self.demos is not None:
            return
        task = _task(self.task)
        fetch.obtain(task.name, self.source)
        fetch.load_demos(task.name, self.source)  # refuses early

    def _changes(
        self, methods: Sequence[str]
    ) -> dict[str, tuple[tuple[str, str], ...]]:
        changes: dict[str, list[tuple[str, str]]] = {name: [] for name in methods}
        for text in self.set:
            name, equals, value = text.partition("=")
            if not equals:
                raise BadInput(f"--set takes NAME=VALUE, got {text!r}")
            owner, colon, field = name.rpartition(":")
            if colon and owner not in changes:
                raise BadInput(f"--set {text!r} names {owner!r}; methods are {methods}")
            for method in [owner] if colon else methods:
                changes[method].append((field, value))
        return {name: tuple(pairs) for name, pairs in changes.items()}


@dataclass(frozen=True)
class Train(_Common):
    """Train one policy with one seed, and evaluate it on the test starts.

    Example: `dp-bench train --task pusht --method dp_c --seed 0`.
    Typed again, the same command goes on where it was stopped.
    """

    method: str = ""
    """Method to train; the first that `dp-bench list` names if left out."""
    seed: int = 0
    """Seed of the training: weights, batches, noise."""

    def run(self) -> None:
        """Trains, evaluates, and prints the results."""
        from dp_bench.grid import run as bench

        method = self.method or next(iter(registry.methods()))
        (cell,) = self.cells([method], [self.seed])
        self.obtain()
        folder = bench.run(cell)
        print(f"run folder: {folder}")
        _show_runs([folder])


@dataclass(frozen=True)
class Eval:
    """Evaluate trained runs, on other starts, at other updates, with other samplers.

    Examples: `dp-bench eval runs/pusht/dp_c-*-seed0`,
    `dp-bench eval RUN --set policy.sampler=ddpm policy.sample_steps=100`,
    `dp-bench eval RUN --starts validation --steps all`,
    `dp-bench eval RUN RUN --video 100000 100007`.
    """

    run_folders: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, as `dp-bench train` and `dp-bench compare` make them."""
    starts: Literal["test", "validation"] = "test"
    """Validation starts are for choosing settings, test starts for reporting."""
    episodes: int = 50
    """Play the first so many starts."""
    steps: str = "last"
    """Weights after how many updates: a number, `last`, or `all` that were kept
    (training.keep_every)."""
    variants: tuple[str, ...] = ()
    """Variants of the task's environment; all if left out."""
    set: Annotated[tuple[str, ...], Words(metavar="NAME=VALUE")] = ()
    """Settings of the sampler to change."""
    processes: int | None = None
    """Worker processes, as many as cores if left out; does not move any number."""
    device: str = "cpu"
    """cpu or cuda."""
    video: Annotated[tuple[int, ...], Words(metavar="ENV_SEED")] = ()
    """Starts to film: an MP4 of each, with all these runs side by side, in the task's
    first variant or the first that is named."""
    out: Path = Path("videos")
    """Folder of the videos."""

    def run(self) -> None:
        """Evaluates, and prints the results."""
        from dp_bench.evaluation.evaluate import evaluate
        from dp_bench.runs.folder import RunFolder
        from dp_bench.training.device import available_device

        if not self.run_folders:
            raise BadInput("name a run folder: `dp-bench eval runs/TASK/RUN`")
        if self.processes is not None and self.processes < 1:
            raise BadInput(f"--processes must be at least 1, got {self.processes}")
        changes = dict(_pair(text) for text in self.set)
        device = available_device(self.device)
        found: list[Any] = []
        for folder in map(RunFolder, self.run_folders):
            for step in self._steps(folder):
                found += evaluate(
                    folder,
                    starts=self.starts,
                    episodes=self.episodes,
                    variants=self.variants or None,
                    step=step,
                    changes=changes,
                    processes=self.processes,
                    device=device,
                )
        _show_records(found, RunFolder(self.run_folders[0]).info().demos_source)
        if self.video:
            from dp_bench.evaluation.videos import film

            for path in film(
                [RunFolder(path) for path in self.run_folders],
                self.video,
                self.out,
                variant=next(iter(self.variants), None),
                changes=changes,
            ):
                print(path)

    def _steps(self, folder: Any) -> list[int | None]:
        if self.steps == "last":
            return [None]
        if self.steps == "all":
            kept = folder.steps()
            if kept and not folder.weights.is_file():  # still training
                return [*kept]
            last = folder.last_step() if kept else None
            return [*(step for step in kept if step != last), None]
        if not self.steps.isdigit():
            raise BadInput(f"--steps must be a number, last or all; got {self.steps!r}")
        return [int(self.steps)]


@dataclass(frozen=True)
class Compare(_Common):
    """Train and evaluate methods on a task under the same seeds, and tabulate them.

    Examples: `dp-bench compare --task pusht --methods dp_c --seeds 0 1 2`, and for the
    five tasks of Robomimic, one after the other, `dp-bench compare --task robomimic`.
    Each (method, seed) runs in a process of its own. One that fails does not stop the
    others. Typed again, the same command goes on where it was stopped.
    """

    methods: tuple[str, ...] = ()
    """Methods to compare; all if left out."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the training; the same for every method."""
    jobs: int = 1
    """How many to run at a time; each gets its share of the cores."""
    out: Path | None = None
    """Where records, tables and figures go: `<out>/<task>`, `<out>/robomimic/<task>`,
    and below that `<source>` for demonstrations of another source than the task's
    first; `results` if left out, or, for smoke and changed settings,
    `<runs>/results`."""

    def run(self) -> None:
        """Trains and evaluates the grid, and prints and writes its tables."""
        from rich import print as show

        from dp_bench.reports import group, remake

        if self.jobs < 1:
            raise BadInput(f"--jobs must be at least 1, got {self.jobs}")
        if not self.seeds:
            raise BadInput("--seeds needs at least one seed")
        if not self.task:
            self._one_task()
            return
        tasks = group.named(self.task)
        each = [dataclasses.replace(self, task=task.name) for task in tasks]
        if len(each) == 1:
            each[0]._one_task()
            return
        for one in each:  # what cannot work or be had, should fail at once
            one.cells(one.methods or tuple(registry.methods()), one.seeds)
        for one in each:
            if not one.scripted():
                one.obtain()
        names = ", ".join(task.name for task in tasks)
        print(f"{self.task}: {names}, one after the other", flush=True)
        failed, out = [], None
        for one in each:
            try:
                out = one._one_task()
            except BadInput as error:  # the other tasks go on
                print(f"dp-bench: {one.task}: {error}", file=sys.stderr)
                failed.append(f"{one.task}: {error}")
        for table in remake.remake_groups(out) if out else []:
            show(table)
        if failed:
            raise BadInput(f"{len(failed)} of {len(each)} tasks failed; {failed[0]}")

    def _one_task(self) -> Path:
        """Trains and evaluates the grid of one task; the folder of results."""
        from dp_bench.grid import forecast as plan
        from dp_bench.grid import run as bench
        from dp_bench.reports import remake, results_folder

        cells = self.cells(self.methods or tuple(registry.methods()), self.seeds)
        changed = any(bench.moves_numbers(cell.changes) for cell in cells)
        trial = self.preset == "smoke" or changed or self.episodes is not None
        out = self.out or (self.runs / "results" if trial else Path("results"))

        if (out / "records").is_dir():
            raise BadInput(
                f"{out} holds the results of one task; --out names the folder above it"
            )
        if not self.scripted():
            self.obtain()  # a download that fails should do so at once
        folder = out / results_folder.folder_of(cells[0].task, self.demos_source())
        ahead = plan.plan(cells, self.jobs)
        print(plan.in_words(ahead, cells, str(folder)), flush=True)
        self.obtain()
        folders: list[Path] = []

        def finished(end: bench.Finished) -> None:
            if end.folder:
                folders.append(end.folder)
                results_folder.collect([end.folder], out)
                if len(folders) < len(cells):
                    _show_runs(folders)

        ends = bench.grid(cells, jobs=self.jobs, finished=finished)
        if folders:
            remake.remake_task(folder)
            remake.remake_groups(out)
            _show_runs([end.folder for end in ends if end.folder])
            print(f"records, tables and figures: {folder}")
        failed = [end for end in ends if end.error]
        if failed:
            names = ", ".join(end.cell.title for end in failed)
            raise BadInput(
                f"{len(failed)} of {len(ends)} cells failed ({names}): "
                f"{failed[0].error}; the same command tries them again"
            )
        return out


@dataclass(frozen=True)
class Report:
    """Remake tables and figures from raw records.

    Examples: `dp-bench report results`; and for a learning curve of a run that was
    trained with `--set training.keep_every=1000`, first `dp-bench eval RUN --steps all
    --starts validation`, then `dp-bench report results --runs RUN`.
    """

    results: tyro.conf.Positional[Path] = Path("results")
    """Folder with `<task>/records/*.jsonl`, or one such folder of a task or source."""
    runs: tuple[Path, ...] = ()
    """Run folders whose records are taken in first, after `dp-bench eval` say."""

    def run(self) -> None:
        """Prints and rewrites the tables."""
        from rich import print as show

        from dp_bench.reports import remake, results_folder

        results_folder.collect(self.runs, self.results)
        for folder in results_folder.folders_with_records(self.results):
            _print_table(remake.remake_task(folder))
            print(f"remade in {folder}")
        for table in remake.remake_groups(self.results):
            show(table)


@dataclass(frozen=True)
class Modes:
    """Show which of two equally good ways policies take, and whether they keep to it.

    Example: `dp-bench modes runs/pusht/dp_c-*-seed0 runs/pusht/bet-*-seed0`.
    All rollouts begin in one state of the task, between left and right, and differ in
    the sampler's seed only. Table and picture are of the runs that are named, and take
    the place of those of earlier calls.
    """

    run_folders: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders of one task, as `dp-bench train` and `dp-bench compare` make them."""
    task: str | None = None
    """Task that the runs must be of; whichever it is if left out."""
    rollouts: int = 20
    """Rollouts of each run."""
    out: Path = Path("results")
    """Folder of results; paths, table and picture go to `<out>/<task>/modes.*`, or
    `<out>/<task>/<source>/modes.*`, as the table of the first run does."""
    device: str = "cpu"
    """cpu or cuda."""

    def run(self) -> None:
        """Plays, and prints and writes the table and the picture."""
        from dp_bench.evaluation import multimodality
        from dp_bench.reports import multimodality as multimodality_report
        from dp_bench.reports import results_folder
        from dp_bench.runs.folder import RunFolder
        from dp_bench.training.device import available_device

        rollouts = multimodality.collect(
            self.run_folders,
            task=self.task,
            rollouts=self.rollouts,
            device=available_device(self.device),
        )
        first = RunFolder(self.run_folders[0]).info()
        folder = self.out / results_folder.folder_of(first.task, first.demos_source)
        multimodality.write(folder / "modes.jsonl", rollouts)
        print(multimodality_report.remake(folder))
        print(f"paths, table and picture: {folder}/modes.*")


COMMANDS = {
    "list": List,
    "demos": Demos,
    "train": Train,
    "eval": Eval,
    "compare": Compare,
    "modes": Modes,
    "report": Report,
}


def _task(name: str | None) -> Any:
    """The task of this name, or where none is given the first."""
    return registry.task(name or next(iter(registry.tasks())))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--set takes NAME=VALUE, got {text!r}")
    return name, value


def _described(demos: Any) -> str:
    kinds = ", ".join(f"{k} {v.shape[1:]}" for k, v in demos.obs.items())
    return (
        f"{demos.task}, {demos.source}: {demos.num_episodes} episodes, "
        f"{len(demos.actions)} steps, observations {kinds}, "
        f"mean recorded score {demos.scores.mean():.3f}\ndigest {demos.digest}"
    )


def _show_runs(folders: Sequence[Path]) -> None:
    from dp_bench.evaluation import records
    from dp_bench.runs.folder import RunFolder

    runs = [RunFolder(folder) for folder in folders]
    found = [r for run in runs for r in records.read(run.records)]
    source = runs[0].info().demos_source if runs else ""
    _show_records([r for r in found if r.starts == "test"], source)


def _show_records(found: Sequence[Any], source: str) -> None:
    from dp_bench.reports.published import published_demos_of, published_values
    from dp_bench.reports.summary import summary

    table = summary(
        found,
        published=published_values(Path("results")),
        published_demos=published_demos_of(source),
        steps="all",
    )
    _print_table(table)


def _print_table(table: Table) -> None:
    from rich.console import Console

    from dp_bench.reports.terminal import to_terminal

    console = Console()
    width = max(console.width, 80) if sys.stdout.isatty() else 120
    Console(width=width).print(to_terminal(table, width=width))


def main(args: Sequence[str] | None = None) -> None:
    """Runs a command; what is wrong with it is said in one sentence."""
    # Threads of OpenMP wait for each other busily, for long; beside a third process on
    # two cores an update then took 3 s instead of 16 ms. So short a wait costs nothing
    # on an idle machine, and beside others 12 times less. Read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    cli: Callable[..., Any] = tyro.extras.subcommand_cli_from_dict
    described = (
        "Imitation learning on robots: train policies from the same demonstrations "
        "under the same seeds, and compare them with honest intervals."
    )
    commands = {name: _runner(cls) for name, cls in COMMANDS.items()}
    try:
        cli(commands, prog="dp-bench", description=described, args=args)
    except BadInput as error:
        print(f"dp-bench: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(
            "\ndp-bench: stopped; the same command goes on from here", file=sys.stderr
        )
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print(f"dp-bench: {error}", file=sys.stderr)
        sys.exit(1)


def _runner(cls: Any) -> Any:
    def run(command: Any) -> None:
        command.run()

    run.__annotations__["command"] = tyro.conf.OmitArgPrefixes[  # type: ignore[misc]
        # tyro shows type checkers a bare Annotated
        tyro.conf.OmitSubcommandPrefixes[cls]
    ]
    run.__doc__ = cls.__doc__
    return run
