"""Tensors on disk: exact, and refused when damaged."""

import os
import subprocess
import sys

import pytest
import torch

from dp_bench.errors import BadInput
from dp_bench.util.tensors import load_tensors, save_tensors


def test_tensors_and_facts_come_back_unchanged(tmp_path):
    tensors = {
        "a": torch.arange(12.0).reshape(3, 4).T,  # not contiguous
        "b": torch.tensor(7),
        "c": torch.ones(2, dtype=torch.bfloat16),
    }
    save_tensors(tmp_path / "x", tensors, {"update": 3})
    loaded, facts = load_tensors(tmp_path / "x")
    assert facts == {"update": 3}
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


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
    command = [sys.executable, "-c", FILL_THE_DISK, str(file)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.startswith(f"cannot write {file}")
    assert len(output.splitlines()) == 1
    assert load_tensors(file)[1] == {"update": 1}
    assert os.listdir(tmp_path) == [file.name]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(tmp_path, share):
    file = tmp_path / "weights.safetensors"
    save_tensors(file, {"a": torch.ones(300)}, {})
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BadInput, match=r"weights.safetensors is damaged"):
        load_tensors(file)


def test_a_file_of_another_program_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / "weights.safetensors")
    with pytest.raises(BadInput, match="not written by dp-bench"):
        load_tensors(tmp_path / "weights.safetensors")
