"""Parallel work in several processes, with results in order."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.sharedctypes import Synchronized
from typing import TypeVar, cast

from dp_bench.errors import BadInput
from dp_bench.util.processes import STOPPING
from dp_bench.util.threads import cores

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741
R = TypeVar("R")


def in_order(
    make: Callable[[], S],
    work: Callable[[S, I, Callable[[], None]], R],
    items: Sequence[I],
    *,
    processes: int | None = None,
    on_progress: Callable[[int], None] = lambda ticks: None,
) -> Generator[R, None, None]:
    """Applies a function to every item, in processes that each prepare once.

    The worker processes end when this process dies.

    Args:
        make: Prepares a worker process. If its result has a `close()`, that is called
            at the end.
        work: `(prepared, item, tick) -> result`; it calls `tick()` after each part of
            an item. It must be picklable, like `make` and the items.
        items: The items.
        processes: Largest number of processes; None for the number of cores. With one,
            the work runs in this process.
        on_progress: Called at intervals with the number of ticks since its last call.

    Returns:
        The results in the order of the items, each as early as this order allows.

    Raises:
        BadInput: When a worker process dies.
    """
    processes = count(processes, len(items))
    if processes == 1:
        return _here(make, work, items, on_progress)
    return _elsewhere(make, work, items, processes, on_progress)


def count(processes: int | None, num_items: int) -> int:
    """Returns how many processes `in_order` takes for a number of items."""
    return min(processes or cores(), max(num_items, 1))


def _here(
    make: Callable[[], S],
    work: Callable[[S, I, Callable[[], None]], R],
    items: Sequence[I],
    on_progress: Callable[[int], None],
) -> Generator[R, None, None]:
    prepared = make()
    try:
        for item in items:
            yield work(prepared, item, lambda: on_progress(1))
    finally:
        getattr(prepared, "close", lambda: None)()


# In a worker process: the result of `make` or its error, and the counters that all
# workers share, of ticks and of workers that have begun.
_prepared: object = None
_error: Exception | None = None
_ticks: Synchronized[int]


def _elsewhere(
    make: Callable[[], S],
    work: Callable[[S, I, Callable[[], None]], R],
    items: Sequence[I],
    processes: int,
    on_progress: Callable[[int], None],
) -> Generator[R, None, None]:
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(1)  # a worker imports a script without a guard; see _died
    with _signals_held():
        resource_tracker.ensure_running()
    context = multiprocessing.get_context("spawn")
    begun: Synchronized[int] = context.Value("i", 0)
    # Pickled by itself, because reading it back can import torch: by then the worker
    # already watches its parent.
    packed = pickle.dumps(make)
    ticks: Synchronized[int] = context.Value("i", 0)
    reported = 0
    with ProcessPoolExecutor(
        processes, context, initializer=_begin, initargs=(packed, ticks, begun)
    ) as pool:
        next_result = 0
        try:
            with _signals_held():
                futures: list[Future[R]] = [pool.submit(_work, work, i) for i in items]
            waiting = set(futures)
            while next_result < len(futures):
                _, waiting = wait(waiting, 0.2, FIRST_COMPLETED)
                now = ticks.value
                on_progress(now - reported)
                reported = now
                while next_result < len(futures) and futures[next_result].done():
                    yield futures[next_result].result()
                    next_result += 1
        except BrokenProcessPool:
            raise _died(processes, begun.value) from None
        except BaseException:
            for worker in list((pool._processes or {}).values()):
                worker.terminate()  # an item can take minutes
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Starts processes that no closing terminal and no Ctrl-C reach: these are ours.

    Workers would print a traceback, and Python's own process that cleans up after them
    would end too early. Signals that come meanwhile reach this process afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _died(processes: int, begun: int) -> BadInput:
    """Returns the error about a worker that died."""
    if begun:
        return BadInput(
            f"one of {processes} worker processes died, perhaps for want of memory; "
            "use fewer processes"
        )
    return BadInput(
        f"none of {processes} worker processes could begin. A script of your own needs "
        "`if __name__ == '__main__':` before the lines that do the work, because every "
        "worker imports the script; or use one process"
    )


def _begin(packed: bytes, ticks: Synchronized[int], begun: Synchronized[int]) -> None:
    global _prepared, _error, _ticks
    # Mesa draws in this process, as its own threads would share the cores with others.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    for number in STOPPING:  # the parent handles them, and ends its workers by SIGTERM
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _ticks = ticks
    with begun.get_lock():
        begun.value += 1
    try:
        _prepared = pickle.loads(packed)()
        # OpenGL contexts must be closed before the interpreter takes itself apart
        atexit.register(getattr(_prepared, "close", lambda: None))
    except Exception as error:  # of any kind: the caller gets it with the first item
        _error = error


def _end_with_parent() -> None:
    """Ends this process when its parent dies."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(work: Callable[[S, I, Callable[[], None]], R], item: I) -> R:
    if _error is not None:
        raise _error

    def tick() -> None:
        with _ticks.get_lock():
            _ticks.value += 1

    return work(cast("S", _prepared), item, tick)
