"""How long a grid will take on this machine, from a short probe of each method.

A probe makes some updates and some decisions with networks of the real sizes on
made-up numbers, so that it can be taken before there are demonstrations.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from dp_bench.errors import BadInput
from dp_bench.grid.run import Cell, child_environment
from dp_bench.util import progress

if TYPE_CHECKING:
    from dp_bench.data.demos import Demos

UPDATE_SECONDS, STEP_SECONDS = 2.0, 0.5  # how long a probe measures
ROWS, EPISODE = 2000, 100  # of made-up demonstrations
SCRIPTED = 6  # episodes that a script plays to be timed


@dataclass(frozen=True)
class Forecast:
    """What is left to do of one cell.

    Attributes:
        method: Name of the method.
        train_seed: Seed of the training.
        updates: Updates that are left.
        training: Seconds that these take.
        evaluation: Seconds of what is left to evaluate, at most: as if no episode
            ended early.
    """

    method: str
    train_seed: int
    updates: int
    training: float
    evaluation: float

    @property
    def seconds(self) -> float:
        """Together."""
        return self.training + self.evaluation


@dataclass(frozen=True)
class Plan:
    """What a grid will do.

    Attributes:
        demonstrations: Seconds to make them; 0 where they are there.
        cells: One forecast each.
        jobs: How many run at a time.
    """

    demonstrations: float
    cells: tuple[Forecast, ...]
    jobs: int = 1

    @property
    def seconds(self) -> float:
        """All in all."""
        work = sum(cell.seconds for cell in self.cells) / self.jobs
        return self.demonstrations + work


def plan(cells: Sequence[Cell], jobs: int = 1) -> Plan:
    """Probes each method of a grid, in a process of its own that has its threads.

    Raises:
        BadInput: When the probe itself fails, with what it said last.
    """
    words = json.dumps([dataclasses.asdict(cell) for cell in cells])
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "dp_bench.grid.forecast", words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(jobs),
    )
    found: list[Forecast] = []
    demonstrations = 0.0
    with progress.bar("Looking how fast this machine is", len(cells)) as bar:
        try:
            for line in child.stdout or ():
                said = json.loads(line)
                if "demonstrations" in said:
                    demonstrations = said["demonstrations"]
                else:
                    found.append(Forecast(**said))
                    bar.advance(1)
        finally:
            if child.poll() is None and len(found) < len(cells):
                child.kill()
    error = (child.stderr.read() if child.stderr else "").strip().splitlines()
    if child.wait() or len(found) < len(cells):
        raise BadInput(error[-1] if error else f"the probe ended with {child.poll()}")
    return Plan(demonstrations, tuple(found), jobs)


def forecasts(cells: Sequence[Cell]) -> Iterator[Forecast]:
    """Probes in this process, each method once; one forecast for each cell."""
    from dp_bench.data import store as fetch

    begun = time.perf_counter()
    importlib.import_module("dp_bench.training.loop")  # torch is what takes long
    start = time.perf_counter() - begun
    costs: dict[str, _Costs] = {}
    load = functools.lru_cache(maxsize=1)(fetch.load_demos)  # most cells share them
    for cell in cells:
        updates, episodes = _left(cell, load)  # refuses what cannot be trained
        if cell.method not in costs:
            costs[cell.method] = _costs(cell, start)
        cost = costs[cell.method]
        yield Forecast(
            method=cell.method,
            train_seed=cell.train_seed,
            updates=updates,
            training=updates * cost.update,
            evaluation=cost.start + cost.evaluation(episodes) if episodes else 0.0,
        )


def _left(cell: Cell, load: Callable[..., Demos]) -> tuple[int, int]:
    """Updates and episodes that a cell still has to do; `load` as `load_demos`."""
    from dp_bench import registry
    from dp_bench.data import store as fetch
    from dp_bench.evaluation import records
    from dp_bench.grid.run import prepared, settings_of
    from dp_bench.task import TEST_STARTS
    from dp_bench.util.tensors import load_tensors

    settings, task = settings_of(cell), registry.task(cell.task)
    episodes = len(task.variants) * (
        cell.episodes or settings.episodes or len(TEST_STARTS)
    )
    updates = settings.training.updates
    if fetch.find(cell.task, cell.source, cell.demos) is None:
        return updates, episodes
    folder = prepared(cell, load(cell.task, cell.source, cell.demos)).folder
    if folder.weights.is_file():
        updates = 0
        if folder.records.is_file():
            found = records.read(folder.records)
            episodes -= sum(r.starts == "test" for r in found)
    elif folder.resume.is_file():
        updates -= int(load_tensors(folder.resume)[1]["update"])
    return max(0, updates), max(0, episodes)


class _Costs(NamedTuple):
    """Seconds that things take.

    Attributes:
        start: Of a process, until it can work.
        update: One update.
        group: The decisions of one group of episodes that are played side by side.
        episode: The simulation of one whole episode.
        lanes: Episodes in a group.
        processes: That share the groups.
    """

    start: float
    update: float
    group: float
    episode: float
    lanes: int
    processes: int

    def evaluation(self, episodes: int) -> float:
        """Seconds of so many episodes."""
        groups = -(-episodes // self.lanes)
        rounds = -(-groups // self.processes)
        return rounds * (self.group + self.episode * min(self.lanes, episodes))


def _costs(cell: Cell, start: float) -> _Costs:
    """Measures with networks of the real sizes."""
    import numpy as np
    import torch

    from dp_bench import references, registry
    from dp_bench.grid.run import PROCESSES, settings_of
    from dp_bench.training.device import available_device
    from dp_bench.training.loop import update_seconds

    settings, task = settings_of(cell), registry.task(cell.task)
    env = task.make_env(obs_kind=cell.obs_kind, control=settings.control)
    rng = np.random.default_rng(0)
    shape, action_shape = env.observation_space.shape, env.action_space.shape
    if shape is None or action_shape is None or len(shape) != 1:
        raise BadInput(
            f"a probe needs numbers as observations, and {task.name} has "
            f"{env.observation_space} with obs={cell.obs_kind!r}"
        )
    actions = rng.uniform(-1, 1, (ROWS, action_shape[0]))
    made_up = (
        rng.uniform(-1, 1, (ROWS, shape[0])).astype(np.float32),
        actions.astype(np.float32),
        np.arange(EPISODE, ROWS + 1, EPISODE),
    )
    with torch.random.fork_rng(devices=[]):
        policy = references.load(registry.method(cell.method).policy)(
            settings.policy, obs_dim=shape[0], action_dim=made_up[1].shape[1]
        )
        of_update = update_seconds(
            policy,
            made_up,
            settings.training,
            device=available_device(cell.device),
            obs_noise=task.obs_noise_of(
                cell.obs_kind or task.obs_kinds[0], settings.control
            ),
            at_least=UPDATE_SECONDS,
        )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    policy = policy.cpu().eval()
    policy.reset(range(task.lanes))
    seen = np.repeat(made_up[0][: task.lanes, None], policy.horizons.obs, axis=1)
    of_decision = _seconds(lambda: policy.act(seen), STEP_SECONDS)
    env.reset(seed=0)
    action = np.asarray(env.action_space.sample()) * 0
    of_step = _seconds(lambda: env.step(action), STEP_SECONDS)
    env.close()
    torch.set_num_threads(threads)
    steps = task.max_steps_of(cell.source)
    decisions = -(-steps // policy.horizons.action)
    return _Costs(
        start=start,
        update=of_update,
        group=decisions * of_decision,
        episode=steps * of_step,
        lanes=task.lanes,
        processes=int(os.environ.get(PROCESSES, 0)) or os.cpu_count() or 1,
    )


def _demonstrations(cell: Cell) -> float:
    """Seconds to make demonstrations; 0 if they are there."""
    from dp_bench import references, registry
    from dp_bench.data import store as fetch

    if fetch.find(cell.task, cell.source, cell.demos) is not None:
        return 0.0
    source = registry.task(cell.task).source_named(cell.source)
    if source.script is None:
        return 0.0
    script, begun = references.load(source.script), time.perf_counter()
    seeds = list(source.env_seeds)[:SCRIPTED]
    for seed in seeds:
        script(seed)
    each = (time.perf_counter() - begun) / len(seeds)
    return each * (source.max_episodes or len(source.env_seeds)) / (os.cpu_count() or 1)


def _seconds(work: Callable[[], Any], at_least: float) -> float:
    """Seconds of one call, after a first one that may have things to set up."""
    work()
    calls, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < at_least:
        work()
        calls += 1
    return spent / calls


def in_words(found: Plan, cells: Sequence[Cell], out: str) -> str:
    """The plan for a person."""
    from dp_bench import registry

    first = cells[0]
    seeds = sorted({cell.train_seed for cell in cells})
    word = "seed" if len(seeds) == 1 else "seeds"
    lines = [
        f"{first.task}, {first.preset} settings, {word} "
        f"{', '.join(map(str, seeds))}: this will take about "
        f"{progress.duration(found.seconds)} on this machine",
    ]
    if found.demonstrations:
        took = progress.duration(found.demonstrations)
        lines.append(f"  demonstrations: made by a script, {took}")
    for name in dict.fromkeys(cell.method for cell in found.cells):
        mine = [cell for cell in found.cells if cell.method == name]
        title = registry.title_of(name)
        seconds = sum(cell.seconds for cell in mine)
        if seconds < 1:
            lines.append(f"  {title}: is there already")
            continue
        updates = sum(cell.updates for cell in mine)
        training = progress.duration(sum(cell.training for cell in mine))
        testing = progress.duration(sum(cell.evaluation for cell in mine))
        lines.append(
            f"  {title}: {updates:,} updates in {training}, "
            f"then the test starts in {testing} at most"
        )
    lines.append(f"  tables and figures: {out}")
    lines.append(
        "Ctrl-C stops it; the same command goes on from there. PRESET=smoke or "
        "--preset smoke shows in minutes that everything works."
        if first.preset != "smoke"
        else "Smoke settings show that everything works; their scores mean nothing."
    )
    return "\n".join(lines)


def _main() -> int:
    """Probes as a child process: forecasts as JSON lines."""
    words = json.loads(sys.argv[1])
    cells = [
        Cell(**(cell | {"changes": tuple(map(tuple, cell["changes"]))}))
        for cell in words
    ]

    def say(data: dict[str, Any]) -> None:
        print(json.dumps(data), flush=True)

    try:
        say({"demonstrations": _demonstrations(cells[0])})
        for made in forecasts(cells):
            say(dataclasses.asdict(made))
    except (BadInput, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
