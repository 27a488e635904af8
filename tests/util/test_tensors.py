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


def test_every_flipped_bit_is_refused(tmp_path):
    file = tmp_path / "weights.safetensors"
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(True)}
    save_tensors(file, tensors, {"update": 3, "seconds": 1.5})
    content = file.read_bytes()
    accepted = []
    for place in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            file.write_bytes(flipped)
            try:
                load_tensors(file)
            except BadInput:
                continue
            accepted.append((place, bit))
    assert not accepted
    file.write_bytes(content)
    assert torch.equal(load_tensors(file)[0]["a"], tensors["a"])


def test_other_weights_under_the_same_checksum_are_refused(tmp_path):
    from safetensors import safe_open
    from safetensors.torch import save_file

    file = tmp_path / "weights.safetensors"
    save_tensors(file, {"a": torch.zeros(2)}, {"update": 3})
    with safe_open(file, "pt") as saved:
        metadata = saved.metadata()
    save_file({"a": torch.ones(2)}, file, metadata)
    with pytest.raises(BadInput, match="checksum") as caught:
        load_tensors(file)
    assert "train again" in str(caught.value)


def test_a_file_from_before_checksums_loads(tmp_path):
    from safetensors.torch import save_file

    file = tmp_path / "weights.safetensors"
    save_file({"a": torch.ones(2)}, file, {"facts": '{"update": 3}'})
    tensors, facts = load_tensors(file)
    assert torch.equal(tensors["a"], torch.ones(2))
    assert facts == {"update": 3}
