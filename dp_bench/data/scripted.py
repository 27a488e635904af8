"""Making demonstrations with a script, in parallel; only successes are kept."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence

from dp_bench import references
from dp_bench.data.demos import Demonstration, Demos, joined
from dp_bench.errors import BadInput
from dp_bench.task import Task
from dp_bench.util import progress, workers

EPISODES_A_JOB = 5

Script = Callable[[int], Demonstration | None]


def make(task: Task, source: str, *, processes: int | None = None) -> Demos:
    """Plays the script of a source from each of its seeds, and keeps the successes.

    A seed determines its start. Episodes are kept in the order of their seeds until the
    source has as many as it wants, so the number of processes changes nothing.

    Args:
        task: The task.
        source: A source of the task that has a script.
        processes: Number of processes; None for one a core.

    Raises:
        BadInput: When no episode succeeds.
    """
    recipe = task.sources[source]
    assert recipe.script is not None
    seeds = [int(seed) for seed in recipe.env_seeds]
    jobs = [seeds[i : i + EPISODES_A_JOB] for i in range(0, len(seeds), EPISODES_A_JOB)]
    kept: list[Demonstration] = []
    wanted = recipe.max_episodes or len(seeds)
    with progress.bar(f"Making {task.name} demonstrations", wanted) as bar:
        tried = 0

        def tell(more: int) -> None:
            text = f"{len(kept)} of {tried} succeeded" if tried else None
            bar.advance(0 if recipe.max_episodes else more, text)

        results = workers.in_order(
            functools.partial(references.load, recipe.script),
            _played,
            jobs,
            processes=processes,
            on_progress=tell,
        )
        with contextlib.closing(results):
            for job, episodes in zip(jobs, results, strict=True):
                tried += len(job)
                kept += [episode for episode in episodes if episode is not None]
                tell(0)
                if recipe.max_episodes:
                    bar.advance(min(len(kept), wanted) - bar.done)
                if len(kept) >= wanted:
                    break
    kept = kept[:wanted]
    if not kept:
        raise BadInput(
            f"the script of the {source} demonstrations of {task.name} failed from all "
            f"{len(seeds)} seeds"
        )
    env_kwargs = {"obs": task.obs_kinds[0]}
    if len(task.controls) > 1:
        env_kwargs["control"] = task.controls[0]
    return joined(task.name, source, kept, env_kwargs)


def _played(
    script: Script, env_seeds: Sequence[int], tick: Callable[[], None]
) -> list[Demonstration | None]:
    episodes = []
    for seed in env_seeds:
        episodes.append(script(seed))
        tick()
    return episodes
