"""`dp-bench export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from dp_bench.cli.options import hint


@dataclass(frozen=True)
class Export:
    """Write episodes in a form that other evaluation tools read.

    The episodes are those of the table: test starts, at the last checkpoint.

    Example:
      dp-bench export results/pusht --form csv
      dp-bench export results/pusht --form eval-info --out pusht-lerobot
    """

    results: Positional[Annotated[Path, arg(metavar="RESULTS")]]
    """Folder of one task and its demonstrations; it holds `records/*.jsonl`."""
    form: Annotated[Literal["eval-info", "csv"], arg(metavar="FORM")]
    """eval-info: LeRobot's eval_info.json of each training. csv: a row for each
    episode."""
    out: Annotated[
        Path | None,
        arg(metavar="PATH", help_behavior_hint=hint("default: TASK-FORM")),
    ] = None
    """Folder for the files; a new one, or one with an earlier export."""

    def run(self) -> None:
        """Writes the files and says where they are."""
        from dp_bench.reports.export import export

        out = self.out or Path(f"{self.results.resolve().name}-{self.form}")
        files = export(self.results, self.form, out)
        many = f"{len(files)} files" if len(files) > 1 else str(files[0])
        print(f"wrote {many}" + (f" to {out}" if len(files) > 1 else ""))
