"""Forecasting how long a grid takes on this machine, from a short probe per method."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.grid.cell import Cell
from dp_bench.grid.local import child_environment
from dp_bench.grid.schedule import makespan, worthwhile
from dp_bench.util import progress
from dp_bench.util.processes import start_child
from dp_bench.util.threads import cores

HERE, PART, CLUSTER = "here", "part", "cluster"
CONTEXT = 2.0**29  # memory of the GPU that a process takes for itself [bytes]
WORTH_MACHINES = 600.0  # work for which a second machine is worth a thought [s]


@dataclass(frozen=True)
class CellForecast:
    """The work that is left of one cell.

    Attributes:
        method: Name of the method.
        train_seed: Seed of the training.
        updates: Number of updates that are left.
        training: Time that these take [s].
        evaluation: Time of the remaining evaluation at most [s], as if every episode
            ran to its time limit.
        threads: Threads of the training.
        gpu_memory: Memory that the training takes on its GPU [bytes]; 0 on the CPU.
        done: The run folder of a cell that is finished; "" for others.
    """

    method: str
    train_seed: int
    updates: int
    training: float
    evaluation: float
    threads: int = 1
    gpu_memory: float = 0.0
    done: str = ""

    @property
    def seconds(self) -> float:
        """Training and evaluation together [s]."""
        return self.training + self.evaluation


@dataclass(frozen=True)
class GridForecast:
    """The work that is left of a grid.

    Attributes:
        demonstrations: Time to make the demonstrations [s]; 0 if they are on disk.
        cells: One forecast for each cell.
        jobs: Number of cells that run at a time.
        rendering: Time to draw the images of the demonstrations [s]; 0 if they are on
            disk.
        images: About how much memory the images of one training take [GiB]; 0 for
            none, or if unknown.
        in_memory: Whether these fit into the memory of the device; else they are read
            from their file.
        free_gpu_memory: Memory of the GPU that nothing uses [bytes]; 0 without a GPU.
    """

    demonstrations: float
    cells: tuple[CellForecast, ...]
    jobs: int = 1
    rendering: float = 0.0
    images: float = 0.0
    in_memory: bool = True
    free_gpu_memory: float = 0.0

    @property
    def seconds(self) -> float:
        """Time that the whole grid takes [s]."""
        durations = [self.duration(cell) for cell in self.cells]
        return self.demonstrations + self.rendering + makespan(durations, self.jobs)

    def duration(self, cell: CellForecast) -> float:
        """Time of a cell [s] beside the others that run at the same time."""
        return cell.training * self.slowed_down(cell) + cell.evaluation

    def slowed_down(self, cell: CellForecast) -> float:
        """How many times longer a training takes because the others share its cores."""
        if cell.gpu_memory:  # its threads wait for the GPU
            return 1.0
        return max(1.0, self.jobs * cell.threads / cores())


def forecast(
    cells: Sequence[Cell], jobs: int = 1, per_device: int | None = None
) -> GridForecast:
    """Probes each method of a grid in a child process with as many threads as a cell.

    Args:
        cells: Of the grid.
        jobs: Number of cells at a time.
        per_device: Number of those that share a GPU; None for all.

    Raises:
        BadInput: When the probe fails, with its last line of output.
    """
    methods = len({cell.method for cell in cells})
    word = "method" if methods == 1 else "methods"
    progress.note(f"Timing {methods} {word} on this machine, some seconds each")
    words = json.dumps([cell.to_json() for cell in cells])
    child = start_child(
        "dp_bench.grid.probe", words, child_environment(jobs, per_device)
    )
    forecasts: list[CellForecast] = []
    facts: dict[str, float] = {"demonstrations": 0.0}
    with progress.bar("Timing this machine", len(cells)) as bar:
        try:
            for line in child.stdout or ():
                message = json.loads(line)
                if "demonstrations" in message:
                    facts = message
                else:
                    forecasts.append(CellForecast(**message))
                    bar.advance(1)
        finally:
            if child.poll() is None and len(forecasts) < len(cells):
                child.kill()
    error = (child.stderr.read() if child.stderr else "").strip().splitlines()
    if child.wait() or len(forecasts) < len(cells):
        raise BadInput(error[-1] if error else f"the probe ended with {child.poll()}")
    return GridForecast(cells=tuple(forecasts), jobs=jobs, **facts)  # type: ignore[arg-type]


def describe_done(cells: Sequence[Cell]) -> str:
    """Says for a person that nothing is left of a grid."""
    number = len(cells)
    trainings = "the training is" if number == 1 else f"all {number} trainings are"
    return f"{_heading(cells)}: {trainings} done"


def _heading(cells: Sequence[Cell]) -> str:
    """Names the task, the preset and the train seeds of a grid."""
    seeds = sorted({cell.train_seed for cell in cells})
    word = "seed" if len(seeds) == 1 else "seeds"
    first = cells[0]
    return f"{first.task}, {first.preset} settings, {word} {', '.join(map(str, seeds))}"


def refuse_crowded_gpu(forecast: GridForecast, per_gpu: int) -> None:
    """Refuses more trainings on one GPU than its memory holds.

    Raises:
        BadInput: With the number that fits.
    """
    needed = max((cell.gpu_memory for cell in forecast.cells), default=0.0)
    if needed:
        needed += CONTEXT + (forecast.images * 2**30 if forecast.in_memory else 0.0)
    if per_gpu > 1 and per_gpu * needed > forecast.free_gpu_memory:
        fitting = max(1, int(forecast.free_gpu_memory / needed))
        raise BadInput(
            f"--per-gpu {per_gpu}: one training takes {needed / 2**30:.1f} GiB and the "
            f"GPU has {forecast.free_gpu_memory / 2**30:.1f} GiB free; use --per-gpu "
            f"{fitting}"
        )


def describe(
    forecast: GridForecast, cells: Sequence[Cell], out: str, *, where: str = HERE
) -> str:
    """Describes the work ahead for a person.

    Args:
        forecast: Of a grid.
        cells: Its cells.
        out: Folder of tables and figures.
        where: `HERE` where this machine does all of it, `PART` for a shard, `CLUSTER`
            for Ray.
    """
    first = cells[0]
    lines = [
        f"{_heading(cells)}: this will take about "
        f"{progress.duration(forecast.seconds)} on "
        + ("one machine like this" if where == CLUSTER else "this machine"),
    ]
    if forecast.demonstrations:
        duration = progress.duration(forecast.demonstrations)
        named = f"{source}, " if (source := first.source) else ""
        lines.append(f"  demonstrations: {named}made by a script, {duration}")
    if forecast.images:
        place = "in memory" if forecast.in_memory else "read from their file"
        made = ""
        if forecast.rendering:
            made = f"drawn in {progress.duration(forecast.rendering)}, "
        lines.append(f"  images: {made}{forecast.images:.2g} GiB, {place}")
    for name in dict.fromkeys(cell.method for cell in forecast.cells):
        mine = [cell for cell in forecast.cells if cell.method == name]
        lines.append(f"  {registry.title_of(name)}: {_describe_method(mine)}")
    if any(
        forecast.slowed_down(cell) > 1 and cell.threads > 1 for cell in forecast.cells
    ):
        threads = max(cell.threads for cell in forecast.cells)
        lines.append(
            f"  threads wait for each other: {forecast.jobs} x {threads} share "
            f"{cores()} cores, so this can take several times longer than forecast; "
            "choose fewer --jobs or training.threads=1"
        )
    if where != PART and (line := _on_machines(forecast)):
        lines.append(line)
    lines.append(f"  tables and figures: {out}")
    lines.append(
        "Ctrl-C stops the work; the same command resumes it. PRESET=smoke or "
        "--preset smoke shows in minutes that everything works."
        if first.preset != "smoke"
        else "Smoke settings show that everything works; their scores mean nothing."
    )
    return "\n".join(lines)


def _on_machines(forecast: GridForecast) -> str:
    """Says how long several machines like this one take; "" if they save nothing."""
    jobs, left = forecast.jobs, [cell for cell in forecast.cells if cell.seconds]
    seconds = [forecast.duration(cell) for cell in left]
    most = -(-worthwhile(seconds) // jobs) if seconds else 1
    if most < 2 or sum(seconds) < WORTH_MACHINES:
        return ""
    counts = sorted({n for n in (2, 4, 8, 16, 32, 64, 128) if n < most} | {most})
    times = [
        f"{n} take {progress.duration(makespan(seconds, n * jobs))}" for n in counts
    ]
    hours = f"{sum(seconds) / 3600:.3g}"
    unit = "GPU-hours" if any(cell.gpu_memory for cell in left) else "hours"
    return (
        f"  on several machines like this one (--shard, --ray): {len(seconds)} "
        f"trainings, {hours} {unit} in all; {', '.join(times)}; more than {most} "
        "machines save less than 5 %"
    )


def _describe_method(cells: Sequence[CellForecast]) -> str:
    """Describes the work that is left of the cells of one method."""
    updates = sum(cell.updates for cell in cells)
    training = sum(cell.training for cell in cells)
    testing = sum(cell.evaluation for cell in cells)
    if not updates and not testing:
        return "already done"
    trained = f"{updates:,} updates in {_at_least_a_second(training)}"
    tested = f"the test starts in {_at_least_a_second(testing)} at most"
    return f"{trained}, then {tested}" if updates else f"already trained, {tested}"


def _at_least_a_second(seconds: float) -> str:
    """Writes a duration for people, and never 0 s for work that is left."""
    return progress.duration(max(1.0, seconds))
