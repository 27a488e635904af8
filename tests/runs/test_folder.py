"""Run folders: whole or not there, and refused in one sentence when they do not fit."""

import dataclasses
import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from dp_bench.errors import BadInput
from dp_bench.runs import folder as checkpoint
from dp_bench.runs.agents import load_agent
from dp_bench.runs.folder import RunFolder
from dp_bench.util import settings
from dp_bench.util.files import atomic_write
from dp_bench.util.tensors import load_tensors, save_tensors
from made_up import run_info

INFO = run_info(preset="custom", training={"updates": 3})


@pytest.fixture
def run(tmp_path):
    """A run folder with random weights."""
    folder = RunFolder(tmp_path / "run")
    folder.write_info(INFO)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        policy = checkpoint.build_policy(INFO)
    save_tensors(folder.weights, policy.state_dict(), {"update": 3, "seconds": 1.0})
    return folder


def test_tensors_and_facts_come_back_as_they_were(tmp_path):
    tensors = {
        "a": torch.randn(3, 4).T,  # not contiguous
        "b": torch.tensor(7),
        "c": torch.ones(2, dtype=torch.bfloat16),
    }
    save_tensors(tmp_path / "x", tensors, {"update": 3})
    read, facts = load_tensors(tmp_path / "x")
    assert facts == {"update": 3}
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


def test_info_comes_back_as_it_was_and_says_on_what_it_was_made(run):
    assert run.info() == INFO
    facts = json.loads((run.path / "run.json").read_text())
    assert {"commit", "versions", "machine", "format"} <= facts.keys()


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ({"training": {"updates": 4}}, True),
        ({"training": {"updates": 3, "precision": "bfloat16"}}, True),
        ({"policy": {"channels": [8, 32]}}, True),
        ({"control": "velocity"}, True),
        ({"train_seed": 1}, False),
        ({"preset": "laptop"}, False),
        ({"training": {"updates": 3, "save_seconds": 1.0, "log_every": 2}}, False),
        ({"policy": INFO.policy | {"obs_scale": 5.0}}, True),
        (
            {"policy": INFO.policy | {"obs_scale": 1.0, "obs_min_range": 1e-4}},
            False,
        ),  # as before there was one
    ],
)
def test_the_settings_hash_moves_with_what_could_move_a_number(change, moves):
    changed = dataclasses.replace(INFO, **change)
    assert (changed.settings != INFO.settings) == moves


def test_seeds_and_data_have_folders_of_their_own():
    names = {
        dataclasses.replace(INFO, **change).name
        for change in ({}, {"train_seed": 1}, {"demos_digest": "e" * 64})
    }
    assert len(names) == 3


FILL_THE_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from dp_bench.util.tensors import save_tensors
from dp_bench.errors import BadInput
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save_tensors(Path(sys.argv[1]), {"a": torch.zeros(100_000)}, {})
except BadInput as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "weights.safetensors"
    save_tensors(file, {"a": torch.ones(3)}, {"update": 1})
    words = [sys.executable, "-c", FILL_THE_DISK, str(file)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"cannot write {file}")
    assert len(said.splitlines()) == 1
    assert load_tensors(file)[1] == {"update": 1}
    assert os.listdir(tmp_path) == [file.name]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path, error):
    file = tmp_path / "run.json"
    file.write_text("old")

    def write():
        with atomic_write(file) as aside:
            aside.write_text("ne")
            raise error

    with pytest.raises(BadInput if isinstance(error, OSError) else KeyboardInterrupt):
        write()
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["run.json"]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated_weights_are_refused(run, share):
    content = run.weights.read_bytes()
    run.weights.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BadInput, match=r"weights.safetensors is damaged"):
        run.load_policy()


def test_tensors_of_another_program_are_refused(run):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, run.weights)
    with pytest.raises(BadInput, match="not written by dp-bench"):
        run.load_policy()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is damaged"),
        ('{"format": 1, "task": "pus', "is damaged"),
        ("[1, 2]", "is damaged"),
        ("{}", "is damaged"),
        ('{"format": 99}', "has format 99; this version reads 1"),
        ('{"format": 1}', "missing"),
        ('{"format": 1, "colour": "red"}', "unknown field 'colour'"),
        ('{"format": 1, "task": 3}', "task must be"),
        (b"\xff\xfe\x00", "is damaged"),
    ],
)
def test_a_damaged_description_is_refused(run, content, said):
    data = content if isinstance(content, bytes) else content.encode()
    (run.path / "run.json").write_bytes(data)
    with pytest.raises(BadInput, match=said) as caught:
        run.info()
    assert str(run.path) in str(caught.value)


def test_what_is_no_run_folder_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"not a run folder.*dp-bench train"):
        load_agent(tmp_path / "nowhere")


def test_weights_that_are_not_there_are_named_with_those_that_are(run):
    save_tensors(run.kept(500), {}, {})
    with pytest.raises(
        BadInput, match=r"no 000700.safetensors \(weights were kept at updates: 500"
    ):
        run.load_policy(700)


def test_weights_of_other_sizes_are_refused_in_one_sentence(run):
    wider = settings.to_json(checkpoint.build_policy(INFO).config)
    wider["channels"] = [16, 32]
    run.write_info(dataclasses.replace(INFO, policy=wider))
    with pytest.raises(BadInput, match=r"does not fit the settings") as caught:
        run.load_policy()
    assert "\n" not in str(caught.value)


def test_a_policy_asked_about_another_task_says_what_it_expects(run):
    agent = load_agent(run.path)
    agent.reset(0)
    with pytest.raises(BadInput, match=r"\(1, 2, 20\), got \(1, 2, 7\)"):
        agent.act(np.zeros(7, np.float32))
