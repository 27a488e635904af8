"""Memory of evaluation and training over time: it stays flat."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TASK, SOURCE = "blockpush", "scripted"
EVALUATED = ("bet", "dp_c")
EPISODES, UPDATES, LOG_EVERY = 1000, 5000, 50
POINTS = 10  # measurements over the work
WARM_UP = 0.2  # share of the work after which memory has to stay flat
TINY = {
    "bet": ("policy.width=16", "policy.layers=1"),
    "dp_c": ("policy.channels=16,32", "policy.step_dim=16"),
    "dp_t": ("policy.width=16", "policy.layers=1"),
    "ibc": ("policy.hidden=16", "policy.negatives=8"),
    "lstm_gmm": ("policy.hidden=16",),
}
# `dp-bench eval` plays at most 200 starts; a long evaluation needs more of them.
MANY_STARTS = """\
from dp_bench.evaluation import evaluate

evaluate.STARTS["validation"] = range(50_000, 50_000 + {episodes})
if __name__ == "__main__":
    from dp_bench.cli.app import main

    main()
"""


def memory():
    """Memory of `dp-bench train` and `dp-bench eval` with their workers, over time."""
    if not Path("/proc/self/statm").exists():
        return {"skipped": "needs /proc, which Linux has"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        training = {method: _training(method, folder) for method in TINY}
        evaluation = {method: _evaluation(method, folder) for method in EVALUATED}
    return {
        f"{UPDATES} updates": training,
        f"{EPISODES} episodes": evaluation,
        "unit": "MiB at shares of the work; growth is from 20 % of it to its end",
        "goal": {"growth": 10},
    }


def _training(method, folder):
    """Trains on the demonstrations of the cache, which a script makes if necessary."""
    changes = (
        f"training.updates={UPDATES}",
        f"training.log_every={LOG_EVERY}",
        "training.batch_size=16",
    )
    command = [
        *(sys.executable, "-m", "dp_bench", "train", "--task", TASK),
        *("--source", SOURCE, "--method", method, "--preset", "smoke"),
        *("--device", "cpu", "--episodes", "1", "--runs", folder),
        *("--set", *TINY[method], *changes),
    ]

    def done():
        return LOG_EVERY * _lines(_run_of(method, folder) / "log.jsonl")

    return _watched(command, done, UPDATES)


def _evaluation(method, folder):
    """Plays many episodes in two worker processes."""
    launcher = folder / "many_starts.py"
    launcher.write_text(MANY_STARTS.format(episodes=EPISODES))
    run = _run_of(method, folder)
    before = _lines(run / "records.jsonl")
    command = [
        *(sys.executable, launcher, "eval", run, "--starts", "validation"),
        *("--episodes", str(EPISODES), "--processes", "2"),
    ]
    return _watched(command, lambda: _lines(run / "records.jsonl") - before, EPISODES)


def _run_of(method, folder):
    """The run folder of a method; one that does not exist before it has begun."""
    return next((folder / TASK).glob(f"{method}-*"), folder / "none")


def _lines(file):
    return file.read_bytes().count(b"\n") if file.is_file() else 0


def _watched(command, done, total):
    """Measures a command and its workers each time another part of the work is done.

    Args:
        command: What to run.
        done: Returns how much of the work is done.
        total: All of the work.

    Returns:
        Memory of the command and of its largest worker by share of the work, and how
        much each grew after the warm-up [MiB].
    """
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    points, last = {}, {}
    listener = threading.Thread(target=process.stderr.read)  # or a full pipe stops it
    listener.start()
    while process.poll() is None:
        share, sizes = done() / total, _sizes(process.pid)
        if 0 < share < 1 and len(sizes) >= len(last):
            last = sizes
            if share >= (len(points) + 1) / POINTS:
                points[round(share, 2)] = sizes
        time.sleep(0.05)
    listener.join()
    if process.returncode or not points:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    points[1.0] = last
    return {
        name: _summary({share: sizes[name] for share, sizes in points.items()})
        for name in last
    }


def _summary(sizes):
    warm = next(size for share, size in sizes.items() if share >= WARM_UP)
    return {"MiB": sizes, "growth": round(sizes[1.0] - warm, 1)}


def _sizes(number):
    """Memory of a process and of its largest worker [MiB], as far as they run."""
    try:
        sizes = {"command": _size(number)}
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        workers = [c for c in children if "spawn_main" in _words(c)]
        if workers:
            sizes["worker"] = max(map(_size, workers))
        return sizes
    except OSError:
        return {}


def _words(number):
    return Path(f"/proc/{number}/cmdline").read_text()


def _size(number):
    """Memory of a process that is in RAM [MiB]."""
    pages = int(Path(f"/proc/{number}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
