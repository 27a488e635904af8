"""Running damaged inputs through the command line, in a forked process with limits."""

import contextlib
import faulthandler
import gc
import io
import json
import os
import resource
import shutil
import signal
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dp_bench.cli import main
from fuzz.inputs import KINDS, shorten_episodes, without_traces

SECONDS = 10  # of computing that one input may take
WAITING = 60  # that one input may take on a busy machine [s]
UNTIL_KILLED = 2 * WAITING  # where a process answers no signal [s]
MEMORY = 1 << 30  # that one input may take beyond what the process had [bytes]
ADDRESSES = 4 << 30  # that one input may reserve; each MuJoCo takes 1.3 GB [bytes]
LONGEST = 1500  # letters of a sentence


class Hang(BaseException):
    """An input took too long; `except Exception` cannot catch it."""


@dataclass
class Result:
    """What became of one input.

    Attributes:
        case: `KIND:SEED`, which replays it.
        outcome: "accepted", "refused", or "failed".
        why: The sentence of a refusal, or what is wrong.
        seconds: How long it computed [s].
        memory: How much more resident memory the process took meanwhile [bytes].
    """

    case: str
    outcome: str
    why: str
    seconds: float
    memory: int


def run_all(cases, scratch):
    """Runs inputs one after the other in a forked process; yields their results.

    A process that dies or hangs costs its input, and another goes on from there.
    """
    rest = list(cases)
    while rest:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            _serve(rest, scratch, writing)
        os.close(writing)
        done = 0
        with open(reading) as lines:
            killer = _Killer(child)
            for line in lines:
                killer.reset()
                done += 1
                yield Result(**json.loads(line))
            killer.stop()
        _, status = os.waitpid(child, 0)
        if done < len(rest):
            why = f"the process ended with {os.waitstatus_to_exitcode(status)}"
            yield Result(rest[done], "failed", why, 0.0, 0)
            done += 1
        rest = rest[done:]


class _Killer:
    """Kills a forked process that reports nothing, in a library's endless loop say."""

    def __init__(self, process):
        signal.signal(signal.SIGALRM, lambda *_: os.kill(process, signal.SIGKILL))
        self.reset()

    def reset(self):
        signal.alarm(UNTIL_KILLED)

    def stop(self):
        signal.alarm(0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _serve(cases, scratch, writing):
    """Runs the inputs in this forked process, which ends without pytest's cleaning."""
    status = 1
    try:
        faulthandler.disable()
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
        shorten_episodes()
        with open(writing, "w", buffering=1) as results:
            for case in cases:
                gc.collect()
                gc.freeze()  # robosuite collects garbage again and again
                results.write(json.dumps(asdict(run_case(case, scratch))) + "\n")
        status = 0
    finally:
        os._exit(status)


def run_case(case, scratch):
    """Makes one damaged input in a folder of its own, and runs its command.

    Args:
        case: `KIND:SEED`.
        scratch: Folder of templates and of everything that a command writes.
    """
    name, seed = case.rsplit(":", 1)
    kind = KINDS[name]
    rng = np.random.default_rng([*name.encode(), int(seed)])
    place = Path(scratch) / f"case{os.getpid()}"
    shutil.rmtree(place, ignore_errors=True)
    for folder in ("home", "data", "work"):
        (place / folder).mkdir(parents=True)
    (place / "home" / "secret").write_text("alias ls=ls\n")
    environment = {
        "HOME": str(place / "home"),
        "XDG_CACHE_HOME": str(place / "home" / "cache"),
        "DP_BENCH_DATA": str(place / "data"),
        "DP_BENCH_PROCESSES": "1",
        "MPLCONFIGDIR": str(Path(scratch) / "matplotlib"),
    }
    os.environ.update(environment)
    with without_traces():
        words, own = kind.make(rng, Path(scratch) / name, place)
        os.chdir(place / "work")
        before = _listing(place, own)
        outcome, why, seconds, memory = _limited(words)
        touched = sorted(before ^ _listing(place, own))
    if touched:
        outcome, why = "failed", f"touched {touched[:4]}"
    shutil.rmtree(place, ignore_errors=True)
    return Result(case, outcome, f"{' '.join(words)[:300]}: {why}", seconds, memory)


def _listing(place, own):
    """Everything below a folder with size and time, except a command's own folders."""
    found = set()
    for path in place.rglob("*"):
        if not any(path == folder or folder in path.parents for folder in own):
            about = path.lstat()
            size = 0 if path.is_dir() else about.st_size
            time_of = 0 if path in {f.parent for f in own} else about.st_mtime_ns
            found.add((str(path.relative_to(place)), size, time_of))
    return found


def _limited(words):
    """Runs a command under limits; returns outcome, reason, seconds and memory."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the largest memory so far
    at_first = _status("VmRSS")
    ceiling = _status("VmSize") + ADDRESSES
    limits = resource.getrlimit(resource.RLIMIT_AS)
    for alarm in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(alarm, _hang)
    signal.alarm(WAITING)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    begun = time.process_time()
    try:
        resource.setrlimit(resource.RLIMIT_AS, (ceiling, limits[1]))
        outcome, why = _judged(words)
    except Hang:
        outcome, why = "failed", f"computed for {SECONDS} s or waited for {WAITING} s"
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
    seconds, memory = time.process_time() - begun, _status("VmHWM") - at_first
    if memory > MEMORY:
        outcome, why = "failed", f"took {memory} bytes"
    return outcome, why, seconds, memory


def _judged(words):
    """Runs a command; its refusal must be one sentence, with exit code 2."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(words)
    except SystemExit as error:
        code = error.code or 0
        if _lacked_memory(error):
            return "failed", f"asked for too much memory: {err.getvalue()[-300:]}"
    except Exception:
        return "failed", traceback.format_exc()[-2500:]
    sentences = [s for s in err.getvalue().split("\n") if s.startswith("dp-bench: ")]
    if not code:
        return "accepted", ""
    if "For full helptext" in err.getvalue() and code == 2:  # of tyro, about an option
        return "refused", "by tyro"
    last = err.getvalue().rstrip("\n").rpartition("\n")[2]
    if code != 2 or not sentences or last != sentences[-1]:
        return "failed", f"exit code {code}, {err.getvalue()[-1000:]!r}"
    if not last.isprintable() or len(last) > LONGEST:
        return "failed", f"{len(last)} letters or unprintable ones: {last[:1000]!r}"
    return "refused", last


def _lacked_memory(error):
    """Whether the reason of an error is that numpy or Python got no memory."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _hang(*_):
    raise Hang


def _status(name):
    """A number of /proc/self/status [bytes]."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)
