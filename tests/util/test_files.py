"""Atomic writes and locks: whole files, and one process in a folder."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dp_bench.errors import BadInput
from dp_bench.util.files import (
    PART,
    atomic_write,
    is_plain,
    locked,
    refuse_unwritable,
    remove_parts,
    remove_stale_parts,
)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path, error):
    file = tmp_path / "run.json"
    file.write_text("old")

    def write():
        with atomic_write(file) as part:
            part.write_text("ne")
            raise error

    with pytest.raises(BadInput if isinstance(error, OSError) else KeyboardInterrupt):
        write()
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["run.json"]


def test_a_finished_write_replaces_the_file_and_makes_its_folder(tmp_path):
    file = tmp_path / "new" / "run.json"
    for text in ("old", "new"):
        with atomic_write(file) as part:
            assert part.suffix == file.suffix
            part.write_text(text)
    assert file.read_text() == "new"
    assert os.listdir(file.parent) == ["run.json"]


def test_parts_of_a_killed_process_are_removed(tmp_path):
    left = tmp_path / "kept" / f"{PART}123.weights.safetensors"
    left.parent.mkdir()
    left.write_bytes(b"half")
    (tmp_path / "kept" / "weights.safetensors").write_bytes(b"whole")
    remove_parts(tmp_path)
    assert os.listdir(left.parent) == ["weights.safetensors"]


def ended_process():
    """The number of a process that runs no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_parts_of_processes_that_run_no_more_are_stale(tmp_path):
    with atomic_write(tmp_path / "deep" / "run.json") as mine:
        mine.write_text("half")
        dead = mine.name.replace(f"-{os.getpid()}.", f"-{ended_process()}.")
        assert dead != mine.name
        host = mine.name.removeprefix(PART).partition("-")[0]
        elsewhere = dead.replace(f"{PART}{host}-", f"{PART}another-machine-")
        for name in (dead, elsewhere, "run.json.part.old"):
            (mine.parent / name).write_text("half")
        remove_stale_parts(tmp_path)
        assert mine.exists()
        assert not (mine.parent / dead).exists()
    left = {"run.json", "run.json.part.old", elsewhere}
    assert set(os.listdir(tmp_path / "deep")) == left


HOLD = """
import sys, time
from pathlib import Path
from dp_bench.util.files import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / ".lock")], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"locked\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_folder_that_another_process_locked_is_refused(tmp_path, holder):
    with (
        pytest.raises(BadInput, match=f"another process is working in {tmp_path}"),
        locked(tmp_path / ".lock"),
    ):
        pytest.fail("two processes in one folder")


def test_the_lock_of_a_killed_process_does_no_harm(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".lock").exists()
    for wait in (False, True):
        with locked(tmp_path / ".lock", wait=wait):
            pass


def test_a_lock_can_wait_for_another_process(tmp_path, holder):
    code = HOLD.replace(
        "locked(Path(sys.argv[1]))", "locked(Path(sys.argv[1]), wait=True)"
    )
    waiting = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / ".lock")], stdout=subprocess.PIPE
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(1)
        holder.kill()
        assert waiting.stdout.readline() == b"locked\n"
    finally:
        waiting.kill()
        waiting.wait()
        waiting.stdout.close()


def test_a_lock_is_released_when_the_block_fails(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path / ".lock"):
        raise RuntimeError
    with locked(tmp_path / ".lock"):
        pass


@pytest.fixture(params=[errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def lock_on_a_disk_without_locks(request, tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", flock)
    return tmp_path / "run" / ".lock"


def test_a_disk_without_locks_is_worked_on_by_one_process_at_a_time(
    lock_on_a_disk_without_locks,
):
    lock = lock_on_a_disk_without_locks
    with (
        locked(lock),
        pytest.raises(BadInput, match=f"process {os.getpid()} on .* has no locks"),
        locked(lock),
    ):
        pytest.fail("two at a time")
    with locked(lock, wait=True):  # and it is free again
        pass


def test_a_process_that_was_killed_on_a_disk_without_locks_does_no_harm(
    lock_on_a_disk_without_locks,
):
    lock = lock_on_a_disk_without_locks
    with locked(lock):
        (holder,) = lock.parent.iterdir()
        name = holder.read_text()
    holder.write_text(name.replace(str(os.getpid()), str(ended_process())))
    with locked(lock):
        assert holder.read_text() == name
    holder.write_text("another-machine-12")
    with (
        pytest.raises(BadInput, match=f"12 on another-machine .* delete {holder} if"),
        locked(lock),
    ):
        pytest.fail("perhaps two at a time")


def test_a_folder_that_cannot_be_made_is_refused():
    with (
        pytest.raises(BadInput, match="cannot write /dev/null/runs"),
        locked(Path("/dev/null/runs/.lock")),
    ):
        pytest.fail("locked")


def test_a_folder_that_is_read_only_is_refused(tmp_path, monkeypatch):
    tmp_path.chmod(0o500)
    if os.geteuid() == 0:  # who writes everywhere
        monkeypatch.setattr(os, "access", lambda place, mode: False)
    with pytest.raises(BadInput, match=f"--out results: {tmp_path} cannot be written"):
        refuse_unwritable(tmp_path / "results" / "pusht", "--out results")


def test_a_folder_that_can_be_made_is_not_made_by_the_check(tmp_path):
    refuse_unwritable(tmp_path / "a" / "b", "--out a/b")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["ph", "v1.2", "own-data", "größe"])
def test_plain_names(name):
    assert is_plain(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a b"])
def test_names_that_could_lead_elsewhere_are_not_plain(name):
    assert not is_plain(name)
