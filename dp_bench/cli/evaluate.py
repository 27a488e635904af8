"""`dp-bench eval`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from dp_bench.cli import tables
from dp_bench.cli.options import (
    EvaluationDevice,
    RunFolders,
    Settings,
    ShardName,
    hint,
    name_and_value,
)
from dp_bench.errors import BadInput
from dp_bench.util.files import refuse_unwritable
from dp_bench.util.shard import Shard

if TYPE_CHECKING:
    from dp_bench.runs.folder import RunFolder


@dataclass(frozen=True)
class Evaluate:
    """Evaluate trained runs again, with other settings or starts.

    Examples:
      dp-bench eval runs/pusht/dp_c-*-seed0
      dp-bench eval RUN --set policy.sampler=ddpm policy.sample_steps=100
      dp-bench eval RUN --starts validation --steps all
      dp-bench eval RUN RUN --video 100000 100007
    """

    run_folders: RunFolders = ()
    """Run folders that `dp-bench train` or `dp-bench compare` wrote."""
    starts: Annotated[
        Literal["test", "validation"],
        arg(
            metavar="STARTS",
            help_behavior_hint=hint("one of test, validation; default: test"),
        ),
    ] = "test"
    """Starts to play: test starts for reports, the others for choosing settings."""
    episodes: int = 50
    """Play the first so many starts: up to 1,000 for tests, 200 for validation."""
    steps: Annotated[str, arg(metavar="N|last|all")] = "last"
    """Checkpoints to evaluate: after N updates, the last, or all that were kept."""
    variants: Annotated[
        tuple[str, ...],
        arg(metavar="VARIANT ...", help_behavior_hint=hint("default: all")),
    ] = ()
    """Variants of the environment."""
    set: Settings = ()
    """Settings of the policy's sampler to change."""
    processes: Annotated[
        int | None,
        arg(metavar="N", help_behavior_hint=hint("default: one for each core")),
    ] = None
    """Number of worker processes; results do not depend on it."""
    device: EvaluationDevice = "cpu"
    """Device that the policy runs on."""
    shard: ShardName = None
    """Play only part I of N; play the other parts on other machines."""
    video: Annotated[
        tuple[int, ...],
        arg(metavar="ENV-SEED ...", help_behavior_hint=hint("default: no video")),
    ] = ()
    """Starts to film; each MP4 shows all runs side by side."""
    out: Path = Path("videos")
    """Folder of the videos."""

    def run(self) -> None:
        """Evaluates, and prints the results."""
        from dp_bench.evaluation.evaluate import evaluate
        from dp_bench.runs import shipped
        from dp_bench.runs.folder import RunFolder
        from dp_bench.util.devices import available_device

        if not self.run_folders:
            raise BadInput("name a run folder: `dp-bench eval runs/TASK/RUN`")
        if self.processes is not None and self.processes < 1:
            raise BadInput(f"--processes must be at least 1, got {self.processes}")
        shard = Shard.read(self.shard)
        if self.video:
            refuse_unwritable(self.out, f"--out {self.out}")
        changes = dict(map(name_and_value, self.set))
        device = available_device(self.device)
        folders = [RunFolder(path) for path in shipped.playable(self.run_folders)]
        todo = [(f, step) for f in folders for step in self._checkpoints(f)]
        records = [
            record
            for offset, (folder, step) in enumerate(todo)
            for record in evaluate(
                folder,
                starts=self.starts,
                episodes=self.episodes,
                variants=self.variants or None,
                step=step,
                changes=changes,
                processes=self.processes,
                device=device,
                shard=shard,
                offset=offset,
            )
        ]
        if records:
            tables.print_records(records, folders[0].info().demos_source)
        if not shard.is_all:
            print(f"{shard}: the table shows the {len(records)} episodes played so far")
        if self.video:
            from dp_bench.evaluation.videos import film

            variant = next(iter(self.variants), None)
            for path in film(
                folders, self.video, self.out, variant=variant, changes=changes
            ):
                print(path)

    def _checkpoints(self, folder: RunFolder) -> list[int | None]:
        """Lists the updates whose weights are evaluated; None for the last."""
        if self.steps == "last":
            return [None]
        if self.steps == "all":
            kept = folder.steps()
            if kept and not folder.weights.is_file():  # still training
                return [*kept]
            last = folder.last_step() if kept else None
            return [*(step for step in kept if step != last), None]
        if not self.steps.isdigit():
            raise BadInput(f"--steps must be a number, last or all; got {self.steps!r}")
        return [int(self.steps)]
