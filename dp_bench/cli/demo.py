"""`dp-bench demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from dp_bench.cli.options import hint
from dp_bench.errors import BadInput
from dp_bench.util.files import refuse_unwritable


def _default(_: str) -> str:
    from dp_bench.runs import shipped

    names = ", ".join(shipped.names())
    return f"(default: the policies of this package, {names})" if names else ""


@dataclass(frozen=True)
class Demo:
    """Play policies on a few starts, and make a page with films.

    It trains nothing. Six starts are too few to compare methods; the tables in
    results/ have more. Needs: pip install 'dp-bench[video]'.

    Example:
      dp-bench demo runs/pusht/*-seed0
    """

    run_folders: Positional[
        Annotated[tuple[Path, ...], arg(metavar="RUN ...", help_behavior_hint=_default)]
    ] = ()
    """Run folders that `dp-bench train` or `dp-bench compare` wrote."""
    episodes: int = 6
    """Number of test starts to play."""
    out: Annotated[
        Path, arg(metavar="PATH", help_behavior_hint=hint("default: demo"))
    ] = Path("demo")
    """Folder for records, films and the page."""

    def run(self) -> None:
        """Plays the policies, films every episode, and prints the path of the page."""
        from dp_bench import registry
        from dp_bench.cli.report import Report
        from dp_bench.evaluation import films
        from dp_bench.evaluation.evaluate import evaluate
        from dp_bench.evaluation.starts import env_seeds_of
        from dp_bench.runs import shipped
        from dp_bench.runs.folder import RunFolder

        env_seeds_of("test", self.episodes, option="--episodes")
        named = self.run_folders or tuple(map(Path, shipped.names()))
        if not named:
            raise BadInput(
                "name run folders: `dp-bench demo runs/TASK/RUN`; this copy of "
                "dp-bench comes without trained policies"
            )
        films.refuse_without_imageio()
        refuse_unwritable(self.out, f"--out {self.out}")
        runs = shipped.playable(named, self.out / "runs")
        for run in map(RunFolder, runs):
            variants = registry.task(run.info().task).variants
            evaluate(run, episodes=self.episodes, variants=[next(iter(variants))])
        Report(
            self.out / "results", tuple(runs), html=(), films=(str(self.episodes),)
        ).run()
