"""Which devices `--devices` names."""

import pytest
import torch

from dp_bench.cli.gpus import gpus_named
from dp_bench.errors import BadInput


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_all_names_every_gpu(two_gpus):
    assert gpus_named(["all"]) == ["cuda:0", "cuda:1"]
    assert gpus_named(["cuda:1", "cuda"]) == ["cuda:1", "cuda:0"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cuda:2"], "this machine has no device 'cuda:2'; choose one of cpu, cuda"),
        (["cuda:0", "cpu"], "--devices takes GPUs, got cpu"),
        (["cuda:0", "cuda"], "--devices names cuda:0 twice"),
        (["cuda:0", "cuda:0"], "--devices names cuda:0 twice; --per-gpu says how many"),
        (["cuda:0", "all"], "no device 'all'"),
    ],
)
def test_others_are_refused(two_gpus, words, said):
    with pytest.raises(BadInput, match=said):
        gpus_named(words)


def test_all_needs_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match="this machine has no GPU that torch can use"):
        gpus_named(["all"])
