"""Time that Ray adds to a grid of short cells, on two nodes with one core each."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dp_bench.data import hdf5
from dp_bench.grid import local
from dp_bench.grid.cell import Cell
from made_up import demonstrations

CELLS, SECONDS, WORKERS = 24, 20.0, 2  # a cell takes about so long [s]
CLUSTER = Path(__file__).parents[1] / "grid" / "ray_cluster.py"
QUIET = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


def ray_overhead():
    """A grid of 24 cells of 20 s: Ray, and the processes of one machine."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        file = place / "demos.hdf5"
        hdf5.save(demonstrations("blockpush", lengths=(40,) * 12), file)
        updates = _updates(place, file)
        cells = _cells(CELLS, updates, place / "local", file)
        begun = time.perf_counter()
        local.run_cells(cells, jobs=WORKERS)
        here = time.perf_counter() - begun
        shared, apart = (
            _on_ray(_cells(CELLS, updates, place / f"apart{apart}", file), apart)
            for apart in ("", "1")
        )
    # One machine does the same work without Ray, so this is what two workers can do.
    return {
        "cells": CELLS,
        "updates of a cell": updates,
        "one machine, two processes [s]": here,
        "a cell [s]": here * WORKERS / CELLS,
        "Ray, shared run folders [s]": shared,
        "Ray, run folders travel [s]": apart,
        "overhead, shared": shared / here - 1,
        "overhead, travelling": apart / here - 1,
        "goal": {"overhead": 0.1},
    }


def _cells(number, updates, place, file):
    changes = (("training.updates", str(updates)), ("training.threads", "1"))
    return [
        Cell(
            "blockpush",
            "bet",
            seed,
            preset="smoke",
            demos=str(file),
            changes=changes,
            episodes=2,
            runs=str(place),
            device="cpu",
        )
        for seed in range(number)
    ]


def _updates(place, file):
    """Finds how many updates make a cell last about 20 s beside another one."""
    times = {}
    for updates in (100, 1100):
        cells = _cells(WORKERS, updates, place / f"probe{updates}", file)
        begun = time.perf_counter()
        local.run_cells(cells, jobs=WORKERS)
        times[updates] = time.perf_counter() - begun
    update = (times[1100] - times[100]) / 1000
    return round(100 + (SECONDS - times[100]) / update)


def _on_ray(cells, apart):
    """Time of a grid on Ray, without the start of the cluster."""
    os.environ.update(QUIET, DP_BENCH_RAY_APART=apart)
    from dp_bench.grid import ray

    with subprocess.Popen(
        [sys.executable, CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as keeper:
        address = keeper.stdout.readline().split()[0]
        begun = time.perf_counter()
        ends = ray.run_cells(cells, ray.Cluster(address))
        seconds = time.perf_counter() - begun
        keeper.stdin.close()
        keeper.wait(60)
    assert not any(end.error for end in ends), ends
    return seconds
