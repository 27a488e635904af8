"""`dp-bench collect`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from dp_bench.cli import tables
from dp_bench.cli.options import hint
from dp_bench.errors import BadInput
from dp_bench.util.files import refuse_unwritable


@dataclass(frozen=True)
class Collect:
    """Merge the results of shards from several folders; print tables.

    It stops and writes nothing if runs used different demonstrations, splits or
    training orders, if one run has different weights in two folders, or if one
    episode has two different records. It merges into OUT/TASK, and ignores tables
    elsewhere in OUT. Choose a folder of your own for --out: the results/ of the
    repository hold the published runs.

    Example:
      dp-bench collect machine1/mine machine2/mine --out merged
    """

    folders: Positional[
        Annotated[
            tuple[Path, ...],
            arg(metavar="FOLDER ...", help_behavior_hint=hint("at least one")),
        ]
    ] = ()
    """Folders of results, or of runs."""
    out: Path = Path("results")
    """Folder for the merged results."""

    def run(self) -> None:
        """Merges, and remakes the tables."""
        from dp_bench.reports import merge, remake

        if not self.folders:
            raise BadInput("name folders: `dp-bench collect FOLDER FOLDER`")
        for folder in self.folders:
            if not folder.is_dir():
                raise BadInput(f"{folder} is not a folder")
        refuse_unwritable(self.out, f"--out {self.out}")
        for folder in merge.merge(self.folders, self.out):
            if (folder / "records").is_dir():
                tables.print_table(remake.remake_task(folder))
            else:
                remake.remake_studies(folder)
            print(f"records, tables and figures: {folder}")
        remake.remake_groups(self.out)
