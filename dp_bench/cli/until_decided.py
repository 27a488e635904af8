"""`dp-bench compare --until-decided`: trainings are added until a pair is decided."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.cli import tables

if TYPE_CHECKING:
    from dp_bench.grid.cell import Cell, ResolvedCell
    from dp_bench.grid.local import Finished
    from dp_bench.grid.until_decided import Question

MOST_SEEDS = 10  # trainings of each method, unless the user names another number


def run(
    question: Question, cells: Sequence[ResolvedCell], out: Path, *, jobs: int
) -> None:
    """Runs batches until the question is decided; prints each look and the verdict.

    Args:
        question: Which of two methods is better.
        cells: Of all train seeds.
        out: Folder of results, with a folder for each task.
        jobs: Number of trainings at a time.
    """
    from dp_bench.grid import until_decided
    from dp_bench.grid.local import run_cells
    from dp_bench.reports import remake, results_folder

    def finished(end: Finished) -> None:
        if end.folder:
            results_folder.collect([end.folder], out)

    def batch(cells: list[Cell]) -> list[Finished]:
        return run_cells(cells, jobs=jobs, finished=finished)

    a, b = question.titles
    print(
        f"Is {a} better than {b}? Up to {question.most} trainings each, train seeds 0 "
        f"to {question.most - 1}, each on {question.starts} starts of its own",
        flush=True,
    )
    seen, folders = until_decided.until_decided(
        question,
        cells,
        jobs=jobs,
        run=batch,
        tell=lambda seen: print(
            until_decided.progress_line(question, seen), flush=True
        ),
    )
    demos = cells[0].demos
    folder = out / results_folder.folder_of(cells[0].task.name, demos.source_name)
    remake.remake_task(folder)
    remake.remake_groups(out)
    tables.print_runs(folders)
    print(
        "The table shows the test starts, as if the number of trainings had been fixed "
        "beforehand; the verdict rests on starts that no other training met."
    )
    print(until_decided.verdict_sentence(question, seen))
    print(f"records, tables and figures: {folder}")
