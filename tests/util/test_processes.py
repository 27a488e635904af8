"""Processes: signals stop them, and children end with their parent."""

import os
import signal
import subprocess
import sys
import time

import pytest

from dp_bench.util.processes import STOPPING, signals_stop


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_raises_keyboard_interrupt(number):
    before = [signal.getsignal(each) for each in STOPPING]
    with pytest.raises(KeyboardInterrupt), signals_stop():
        signal.raise_signal(number)
    assert [signal.getsignal(each) for each in STOPPING] == before


def test_a_signal_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_stop():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


PARENT = """
import os, sys, time
from dp_bench.util.processes import start_child
child = start_child("obedient", "", {**os.environ, "PYTHONPATH": sys.argv[1]})
print(child.stdout.readline().strip(), flush=True)
time.sleep(60)
"""
CHILD = """
import os, pathlib, time
from dp_bench.util.processes import end_with_parent, signals_stop
end_with_parent()
try:
    with signals_stop():
        print(os.getpid(), flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    pathlib.Path(__file__).with_name("saved").write_text("state")
"""


def test_a_child_saves_its_state_and_ends_when_its_parent_is_killed(tmp_path):
    (tmp_path / "obedient.py").write_text(CHILD)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while not (tmp_path / "saved").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (tmp_path / "saved").read_text() == "state"
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def is_running(process):
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
    except OSError:
        os.kill(process, 0)
        return True
