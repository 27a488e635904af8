"""Work that tests send to other processes."""

import os
import time


def prepare():
    return os.getpid()


def square(pid, item, tick):
    """The earlier the item, the longer it takes."""
    time.sleep(0.1 * (3 - item))
    tick()
    return item**2, pid


def cannot_prepare():
    raise ValueError("no simulator here")


def die(pid, item, tick):
    os._exit(9)


def fail(pid, item, tick):
    raise ValueError(f"item {item}")


def write_late(pid, file, tick):
    """Takes long, and shows in a file that it came to its end."""
    time.sleep(15)
    file.write_text("done")
