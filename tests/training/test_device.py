"""Devices and precisions."""

import pytest
import torch

from dp_bench.errors import BadInput
from dp_bench.training.config import Training
from dp_bench.training.device import available_device, resolve_precision, resolved


def test_auto_is_a_gpu_where_there_is_one(monkeypatch):
    for present, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda present=present: present)
        assert available_device() == device


def test_a_numbered_gpu_is_accepted_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert available_device("cuda:1") == "cuda:1"


def test_a_missing_device_is_refused_with_those_present(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match="no device 'cuda:1'; it has cpu"):
        available_device("cuda:1")


@pytest.mark.parametrize("native", [True, False])
def test_auto_precision_depends_on_the_processor(monkeypatch, native):
    monkeypatch.setattr(
        torch.cpu, "_is_avx512_bf16_supported", lambda: native, raising=False
    )
    dtype = torch.bfloat16 if native else torch.float32
    assert resolve_precision("auto", torch.device("cpu")) == dtype
    assert f"torch.{resolved(Training(), 'cpu').precision}" == str(dtype)


def test_a_named_precision_stays(monkeypatch):
    training = Training(precision="bfloat16")
    assert resolved(training, "cpu") == training
