"""What a Ray cluster costs, measured here, and simulated for up to 1,000 workers."""

import heapq
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dp_bench.grid.ray_worker import Desk
from dp_bench.reports import results_folder
from dp_bench.util import jsonl
from made_up_records import episodes, with_digests

CELL = 900.0  # of a training with its evaluation: 15 minutes [s]
SPREAD = 0.3  # of its logarithm
SAVE_EVERY = 60.0  # between saved states [s]
STATE = 20e6  # of weights, average and optimiser of a laptop run [bytes]
NETWORK = 125e6  # of the driver's machine: 1 Gbit/s [bytes/s]
START, WRITE = "start of a child [s]", "write of a state [s]"
COLLECT = "collecting a cell [s]"
WORKERS = (2, 10, 100, 1000)
CELLS_A_WORKER = 5


def cluster():
    """Efficiency of a grid on 2 to 1,000 workers, from measured times."""
    costs = {
        START: _median(_start_child, 5),
        WRITE: _median(_write_state, 9),
        COLLECT: _collecting(),
    }
    rows = [
        {
            "workers": n,
            "run folders": "shared" if shared else "travel",
            **_row(n, costs, shared),
        }
        for shared in (True, False)
        for n in WORKERS
    ]
    return {"costs": costs, "state [bytes]": STATE, "cell [s]": CELL, "rows": rows}


def _median(measure, times):
    return float(np.median([measure() for _ in range(times)]))


def _start_child():
    """Time until a child process has loaded what a training needs."""
    begun = time.perf_counter()
    script = "import dp_bench.grid.run, dp_bench.training.loop"
    subprocess.run([sys.executable, "-c", script], check=True)
    return time.perf_counter() - begun


def _write_state():
    """Time in which the driver writes the state of a training."""
    with tempfile.TemporaryDirectory() as folder:
        desk, state = Desk(folder), os.urandom(int(STATE))
        begun = time.perf_counter()
        desk.save("pusht/run", {"resume.safetensors": state})
        return time.perf_counter() - begun


def _collecting():
    """Time that the driver spends on each cell that has ended, without tables."""
    from made_up import written_run

    with tempfile.TemporaryDirectory() as folder:
        run = written_run(Path(folder) / "run")
        made = with_digests(episodes("dp_c", np.ones((1, 50)).tolist(), task="pusht"))
        jsonl.append(run.records, made)
        out = Path(folder) / "out"
        return _median(
            lambda: _timed(lambda: results_folder.collect([run.path], out)), 9
        )


def _timed(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _row(workers, costs, shared):
    """Efficiency, and how much of the loss each cause explains."""
    free = dict.fromkeys(costs, 0.0)
    efficiency = _simulated(workers, costs, shared)
    without = {
        "starts": _simulated(workers, costs | {START: 0.0}, shared),
        "states": _simulated(workers, {**free, START: costs[START]}, True),
        "unequal cells": _simulated(workers, costs, shared, spread=0.0),
    }
    parcel = STATE / NETWORK + costs[WRITE]
    return {
        "efficiency": efficiency,
        "largest loss": max(without, key=without.get),
        "driver busy with states": 0.0 if shared else workers * parcel / SAVE_EVERY,
        "driver busy with results": workers * costs[COLLECT] / CELL,
    }


def _simulated(workers, costs, shared, spread=SPREAD):
    """Plays a grid through, one end of a cell after the other."""
    rng = np.random.default_rng(0)
    number = CELLS_A_WORKER * workers
    durations = CELL * np.exp(spread * rng.standard_normal(number) - spread**2 / 2)
    parcel = 0.0 if shared else STATE / NETWORK + costs[WRITE]
    # A worker waits for the last parcel of a cell, and this for states on the way: each
    # worker has one at most, as it sends none while another travels.
    left = max(1 - workers * parcel / SAVE_EVERY, 1 / workers)
    waiting = iter(costs[START] + durations)
    ends = [next(waiting) for _ in range(workers)]  # of the cells that run
    heapq.heapify(ends)
    last = 0.0
    while ends:
        last = heapq.heappop(ends) + parcel / left
        if (duration := next(waiting, None)) is not None:
            heapq.heappush(ends, last + duration)
    return durations.sum() / workers / (last + costs[COLLECT])
