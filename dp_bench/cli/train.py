"""`dp-bench train`."""

from __future__ import annotations

from dataclasses import dataclass, field

from dp_bench import registry
from dp_bench.cli import tables
from dp_bench.cli.options import GridOptions, MethodName, TaskName, task_or_first


@dataclass(frozen=True)
class Train:
    """Train one policy with one seed, and evaluate it.

    A stopped training resumes when you type the same command again.

    Examples:
      dp-bench train --task pusht --method dp_c --seed 0
      dp-bench train --task lift --method bet --set training.updates=2000
    """

    task: TaskName = None
    """Task to learn."""
    method: MethodName = None
    """Method to train."""
    seed: int = 0
    """Seed of the initial weights, the order of batches, and all noise."""
    training: GridOptions = field(default_factory=GridOptions)

    def run(self) -> None:
        """Trains, evaluates, and prints the results."""
        from dp_bench.grid.run import run

        method = self.method or next(iter(registry.methods()))
        (cell,) = self.training.cells(task_or_first(self.task), [method], [self.seed])
        cell.demos.obtain()
        folder = run(cell)
        print(f"run folder: {folder}")
        tables.print_runs([folder])
