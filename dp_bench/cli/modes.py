"""`dp-bench modes`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from dp_bench import registry
from dp_bench.cli.options import EvaluationDevice, RunFolders, hint, one_of
from dp_bench.errors import BadInput
from dp_bench.util.files import refuse_unwritable


def _tasks_with_fork() -> list[str]:
    return [task.name for task in registry.tasks().values() if task.fork]


@dataclass(frozen=True)
class Modes:
    """Show whether policies stay multimodal at a fork.

    All rollouts begin in one state with two equally good ways; only the seed of
    the sampler differs. The table counts how often a policy takes each way, and
    how often it keeps to the side it chose, beside the demonstrations it learned
    from.

    Example:
      dp-bench modes runs/pusht/dp_c-*-seed0 runs/pusht/bet-*-seed0

    To add the demonstrations to results that were made without them:
      dp-bench modes --task pusht --demos FILE
    """

    run_folders: RunFolders = ()
    """Run folders of one task that `dp-bench train` or `dp-bench compare` wrote."""
    task: Annotated[
        str | None,
        arg(
            metavar="TASK",
            help_behavior_hint=one_of(_tasks_with_fork, "the task of the runs"),
        ),
    ] = None
    """Task that the runs must belong to."""
    rollouts: int = 20
    """Number of rollouts of each run."""
    demos: Annotated[
        Path | None,
        arg(metavar="PATH", help_behavior_hint=hint("default: the imported ones")),
    ] = None
    """Demonstrations that the runs learned from."""
    out: Path = Path("results")
    """Folder of results; `OUT/TASK/modes.*` is replaced."""
    device: EvaluationDevice = "cpu"
    """Device that the policies run on."""

    def run(self) -> None:
        """Plays the rollouts; prints and writes the table and the figure."""
        from dp_bench.reports import multimodality as report

        folder = self._folder()
        refuse_unwritable(folder, f"--out {self.out}")
        if self._only_demos:
            self._add_demos(folder)
        else:
            self._play(folder)
        print(report.remake(folder))
        print(f"paths, table and figure: {folder}/modes.*")

    @property
    def _only_demos(self) -> bool:
        return self.demos is not None and not self.run_folders

    def _folder(self) -> Path:
        """Names the folder of results of the first run, or of the demonstrations."""
        from dp_bench.data import store
        from dp_bench.reports import results_folder
        from dp_bench.runs import shipped
        from dp_bench.runs.folder import RunFolder

        if self._only_demos:
            if self.task is None:
                raise BadInput("name the task of the demonstrations: --task TASK")
            source = store.load_demos(self.task, None, self.demos).source
            return self.out / results_folder.folder_of(self.task, source)
        if not self.run_folders:
            return self.out
        first = RunFolder(shipped.folder_of(self.run_folders[0])).info()
        return self.out / results_folder.folder_of(first.task, first.demos_source)

    def _play(self, folder: Path) -> None:
        from dp_bench.evaluation import multimodality, passages
        from dp_bench.runs import shipped
        from dp_bench.runs.folder import RunFolder
        from dp_bench.util.devices import available_device

        runs = [shipped.folder_of(run) for run in self.run_folders]
        infos = [RunFolder(run).info() for run in runs]
        found = []
        if infos:
            sources = {info.demos_digest: info.demos_source for info in infos}
            task = registry.task(self.task or infos[0].task)
            found = passages.collect(task, sources, self.demos)
        rollouts = multimodality.collect(
            runs,
            task=self.task,
            rollouts=self.rollouts,
            device=available_device(self.device),
        )
        multimodality.write(folder / "modes.jsonl", rollouts)
        if found:
            passages.write(folder / "modes_demos.jsonl", found)

    def _add_demos(self, folder: Path) -> None:
        from dp_bench.evaluation import multimodality, passages

        rollouts = multimodality.read(folder / "modes.jsonl")
        sources = {line.demos_digest: "" for line in rollouts}
        task = registry.task(rollouts[0].task)
        found = passages.collect(task, sources, self.demos)
        if not found:
            raise BadInput(
                f"no passage of {self.demos} begins before the choice at the fork of "
                f"{task.name}; choose demonstrations that come to it"
            )
        passages.write(folder / "modes_demos.jsonl", found)
