"""Work in several processes that comes back in order, and ends when its parent does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from dp_bench.errors import BadInput

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741
R = TypeVar("R")


def in_order(
    make: Callable[[], S],
    work: Callable[[S, I, Callable[[], None]], R],
    items: Sequence[I],
    *,
    processes: int | None = None,
    tell: Callable[[int], None] = lambda more: None,
) -> Generator[R, None, None]:
    """Does the same to every item, in processes that prepare themselves once.

    Args:
        make: Prepares a process; what it returns may have a `close()`.
        work: `(prepared, item, tick) -> result`; calls `tick()` whenever a part of the
            item is done. Like `make` and the items, it can be sent to another process.
        items: What there is to do.
        processes: At most this many; None for as many as cores. With one, it is this.
        tell: Called now and then with the number of ticks since the last call.

    Returns:
        The results, in the order of the items, each as soon as it and those before it
        are there.

    Raises:
        BadInput: When a process dies.
    """
    processes = min(processes or os.cpu_count() or 1, max(len(items), 1))
    if processes == 1:
        return _here(make, work, items, tell)
    return _elsewhere(make, work, items, processes, tell)


def _here(
    make: Callable[[], S],
    work: Callable[[S, I, Callable[[], None]], R],
    items: Sequence[I],
    tell: Callable[[int], None],
) -> Generator[R, None, None]:
    prepared = make()
    try:
        for item in items:
            yield work(prepared, item, lambda: tell(1))
    finally:
        getattr(prepared, "close", lambda: None)()


_prepared: Any = None  # of a worker process
_ticks: Any = None  # in all workers


def _elsewhere(
    make: Callable[[], S],
    work: Callable[[S, I, Callable[[], None]], R],
    items: Sequence[I],
    processes: int,
    tell: Callable[[int], None],
) -> Generator[R, None, None]:
    context = multiprocessing.get_context("spawn")
    ticks = context.Value("i", 0)
    told = 0
    with ProcessPoolExecutor(
        processes, context, initializer=_begin, initargs=(make, ticks)
    ) as pool:
        futures: list[Future[R]] = [pool.submit(_work, work, item) for item in items]
        waiting = set(futures)
        following = 0
        try:
            while following < len(futures):
                _, waiting = wait(waiting, 0.2, FIRST_COMPLETED)
                now = ticks.value
                tell(now - told)
                told = now
                while following < len(futures) and futures[following].done():
                    yield futures[following].result()
                    following += 1
        except BrokenProcessPool:
            raise BadInput(
                f"one of {processes} worker processes died, of too little memory "
                "perhaps; try fewer (--processes)"
            ) from None
        except BaseException:
            for worker in list((pool._processes or {}).values()):
                worker.terminate()  # an item may take minutes
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin(make: Callable[[], Any], ticks: Any) -> None:
    global _prepared, _ticks
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _prepared, _ticks = make(), ticks


def _end_with_parent() -> None:
    """Ends this process when the one that started it is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(work: Callable[[Any, I, Callable[[], None]], R], item: I) -> R:
    def tick() -> None:
        with _ticks.get_lock():
            _ticks.value += 1

    return work(_prepared, item, tick)
