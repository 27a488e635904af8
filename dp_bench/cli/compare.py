"""`dp-bench compare`."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, arg

from dp_bench import registry
from dp_bench.cli import tables
from dp_bench.cli.options import (
    GridOptions,
    ResultsFolder,
    ShardName,
    groups,
    hint,
    method_names,
    one_of,
    task_or_first,
    usual_methods,
)
from dp_bench.cli.until_decided import MOST_SEEDS
from dp_bench.errors import BadInput
from dp_bench.util.files import locked, refuse_unwritable
from dp_bench.util.shard import Shard
from dp_bench.util.text import sentence

if TYPE_CHECKING:
    from dp_bench.grid.cell import Cell, ResolvedCell
    from dp_bench.grid.local import Finished
    from dp_bench.grid.ray import Cluster
    from dp_bench.reports.table import Table
    from dp_bench.task import Task


PAUSE = 20  # between two tables, as a multiple of the time that the first one took


def _tasks_and_groups() -> Iterable[str]:
    return [*registry.tasks(), *groups()]


@dataclass(frozen=True)
class Compare:
    """Train and evaluate methods under the same seeds; print tables.

    Each pair of a method and a seed runs in a process of its own; one that
    fails does not stop the others. A stopped comparison resumes when you type
    the same command again. The tasks of a group run one after the other.

    Examples:
      dp-bench compare --task blockpush --preset smoke
      dp-bench compare --task pusht --methods dp_c bet --seeds 0 1 2
      dp-bench compare --task robomimic
      dp-bench compare --task pusht --until-decided --pair dp_c bet
    """

    task: Annotated[
        str | None,
        arg(metavar="TASK", help_behavior_hint=one_of(_tasks_and_groups)),
    ] = None
    """Task, or group of tasks."""
    methods: Annotated[
        tuple[str, ...],
        arg(
            metavar="METHOD ...", help_behavior_hint=one_of(method_names, usual_methods)
        ),
    ] = ()
    """Methods to compare."""
    seeds: Annotated[tuple[int, ...], arg(metavar="SEED ...")] = (0,)
    """Training seeds, the same for every method."""
    jobs: Annotated[
        int | None,
        arg(
            metavar="N",
            help_behavior_hint=hint("default: what cores and memory allow; on a GPU 1"),
        ),
    ] = None
    """Number of trainings at a time."""
    shard: ShardName = None
    """Run only part I of N; run the other parts on other machines."""
    ray: Annotated[
        tuple[str, ...] | None,
        arg(
            metavar="[ADDRESS]",
            help_behavior_hint=hint("default: this machine, without Ray"),
        ),
    ] = None
    """Run the trainings on a Ray cluster. Without ADDRESS: the cluster of this machine.
    `local`: a new one on this machine."""
    per_gpu: Annotated[int, arg(metavar="K", help_behavior_hint=hint("default: 1"))] = 1
    """Number of trainings that share a GPU, with --ray or --devices."""
    devices: Annotated[
        tuple[str, ...],
        arg(metavar="DEVICE ...", help_behavior_hint=hint("default: one, --device")),
    ] = ()
    """GPUs of this machine to use, one training on each: cuda:0 cuda:1, or all."""
    out: ResultsFolder = None
    """Folder of results; each task has a folder in it."""
    until_decided: Annotated[
        FlagCreatePairsOff[bool], arg(help_behavior_hint=hint("default: off"))
    ] = False
    """Add trainings of two methods until it is decided which one is better."""
    pair: Annotated[
        tuple[str, ...],
        arg(metavar="A B", help_behavior_hint=hint("default: --methods, if two")),
    ] = ()
    """The two methods that --until-decided compares."""
    most_seeds: Annotated[
        int | None,
        arg(metavar="N", help_behavior_hint=hint(f"default: {MOST_SEEDS}")),
    ] = None
    """Largest number of trainings of each method with --until-decided."""
    training: GridOptions = field(default_factory=GridOptions)

    def run(self) -> None:
        """Trains and evaluates the grid; prints and writes its tables."""
        if self.jobs is not None and self.jobs < 1:
            raise BadInput(f"--jobs must be at least 1, got {self.jobs}")
        if not self.seeds:
            raise BadInput("--seeds needs at least one seed")
        cluster, _ = self._cluster(), self._places()  # refuses what cannot be used
        shard = Shard.read(self.shard)
        if self.until_decided:
            if not shard.is_all or cluster or self.devices:
                word = "--shard" if not shard.is_all else "--devices"
                word = "--ray" if cluster else word
                raise BadInput(
                    f"--until-decided takes no {word}: it looks at all results before "
                    "it adds a seed"
                )
            self._until_decided()
            return
        if self.pair or self.most_seeds is not None:
            raise BadInput("--pair and --most-seeds need --until-decided")
        methods = self.methods or registry.usual_methods()
        grids = [  # refuses whatever cannot work before anything runs
            self.training.cells(task, methods, self.seeds) for task in self._tasks()
        ]
        for cells in grids:
            self._refuse_unwritable(cells)
        if not shard.is_all:
            grids = _part_of(grids, shard)
        if len(grids) == 1:
            self._compare(grids[0])
        elif grids:
            self._compare_all(grids)

    def _cluster(self) -> Cluster | None:
        """Reads --ray and what belongs to it; None without."""
        if self.per_gpu < 1:
            raise BadInput(f"--per-gpu must be at least 1, got {self.per_gpu}")
        if self.ray is None:
            if self.per_gpu != 1 and not self.devices:
                raise BadInput("--per-gpu needs --ray or --devices")
            return None
        if self.devices:
            raise BadInput(
                "--devices cannot be used with --ray, which finds the GPUs itself"
            )
        if len(self.ray) > 1:
            raise BadInput(f"--ray takes one address, got {len(self.ray)}")
        if self.jobs is not None:
            raise BadInput(
                "--jobs cannot be used with --ray: the cluster's CPUs decide how many "
                "trainings run at a time"
            )
        from dp_bench.grid import ray

        ray.refuse_without_ray()
        return ray.Cluster((*self.ray, "auto")[0], self.per_gpu)

    def _until_decided(self) -> None:
        """Adds one train seed after the other until a pair of methods is decided."""
        from dp_bench.cli import until_decided
        from dp_bench.grid.until_decided import question

        if self.seeds != (0,):
            raise BadInput(
                "--until-decided takes the seeds 0, 1, 2, ... itself; leave --seeds out"
            )
        tasks = self._tasks()
        if len(tasks) != 1:
            raise BadInput(f"--until-decided takes one task, got {self.task}")
        most = MOST_SEEDS if self.most_seeds is None else self.most_seeds
        methods = self.methods or self.pair or registry.usual_methods()
        cells = self.training.cells(tasks[0], methods, range(max(most, 1)))
        asked = question(cells, self.pair, most)
        self._refuse_unwritable(cells)
        cells[0].demos.obtain()
        # Both methods of one seed: more at a time would train before a look decides.
        first = [cell for cell in cells if cell.names.train_seed == 0]
        jobs = self._jobs(first)
        until_decided.run(asked, cells, self._results(cells), jobs=jobs)

    def _tasks(self) -> list[Task]:
        if not self.task:
            return [task_or_first(None)]
        from dp_bench.reports import group

        return group.named(self.task)

    def _compare_all(self, grids: Sequence[Sequence[ResolvedCell]]) -> None:
        """Runs the grids of several tasks one after the other."""
        from rich import print as show

        from dp_bench.reports import remake

        for cells in grids:
            if not cells[0].demos.is_scripted:
                cells[0].demos.obtain()
        names = [cells[0].task.name for cells in grids]
        print(f"{self.task}: {', '.join(names)}, one after the other", flush=True)
        failed, out = [], None
        for name, cells in zip(names, grids, strict=True):
            try:
                out = self._compare(cells)
            except BadInput as error:  # the other tasks still run
                print(f"dp-bench: {name}: {sentence(error)}", file=sys.stderr)
                failed.append(f"{name}: {error}")
        for table in remake.remake_groups(out) if out else []:
            show(table)
        if failed:
            raise BadInput(f"{len(failed)} of {len(grids)} tasks failed; {failed[0]}")

    def _compare(self, cells: Sequence[ResolvedCell]) -> Path:
        """Runs the grid of one task, and returns the folder of results."""
        from dp_bench.grid.local import refuse_failures
        from dp_bench.reports import results_folder

        out, places = self._results(cells), self._places()
        jobs = len(places) or self._jobs(cells)
        done = self._finished(cells, places)
        if not done and not cells[0].demos.is_scripted:
            cells[0].demos.obtain()  # a download that fails should fail at once
        source = cells[0].demos.source_name
        folder = out / results_folder.folder_of(cells[0].task.name, source)
        if not done:
            done = self._forecast(cells, folder, places, jobs)
        ends = self._run_cells(cells, out, done, places, jobs)
        if folders := [end.folder for end in ends if end.folder]:
            self._tabulate(folders, out, folder)
        refuse_failures(ends)
        return out

    def _probed(
        self, cells: Sequence[ResolvedCell], places: Sequence[str]
    ) -> list[Cell]:
        """Lists the cells as this machine can time them."""
        names = [cell.names for cell in cells]
        if places:  # trainings on the first GPU stand for all
            return [dataclasses.replace(cell, device=places[0]) for cell in names]
        if self.ray is not None:  # the cluster may have GPUs that this machine lacks
            return [dataclasses.replace(cell, device="auto") for cell in names]
        return names

    def _finished(
        self, cells: Sequence[ResolvedCell], places: Sequence[str]
    ) -> list[str]:
        """Returns the run folders of a finished grid; [] if a cell has work left.

        This look takes two seconds; a forecast would take five.
        """
        from dp_bench.grid import forecast
        from dp_bench.grid.left import all_done

        names = [cell.names for cell in cells]
        done = all_done(cells) if self._probed(cells, places) == names else []
        if done:
            print(forecast.describe_done(names), flush=True)
        return done

    def _forecast(
        self,
        cells: Sequence[ResolvedCell],
        folder: Path,
        places: Sequence[str],
        jobs: int,
    ) -> list[str]:
        """Prints how long a grid will take, and makes its demonstrations.

        Args:
            cells: Of the grid.
            folder: Of its tables and figures.
            places: Device of each training at a time; [] for the cells' own.
            jobs: Number of trainings at a time.

        Returns:
            The run folder of each cell that is finished; "" for others.
        """
        from dp_bench.grid import forecast

        probed, names = self._probed(cells, places), [cell.names for cell in cells]
        ahead = forecast.forecast(probed, jobs, self.per_gpu if places else None)
        forecast.refuse_crowded_gpu(ahead, self.per_gpu)
        where = forecast.PART if self.shard else forecast.HERE
        where = forecast.CLUSTER if self.ray is not None else where
        print(forecast.describe(ahead, names, str(folder), where=where), flush=True)
        if cells[0].demos.is_scripted:
            cells[0].demos.obtain()
        return [cell.done for cell in ahead.cells]

    def _tabulate(self, runs: Sequence[Path], out: Path, folder: Path) -> None:
        """Prints the table of runs; remakes tables, figures and page if they are old.

        Args:
            runs: Run folders.
            out: Folder of results.
            folder: In `out`, of the task and its demonstrations.
        """
        from dp_bench.reports import planning, results_folder, up_to_date

        with locked(folder / ".tables.lock", wait=True):  # shards make them, too
            made_from = up_to_date.digest(folder)
            page: Path | None = folder / results_folder.PAGE
            if not up_to_date.is_marked(folder, made_from):
                from dp_bench.reports import remake

                table = remake.remake_task(folder)
                remake.remake_groups(out)
                page = self._write_page(out, folder, table)
                if page:
                    up_to_date.mark(folder, made_from)
        shown = tables.print_runs(runs)
        if advice := planning.one_more_seed(shown):
            print(advice)
        print(f"records, tables and figures: {folder}")
        if page:
            print(f"page: {page}")

    def _write_page(self, out: Path, folder: Path, table: Table) -> Path | None:
        """Writes the page of a table; None, and a note, if that fails."""
        from dp_bench.reports.page import write

        name = folder.relative_to(out)
        home = out / write.FILE
        up = "../" * len(name.parts) + write.FILE if home.is_file() else None
        try:
            page = write.write_task(folder, table, folder, name.as_posix(), up)
            if up:
                write.renew_index(out, {folder: table})
        except BadInput as error:
            print(f"dp-bench: no page: {sentence(error)}", file=sys.stderr)
            return None
        return page

    def _run_cells(
        self,
        cells: Sequence[ResolvedCell],
        out: Path,
        done: Sequence[str],
        places: Sequence[str],
        jobs: int,
    ) -> list[Finished]:
        """Runs the cells, and collects and prints the results of each that ends.

        Args:
            cells: Of one task.
            out: Folder of results.
            done: The run folder of each cell that is finished; "" for others.
            places: Device of each training at a time; [] for the cells' own.
            jobs: Number of trainings at a time, unless Ray decides it.
        """
        from dp_bench.grid.local import Finished, run_cells
        from dp_bench.reports import results_folder

        known = [Path(folder) for folder in done if folder]
        results_folder.collect(known, out)
        earlier = [
            Finished(cell.names, Path(folder))
            for cell, folder in zip(cells, done, strict=True)
            if folder
        ]
        cells = [cell for cell, folder in zip(cells, done, strict=True) if not folder]
        if not cells:
            return earlier
        folders = known
        next_table = 0.0

        def finished(end: Finished) -> None:
            nonlocal next_table
            if end.folder:
                folders.append(end.folder)
                results_folder.collect([end.folder], out)
                begun = time.monotonic()
                # The table of many cells takes long, so it comes less often.
                if len(folders) < len(done) and begun >= next_table:
                    tables.print_runs(folders)
                    ended = time.monotonic()
                    next_table = ended + PAUSE * (ended - begun)

        names = [cell.names for cell in cells]
        if cluster := self._cluster():
            from dp_bench.grid import ray

            return earlier + ray.run_cells(names, cluster, finished=finished)
        return earlier + run_cells(names, jobs=jobs, devices=places, finished=finished)

    def _jobs(self, cells: Sequence[ResolvedCell]) -> int:
        """Chooses the number of trainings at a time on this machine."""
        from dp_bench.grid.local import usual_jobs

        return self.jobs or usual_jobs(cells)

    def _places(self) -> list[str]:
        """Lists the device of each training that runs at a time; [] without --devices.

        Raises:
            BadInput: When this machine lacks one of them.
        """
        if not self.devices:
            return []
        if self.jobs is not None:
            raise BadInput(
                "--jobs cannot be used with --devices; use --per-gpu K for K trainings "
                "on each GPU"
            )
        from dp_bench.cli.gpus import gpus_named

        return gpus_named(self.devices) * self.per_gpu

    def _refuse_unwritable(self, cells: Sequence[ResolvedCell]) -> None:
        """Refuses folders that could not take the results of a training."""
        from dp_bench.reports import results_folder

        out, first = self._results(cells), cells[0]
        own = results_folder.folder_of(first.task.name, first.demos.source_name)
        for name in results_folder.OWN:
            refuse_unwritable(out / own / name, f"--out {out}")

    def _results(self, cells: Sequence[ResolvedCell]) -> Path:
        """Chooses the folder of results."""
        return self.training.results(self.out, cells)


def _part_of(
    grids: Sequence[list[ResolvedCell]], shard: Shard
) -> list[list[ResolvedCell]]:
    """Leaves the cells of a part, and says how many these are."""
    cells = [cell for grid in grids for cell in grid]
    mine = shard.of(cells)
    print(f"{shard}: {len(mine)} of {len(cells)} trainings", flush=True)
    chosen = {id(cell) for cell in mine}
    parts = [[cell for cell in grid if id(cell) in chosen] for grid in grids]
    return [part for part in parts if part]
