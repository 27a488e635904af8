"""Signals that ask a training to stop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from dp_bench.util.processes import STOPPING


@contextlib.contextmanager
def deferred_signals() -> Iterator[Callable[[], bool]]:
    """Defers SIGINT, SIGTERM and SIGHUP until the end of an update.

    A second SIGINT raises `KeyboardInterrupt` at once. Signals that the process ignores
    stay ignored. Outside the main thread Python handles no signals, and none is
    deferred.

    Yields:
        A function that says whether a signal has arrived.
    """
    received: list[int] = []

    def receive(number: int, frame: object) -> None:
        if number == signal.SIGINT and number in received:
            raise KeyboardInterrupt
        received.append(number)

    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for number in STOPPING:
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None):
                handlers[number] = signal.signal(number, receive)
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
