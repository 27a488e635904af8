"""`dp-bench modes`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from dp_bench import registry
from dp_bench.cli.options import EvaluationDevice, RunFolders, one_of
from dp_bench.util.files import refuse_unwritable


def _tasks_with_fork() -> list[str]:
    return [task.name for task in registry.tasks().values() if task.fork]


@dataclass(frozen=True)
class Modes:
    """Show whether policies stay multimodal at a fork.

    All rollouts begin in one state with two equally good ways; only the seed of
    the sampler differs. The table counts how often a policy takes each way, and
    how often it keeps to the side it chose.

    Example:
      dp-bench modes runs/pusht/dp_c-*-seed0 runs/pusht/bet-*-seed0
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
    out: Path = Path("results")
    """Folder of results; `OUT/TASK/modes.*` is replaced."""
    device: EvaluationDevice = "cpu"
    """Device that the policies run on."""

    def run(self) -> None:
        """Plays the rollouts; prints and writes the table and the figure."""
        from dp_bench.evaluation import multimodality
        from dp_bench.reports import multimodality as multimodality_report
        from dp_bench.training.device import available_device

        folder = self._folder()
        refuse_unwritable(folder, f"--out {self.out}")
        rollouts = multimodality.collect(
            self.run_folders,
            task=self.task,
            rollouts=self.rollouts,
            device=available_device(self.device),
        )
        multimodality.write(folder / "modes.jsonl", rollouts)
        print(multimodality_report.remake(folder))
        print(f"paths, table and figure: {folder}/modes.*")

    def _folder(self) -> Path:
        """Names the folder of results of the first run."""
        from dp_bench.reports import results_folder
        from dp_bench.runs.folder import RunFolder

        if not self.run_folders:
            return self.out
        first = RunFolder(self.run_folders[0]).info()
        return self.out / results_folder.folder_of(first.task, first.demos_source)
