"""`dp-bench demo`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from dp_bench.cli.options import hint
from dp_bench.errors import BadInput
from dp_bench.util.files import refuse_unwritable
from dp_bench.util.text import sentence

if TYPE_CHECKING:
    from dp_bench.evaluation.rollout import Episode


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
        results = self.out / "results"
        copies = [run for run in runs if run.is_relative_to(self.out)]
        self._film(copies, results)
        for run in runs:  # what has no record yet
            evaluate(RunFolder(run), episodes=self.episodes, variants=[_variant(run)])
        Report(results, tuple(runs), html=(), films=(str(self.episodes),)).run()

    def _film(self, runs: Sequence[Path], results: Path) -> None:
        """Plays policies once, for both the films and the records.

        The episodes of other runs are played in the groups of an evaluation, because
        their records stay.
        """
        from dp_bench.evaluation import films
        from dp_bench.evaluation.evaluate import keep
        from dp_bench.evaluation.starts import env_seeds_of
        from dp_bench.reports.results_folder import folder_of
        from dp_bench.runs.folder import RunFolder

        scenes: dict[Path, list[films.Scene]] = {}
        known = {run.resolve().name: run for run in runs}

        def played(group: Sequence[films.Scene], episodes: Sequence[Episode]) -> None:
            keep(RunFolder(known[group[0].run]), group[0].variant, episodes)

        for name, run in known.items():
            info, trained = RunFolder(run).info(), RunFolder(run).trained()
            place = results / folder_of(info.task, info.demos_source)
            for env_seed in env_seeds_of("test", self.episodes):
                scene = films.Scene(
                    run=name,
                    weights=trained.weights,
                    step=RunFolder(run).last_step(),
                    variant=_variant(run),
                    env_seed=env_seed,
                    train_seed=info.train_seed,
                )
                scenes.setdefault(place, []).append(scene)
        try:
            films.make_all(scenes, known, played)
        except BadInput as error:
            # The report says it again and makes the other films. Episodes that have no
            # record yet are played again.
            print(f"dp-bench: {sentence(error)}", file=sys.stderr)


def _variant(run: Path) -> str:
    """Names the variant of the environment that is shown: the task's first."""
    from dp_bench import registry
    from dp_bench.runs.folder import RunFolder

    return next(iter(registry.task(RunFolder(run).info().task).variants))
