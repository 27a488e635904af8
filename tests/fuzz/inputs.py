"""The kinds of input that the fuzzer damages: how a good one is made, and used."""

import contextlib
import dataclasses
import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass

from dp_bench import registry
from dp_bench.task import DemoSource
from fuzz import demos, runs


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes:
        quick: How many inputs of it the quick tests try.
        slow: How many the slow tests try.
        write: Writes a good input into a folder.
        make: Damages a copy; returns the words of a command, and the folders that the
            command may write.
        needs: A package without which the kind is left out.
    """

    quick: int
    slow: int
    write: Callable
    make: Callable
    needs: str = "numpy"


KINDS = {
    "ours": Kind(25, 400, demos.write_ours, demos.make_ours),
    "frames": Kind(5, 200, demos.write_frames, demos.make_frames),
    "zarr": Kind(30, 400, demos.write_zarr, demos.make_zarr),
    "zip": Kind(20, 300, demos.write_zarr, demos.make_zip),
    "npz": Kind(
        25, 300, demos.write_block_push, demos.make_npz("blockpush", "published", True)
    ),
    "kitchen": Kind(
        15, 150, demos.write_kitchen_npz,
        demos.make_npz("kitchen", "complete-v2", False), "gymnasium_robotics",
    ),
    "minari": Kind(
        20, 300, demos.write_minari, demos.make_minari, "gymnasium_robotics"
    ),
    "robomimic": Kind(8, 300, demos.write_robomimic, demos.make_robomimic, "robosuite"),
    "run": Kind(12, 250, runs.write_run, runs.make_run),
    "resumed": Kind(3, 100, runs.write_resumable, runs.make_resumed),
    "results": Kind(2, 60, runs.write_results, runs.make_results),
    "settings": Kind(20, 140, runs.write_settings, runs.make_settings),
    "plugin": Kind(15, 100, runs.write_plugin, runs.make_plugin),
}  # fmt: skip


def installed_kinds():
    """Names of the kinds whose packages are here."""
    return [
        name for name, kind in KINDS.items() if importlib.util.find_spec(kind.needs)
    ]


def cases(speed):
    """The first inputs of every kind, `KIND:SEED`; `speed` is "quick" or "slow"."""
    return [
        f"{name}:{seed}"
        for name in installed_kinds()
        for seed in range(getattr(KINDS[name], speed))
    ]


def shorten_episodes():
    """Ends every rollout of a policy after eight steps, in this process only."""
    tasks = importlib.import_module("dp_bench.envs").TASKS
    for name, sources in (("pusht", ("human", "mine")), ("blockpush", ("published",))):
        short = dict(tasks[name].sources)
        for source in sources:
            known = short.get(source, DemoSource(""))
            short[source] = dataclasses.replace(known, max_steps=8)
        tasks[name] = dataclasses.replace(tasks[name], sources=short)
    registry.tasks.cache_clear()


@contextlib.contextmanager
def without_traces():
    """Takes back what a plug-in changed in this process."""
    path, modules = list(sys.path), set(sys.modules)
    registry.tasks.cache_clear()
    registry.methods.cache_clear()
    try:
        yield
    finally:
        sys.path[:] = path
        for name in [name for name in sys.modules if "fuzzed" in name]:
            if name not in modules:
                del sys.modules[name]
        importlib.invalidate_caches()
