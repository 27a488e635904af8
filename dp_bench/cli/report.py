"""`dp-bench report`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from dp_bench.cli import tables
from dp_bench.cli.options import hint
from dp_bench.errors import BadInput
from dp_bench.util.files import ReadOnly

if TYPE_CHECKING:
    from dp_bench.reports.table import Table


@dataclass(frozen=True)
class Report:
    """Remake tables and figures from records.

    Example:
      dp-bench report results

    A page for a browser, with films of six starts:
      dp-bench report results --html --films disagreement

    For a learning curve, train with checkpoints and evaluate them:
      dp-bench train --set training.keep_every=1000
      dp-bench eval RUN --steps all --starts validation
      dp-bench report results --runs RUN
    """

    results: Positional[Annotated[Path, arg(metavar="RESULTS")]] = Path("results")
    """Folder that holds `TASK/records/*.jsonl`, or the folder of one task in it."""
    runs: Annotated[
        tuple[Path, ...], arg(metavar="RUN ...", help_behavior_hint=hint("optional"))
    ] = ()
    """Run folders whose records are copied to the results first."""
    html: Annotated[
        tuple[Path, ...] | None,
        arg(metavar="[FOLDER]", help_behavior_hint=hint("default: no pages")),
    ] = None
    """Also write pages for a browser: beside the records, or into FOLDER."""
    films: Annotated[
        tuple[str, ...],
        arg(
            metavar="WHICH ...",
            help_behavior_hint=hint(
                "all, disagreement (six starts), a number of starts, or env seeds; "
                "default: none"
            ),
        ),
    ] = ()
    """With --html, film these starts; run folders are found in --runs and runs/."""

    def run(self) -> None:
        """Writes and prints the tables."""
        from rich import print as show

        from dp_bench.reports import overview, remake, results_folder

        if self.html is not None and len(self.html) > 1:
            raise BadInput(f"--html takes one folder, got {len(self.html)}")
        if self.films and self.html is None:
            raise BadInput("--films needs --html, whose pages show the films")
        results_folder.collect(self.runs, self.results)
        folders = results_folder.folders_with_records(self.results)
        made: dict[Path, Table] = {}
        for folder in folders:
            try:
                table, end = remake.remake_task(folder), f"remade in {folder}"
            except ReadOnly:
                table = remake.table_of(folder)
                end = f"{folder} cannot be written, so its files stay as they are"
            made[folder] = table
            tables.print_table(table)
            print(end)
        for folder in results_folder.folders_with_studies(self.results):
            if folder not in folders:
                with contextlib.suppress(ReadOnly):
                    remake.remake_studies(folder)
            for text in remake.shown_studies(folder):
                print(text)
        for group in remake.remake_groups(self.results):
            show(group)
        if len(made) > 1:
            with contextlib.suppress(ReadOnly):
                overview.remake(self.results, made)
                print(f"all tables on one page: {self.results / overview.FILE}")
        if self.html is not None:
            self._write_pages(folders)

    def _write_pages(self, folders: Sequence[Path]) -> None:
        from dp_bench.reports.page import scenes, write

        if self.films:
            for folder in folders:
                scenes.film(folder, self.films, self.runs)
        out = self.html[0] if self.html else self.results
        print(f"page: {write.write(self.results, out, folders)}")
