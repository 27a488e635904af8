"""`dp-bench pack`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from dp_bench.cli.options import hint
from dp_bench.errors import BadInput
from dp_bench.util.files import refuse_unwritable


@dataclass(frozen=True)
class Pack:
    """Pack a trained run into a small folder, to send it.

    The folder holds the settings and the last weights, rounded to half
    precision. It is a run folder like any other. Evaluate it before you report
    its scores, because rounding changes actions slightly.

    Example:
      dp-bench pack runs/pusht/dp_c-*-seed0 --out pusht-dp_c
      dp-bench eval pusht-dp_c
    """

    run_folder: Positional[
        Annotated[Path | None, arg(metavar="RUN", help_behavior_hint=hint("required"))]
    ] = None
    """Run folder that `dp-bench train` or `dp-bench compare` wrote."""
    out: Annotated[
        Path | None,
        arg(metavar="PATH", help_behavior_hint=hint("default: RUN-packed, here")),
    ] = None
    """New folder for the packed run."""

    def run(self) -> None:
        """Packs the run, and says how large it is."""
        from dp_bench.runs.folder import RunFolder
        from dp_bench.runs.packing import pack

        if self.run_folder is None:
            raise BadInput("name a run folder: `dp-bench pack runs/TASK/RUN`")
        name = self.run_folder.name
        out = self.out or Path(f"{name}-packed")
        refuse_unwritable(out, f"--out {out}")
        packed = pack(RunFolder(self.run_folder), out)
        print(
            f"{out}: {packed.size / 1e6:.2f} MB; largest rounding error: "
            f"{packed.change:.1e} of the largest weight in the tensor"
        )
