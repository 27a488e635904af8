"""`dp-bench report`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from dp_bench.cli import tables
from dp_bench.cli.options import hint
from dp_bench.errors import BadInput
from dp_bench.util.files import ReadOnly, refuse_unwritable
from dp_bench.util.text import sentence

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
    """Also write pages for a browser: beside the records, or into FOLDER. Type
    RESULTS before --html."""
    films: Annotated[
        tuple[str, ...] | None,
        arg(
            metavar="WHICH ...",
            help_behavior_hint=hint(
                "all, disagreement (six starts), a number of starts, or env seeds; "
                "default: none"
            ),
        ),
    ] = None
    """Film these starts for the pages. Run folders come from --runs and runs/TASK/."""

    def run(self) -> None:
        """Writes and prints the tables."""
        from rich import print as show

        from dp_bench.reports import overview, remake, results_folder

        if self.html is not None and len(self.html) > 1:
            raise BadInput(f"--html takes one folder, got {len(self.html)}")
        if self.films is not None and self.html is None:
            raise BadInput("--films needs --html, whose pages show the films")
        self._check_pages()
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
            self._write_pages(made)

    @property
    def _out(self) -> Path:
        """The folder of the pages."""
        return self.html[0] if self.html else self.results

    def _check_pages(self) -> None:
        """Refuses what would fail after the tables are remade."""
        if self.html is None:
            return
        from dp_bench.evaluation import films
        from dp_bench.reports.page import scenes, write

        write.refuse_inside(self.results, self._out)
        refuse_unwritable(self._out, f"--html {self._out}")
        if self.films is not None:
            films.refuse_without_imageio()
            scenes.Wanted.read(self.films)

    def _write_pages(self, made: Mapping[Path, Table]) -> None:
        """Films, and writes the pages even where a film cannot be made."""
        from dp_bench.reports.page import write

        faults = []
        for folder, table in made.items():
            try:
                self._film(folder, table)
            except BadInput as error:  # the other tables still get their films
                print(f"dp-bench: {folder}: {sentence(error)}", file=sys.stderr)
                faults.append(str(folder))
        print(f"page: {write.write(self.results, self._out, made)}")
        if faults:
            raise BadInput(
                f"some films of {', '.join(faults)} could not be made; the pages are "
                "written without them"
            )

    def _film(self, folder: Path, table: Table) -> None:
        """Films the wanted starts of a table."""
        if self.films is None:
            return
        from dp_bench.evaluation import films
        from dp_bench.reports.page import scenes
        from dp_bench.reports.page.origin import read_runs

        trainings = read_runs(folder)
        tasks = dict.fromkeys(training.info.task for training in trainings.values())
        places = [*self.runs, *(Path("runs") / task for task in tasks)]
        known = scenes.known_runs(trainings, places)
        wanted = scenes.Wanted.read(self.films)
        chosen, lost = scenes.scenes_of(table, wanted, trainings, known)
        if lost:
            print(
                f"{folder}: {lost} of {len(table.rows)} rows have no run folder here, "
                "so their episodes are not filmed; name the folders with --runs"
            )
        if chosen:
            films.make(folder, chosen, known)
        elif lost < len(table.rows):
            reason = (
                "no two rows of one variant and observation met the same starts"
                if wanted.word == scenes.DISAGREEMENT
                else "no row met these starts"
            )
            print(f"{folder}: {reason}, so nothing is filmed")
