"""`dp-bench power`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from dp_bench import registry
from dp_bench.cli.options import controls, hint, obs_kinds, one_of
from dp_bench.errors import BadInput
from dp_bench.util.files import ReadOnly


@dataclass(frozen=True)
class Power:
    """Plan how many more trainings or starts tell two methods apart.

    The records of a comparison show how much scores vary between trainings
    and between starts. The table gives the chance of a decision for other
    numbers of both.

    Example:
      dp-bench power results/pusht --methods dp_c bet
    """

    results: Positional[
        Annotated[Path | None, arg(metavar="RESULTS", help_behavior_hint="")]
    ] = None
    """Folder of results of one task."""
    methods: Annotated[
        tuple[str, ...],
        arg(metavar="A B", help_behavior_hint=one_of(registry.methods, "none")),
    ] = ()
    """The two methods."""
    variant: Annotated[
        str | None,
        arg(metavar="VARIANT", help_behavior_hint=hint("default: the task's first")),
    ] = None
    """Variant of the task."""
    obs: Annotated[
        str | None,
        arg(metavar="KIND", help_behavior_hint=one_of(obs_kinds, "the first row's")),
    ] = None
    """Kind of observation, where the results have several."""
    control: Annotated[
        str | None,
        arg(metavar="MODE", help_behavior_hint=one_of(controls, "the only one")),
    ] = None
    """Control mode, where a method was trained with several."""
    out: Annotated[
        Path | None,
        arg(metavar="PATH", help_behavior_hint=hint("default: beside the results")),
    ] = None
    """File of the figure."""

    def run(self) -> None:
        """Prints the plan, and draws its curves."""
        from dp_bench.reports import planning, remake
        from dp_bench.reports.plots.power import power_curves
        from dp_bench.reports.plots.style import figure_of, save

        if self.results is None:
            raise BadInput("name a folder of results: `dp-bench power results/TASK`")
        if not (self.results / "records").is_dir():
            raise BadInput(
                f"{self.results} has no records of a task; name a folder with a folder "
                "`records` in it, results/TASK say"
            )
        plan = planning.plan(
            remake.table_of(self.results),
            self.methods,
            variant=self.variant,
            obs_kind=self.obs,
            control=self.control,
        )
        print(planning.describe(plan))
        parts = [*self.methods, plan.a.variant, *([self.obs] if self.obs else [])]
        figure = self.out or self.results / f"power_{'_'.join(parts)}.png"
        try:
            save(figure_of(power_curves(plan)), figure)
        except ReadOnly:
            print(f"{figure} cannot be written; --out names another place")
        else:
            print(f"figure: {figure}")
