"""What has to be made before a training: demonstrations and their images."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

from dp_bench import references
from dp_bench.grid.cell import ResolvedCell
from dp_bench.grid.timing import part_of, timed
from dp_bench.util.threads import cores

SCRIPTED = 6  # episodes that a script plays to be timed


class _Size(NamedTuple):
    """Demonstrations that are there, or that a script would make.

    Attributes:
        steps: Their number, or an estimate.
        episodes: Their number.
        seconds: Time that the script takes on all cores [s]; 0 if they are there.
    """

    steps: float
    episodes: int
    seconds: float


def demonstrations_ahead(cell: ResolvedCell) -> dict[str, float]:
    """Says what the demonstrations of a cell still take on this machine.

    Returns:
        "demonstrations", the time to make them, and "rendering", the time to draw
        their images [s]; 0 for what is there, or comes from elsewhere. For images
        also "images", about how much memory they take [GiB], and "in_memory",
        whether that fits.
    """
    facts: dict[str, float] = {"demonstrations": 0.0, "rendering": 0.0}
    demos = cell.demos
    if not (demos.file_is_there or demos.is_scripted):
        return facts
    images = demos.shown is not None and bool(demos.shown.images)
    if demos.file_is_there and not images:
        return facts
    size = _size(cell)
    facts["demonstrations"] = size.seconds
    if images:
        if demos.is_scripted and not demos.is_on_disk:
            facts["rendering"] = size.steps * _time_images(cell) / cores()
        facts |= _memory(cell, size)
    return facts


def _size(cell: ResolvedCell) -> _Size:
    if cell.demos.file_is_there:
        demos = cell.demos.without_images
        return _Size(len(demos.actions), demos.num_episodes, 0.0)
    source = cell.task.source_named(cell.names.source)
    assert source.script is not None
    script, begun = references.load(source.script), time.perf_counter()
    seeds = list(source.env_seeds)[:SCRIPTED]
    played = [script(seed) for seed in seeds]
    each = (time.perf_counter() - begun) / len(seeds)
    episodes = source.max_episodes or len(source.env_seeds)
    lengths = [len(episode.actions) for episode in played if episode is not None]
    mean = sum(lengths) / max(1, len(lengths))
    return _Size(mean * episodes, episodes, each * episodes / cores())


def _time_images(cell: ResolvedCell) -> float:
    """Times the images of one step, as rendering draws them [s]."""
    env = cell.task.make_env(obs_kind=cell.obs_kind)
    bare: Any = env.unwrapped
    try:
        _, info = env.reset(seed=0)
        draw = getattr(bare, "images", None)
        if draw is None or "state" not in info:
            return 0.0
        return timed(lambda: draw(info["state"]), part_of(1000))
    finally:
        env.close()


def _memory(cell: ResolvedCell, size: _Size) -> dict[str, float]:
    """Says how much memory the images of a training take, and whether that fits."""
    import torch

    from dp_bench.training.frames import lie_in_memory

    assert cell.demos.shown is not None
    share = min(1.0, (cell.task.train_episodes or math.inf) / size.episodes)
    shapes = cell.demos.shown.images.values()
    nbytes = share * size.steps * sum(math.prod(shape) for shape in shapes)
    in_memory = lie_in_memory(
        nbytes, torch.device(cell.device), cell.settings.training.frames
    )
    return {"images": nbytes / 2**30, "in_memory": in_memory}
