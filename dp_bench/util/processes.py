"""How a process ends: by a signal like Ctrl-C, and with the process that started it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping

# Environment variable: this process ends when its standard input ends.
WATCHES_INPUT = "DP_BENCH_WATCHES_INPUT"
# Environment variable: how many trainings run at a time, and share cores and memory.
JOBS = "DP_BENCH_JOBS"
LAST_WORDS = 4.0  # time of a child to save its state before it has to end [s]

# SIGHUP comes when a terminal closes; Windows has none.
STOPPING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)


@contextlib.contextmanager
def signals_stop() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP raise `KeyboardInterrupt`, as Ctrl-C does.

    Signals that the process ignores, under nohup say, stay ignored. Outside the main
    thread Python handles no signals.
    """
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for number in STOPPING:
            if signal.getsignal(number) == signal.SIG_DFL:
                handlers[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def start_child(
    module: str, word: str, environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    """Starts a module as a child process, which ends when this process dies.

    Its standard input is a pipe that only this process holds open, so that it ends with
    this process. The module calls `end_with_parent`.
    """
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", module, word],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**environment, WATCHES_INPUT: "1"},
    )


def end_with_parent() -> None:
    """Watches for the end of the parent, if `start_child` started this process.

    After it, this process gets SIGTERM, and a few seconds to save its state.
    """
    if os.environ.pop(WATCHES_INPUT, None):
        threading.Thread(target=_end_with_input, daemon=True).start()


def _end_with_input() -> None:
    while os.read(0, 1024):  # nothing is ever written
        pass
    if hasattr(signal, "setitimer"):  # ends a process that is too busy for this thread
        signal.setitimer(signal.ITIMER_REAL, LAST_WORDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_WORDS)
    os._exit(1)
