"""Demonstrations that a script makes: played in parallel, only successes kept."""

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
    """Plays a script from the starts of its source, and keeps what succeeds.

    A start is a function of its seed, and episodes are kept in the order of the seeds,
    until there are as many as the source wants: the number of processes moves nothing.

    Args:
        task: The task.
        source: One of its sources that has a script.
        processes: Worker processes; None for as many as cores.

    Raises:
        BadInput: When no episode succeeds.
    """
    made = task.sources[source]
    assert made.script is not None
    seeds = [int(seed) for seed in made.env_seeds]
    jobs = [seeds[i : i + EPISODES_A_JOB] for i in range(0, len(seeds), EPISODES_A_JOB)]
    kept: list[Demonstration] = []
    wanted = made.most or len(seeds)
    with progress.bar(f"Making {task.name} demonstrations", wanted) as bar:
        tried = 0

        def tell(more: int) -> None:
            text = f"{len(kept)} of {tried} succeeded" if tried else None
            bar.advance(0 if made.most else more, text)

        results = workers.in_order(
            functools.partial(references.load, made.script),
            _played,
            jobs,
            processes=processes,
            tell=tell,
        )
        with contextlib.closing(results):
            for job, episodes in zip(jobs, results, strict=True):
                tried += len(job)
                kept += [episode for episode in episodes if episode is not None]
                tell(0)
                if made.most:
                    bar.advance(min(len(kept), wanted) - bar.done)
                if len(kept) >= wanted:
                    break
    kept = kept[:wanted]
    if not kept:
        raise BadInput(
            f"the script of the {source} demonstrations of {task.name} failed from all "
            f"of its {len(seeds)} starts"
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
