"""`dp-bench study samplers`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from dp_bench.cli.options import EvaluationDevice, hint
from dp_bench.errors import BadInput
from dp_bench.evaluation.starts import env_seeds_of
from dp_bench.util import progress
from dp_bench.util.files import locked, refuse_unwritable, remove_stale_parts

if TYPE_CHECKING:
    from dp_bench.policies.base import Policy
    from dp_bench.runs.folder import RunFolder

EPISODES = 50


@dataclass(frozen=True)
class StudySamplers:
    """Play one run under several samplers; print a table.

    Every sampler plays the same starts with 1 to 100 network calls a decision.
    The weights stay as they are. The same command resumes a stopped study.

    Examples:
      dp-bench study samplers RUN
      dp-bench study samplers RUN --samplers ddim heun --calls 2 4 8 16
    """

    run_folder: Positional[
        Annotated[Path | None, arg(metavar="RUN", help_behavior_hint=hint("required"))]
    ] = None
    """Run folder that `dp-bench train` or `dp-bench compare` wrote."""
    samplers: Annotated[
        tuple[str, ...],
        arg(
            metavar="SAMPLER ...",
            help_behavior_hint=hint(
                "default: ddim ddpm dpmsolver++ heun; euler heun for flow"
            ),
        ),
    ] = ()
    """Samplers to compare."""
    calls: Annotated[
        tuple[int, ...],
        arg(
            metavar="N ...",
            help_behavior_hint=hint(
                "default: 1 2 4 8 16 32 64 100, as far as they suit"
            ),
        ),
    ] = ()
    """Network calls per decision."""
    spacings: tuple[Literal["uniform", "quadratic"], ...] = ("uniform",)
    """Spacing of the diffusion steps: uniform, as published, or quadratic, with most
    steps where little noise is left."""
    starts: Annotated[
        Literal["test", "validation"],
        arg(
            metavar="STARTS",
            help_behavior_hint=hint("one of test, validation; default: validation"),
        ),
    ] = "validation"
    """Starts to evaluation: validation starts for choosing, test starts for reports."""
    episodes: int = EPISODES
    """Play the first N starts of the task's first variant."""
    out: Path = Path("results")
    """Folder of results; table and figure go to `OUT/TASK/samplers.*`."""
    device: EvaluationDevice = "cpu"
    """Device that the policy runs on."""

    def run(self) -> None:
        """Plays, and prints and writes the table."""
        from dp_bench.evaluation import samplers
        from dp_bench.reports import results_folder
        from dp_bench.reports import samplers as report
        from dp_bench.runs import shipped
        from dp_bench.runs.folder import RunFolder
        from dp_bench.util.devices import available_device

        if self.run_folder is None:
            raise BadInput("name a run folder: `dp-bench study samplers RUN`")
        env_seeds_of(self.starts, self.episodes, option="--episodes")
        if not self.spacings:
            raise BadInput("--spacings needs uniform, quadratic or both")
        device = available_device(self.device)
        run = RunFolder(*shipped.playable([self.run_folder]))
        info = run.info()
        policy = run.load_policy(None)
        combinations = samplers.combinations(policy, self.samplers, self.calls)
        own = results_folder.folder_of(info.task, info.demos_source)
        folder = self.out / own
        refuse_unwritable(folder, f"--out {self.out}")
        with locked(folder / ".samplers.lock"):
            remove_stale_parts(folder)
            file = folder / samplers.FILE
            if file.is_file():
                samplers.read(file)  # refuses a damaged one before anything runs
            self._play(run, policy, combinations, file, device)
            print(report.remake(folder))
        print(f"records, table and figure: {folder}/samplers.*")

    def _play(
        self,
        run: RunFolder,
        policy: Policy,
        combinations: list[tuple[str, int]],
        file: Path,
        device: str,
    ) -> None:
        """Plays every way, and writes each when it has ended."""
        from dp_bench import registry
        from dp_bench.evaluation import samplers
        from dp_bench.evaluation.evaluate import evaluate

        encoding = samplers.encoding_seconds(policy)
        variant = next(iter(registry.task(run.info().task).variants))
        todo = [(*way, spacing) for spacing in self.spacings for way in combinations]
        for k, (name, calls, spacing) in enumerate(todo, start=1):
            progress.note(f"[{k}/{len(todo)}] {name}, {spacing}, {calls} calls")
            changes = _changes(policy, name, calls, spacing)
            played = evaluate(
                run,
                starts=self.starts,
                episodes=self.episodes,
                variants=[variant],
                changes=changes,
                device=device,
            )
            evaluation = samplers.SamplerEvaluation(
                name, calls, spacing, not changes, encoding, tuple(played)
            )
            samplers.merge(file, [evaluation])


def _changes(policy: Policy, name: str, calls: int, spacing: str) -> dict[str, str]:
    """Returns the settings that differ from those of the run."""
    wanted = {"sampler": name, "sample_steps": str(calls), "spacing": spacing}
    if name != "ddim":
        wanted["eta"] = "0.0"
    now = {field: str(getattr(policy.config, field)) for field in wanted}
    return {field: text for field, text in wanted.items() if now[field] != text}
