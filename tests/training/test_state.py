"""The saved state: a resumed training equals one that never stopped."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from dp_bench.errors import BadInput
from dp_bench.runs.folder import RunFolder
from dp_bench.training.loop import prepare
from dp_bench.util.tensors import load_tensors
from made_up_training import (
    LONG,
    TRAINING,
    Dropping,
    Interrupted,
    fresh,
    same,
    trained,
    walks,
)

TESTS = Path(__file__).parents[1]
SCRIPT = """
import sys, torch
import made_up_training as made_up
torch.set_num_threads(1)
print("ready", flush=True)
made_up.trained(sys.argv[1], made_up.fresh(made_up.Dropping), **made_up.LONG)
"""


def test_a_killed_and_resumed_training_equals_one_never_killed(tmp_path):
    """`kill -9` at any moment, even during a save, loses nothing but time."""
    folder = RunFolder(tmp_path / "killed")
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(TESTS)},
    )
    assert child.stdout.readline() == b"ready\n"
    deadline = time.monotonic() + 60
    while not folder.resume.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(random.Random().uniform(0, 0.7))
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    reached = load_tensors(folder.resume)[1]["update"]
    assert 0 < reached < LONG["updates"]
    with open(folder.log, "a") as log:
        log.write('{"update": 119, "lo')  # a line that was being written
    resumed = fresh(Dropping)
    weights, log = trained(folder.path, resumed, **LONG)
    assert resumed.dropout_calls == LONG["updates"] - reached
    expected, expected_log = trained(tmp_path / "never", fresh(Dropping), **LONG)
    assert same(weights, expected)
    assert log == expected_log


def test_a_state_of_another_network_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, fresh(Interrupted))

    class Larger(Dropping):
        def __init__(self, config, **dims):
            super().__init__(config, **dims)
            self.extra = torch.nn.Linear(2, 2)

    with pytest.raises(BadInput, match=r"not a state of this training.*delete it"):
        trained(tmp_path, fresh(Larger))


def test_a_damaged_state_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, fresh(Interrupted))
    resume = RunFolder(tmp_path).resume
    resume.write_bytes(resume.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"resume.safetensors is damaged"):
        trained(tmp_path)


def test_the_moving_average_keeps_no_history_for_autograd():
    """Otherwise memory would grow all through a training."""
    with torch.random.fork_rng(devices=[]):
        updater = prepare(fresh(), walks(), TRAINING, train_seed=0, device="cpu")
        updater.step()
    assert updater.state.average
    assert not any(average.requires_grad for average in updater.state.average)


def test_a_saved_state_holds_one_tensor_for_each_parameter(tmp_path):
    """So that training can resume on a device that lays parameters out differently."""
    policy = fresh()
    with torch.random.fork_rng(devices=[]):
        updater = prepare(policy, walks(), TRAINING, train_seed=0, device="cpu")
        for _ in range(3):
            updater.step()
    file = RunFolder(tmp_path).resume
    updater.state.save(file)
    tensors, _ = load_tensors(file)
    averages = updater.state.averaged_policy().parameters()
    for i, (p, average) in enumerate(zip(policy.parameters(), averages, strict=True)):
        assert tensors[f"optimizer.{i}.exp_avg"].shape == p.shape
        assert torch.equal(tensors[f"average.{i}"], average)
    assert int(tensors["optimizer.step"]) == 3
