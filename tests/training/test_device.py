"""Devices and precisions."""

import pytest
import torch

from dp_bench.errors import BadInput
from dp_bench.evaluation.evaluate import load_actor
from dp_bench.runs.agents import load_agent
from dp_bench.training.config import Training
from dp_bench.training.device import resolve_precision, resolved
from dp_bench.training.loop import prepare
from dp_bench.util.devices import available_device
from made_up import written_run
from made_up_training import TRAINING, fresh, walks


def test_auto_is_a_gpu_where_there_is_one(monkeypatch):
    for number, device in ((1, "cuda"), (0, "cpu")):
        with_gpus(monkeypatch, number)
        assert available_device() == device


def with_gpus(monkeypatch, number):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: number)


def test_a_numbered_gpu_is_accepted_where_there_is_one(monkeypatch):
    with_gpus(monkeypatch, 2)
    assert available_device("cuda:1") == "cuda:1"
    assert available_device(torch.device("cuda", 0)) == "cuda:0"
    with pytest.raises(
        BadInput, match="no device 'cuda:2'; choose one of cpu, cuda, cuda:0, cuda:1"
    ):
        available_device("cuda:2")


MISSING = ["cuda", "cuda:1", "cuda:x", "gpu", "", "mps", "meta", None]


@pytest.mark.parametrize("device", MISSING)
def test_a_missing_device_is_refused_with_those_present(device, monkeypatch, tmp_path):
    """By the check itself, by agents, by evaluations and by trainings."""
    with_gpus(monkeypatch, 0)
    run = written_run(tmp_path / "run")
    uses = [
        lambda: available_device(device),
        lambda: load_agent(run.path, device=device),
        lambda: load_actor(run.path, None, run.info(), device),
        lambda: prepare(fresh(), walks(), TRAINING, train_seed=0, device=device),
    ]
    for use in uses:
        with pytest.raises(
            BadInput, match=r"no device .*; choose one of cpu"
        ) as caught:
            use()
        assert "\n" not in str(caught.value)


def test_an_agent_computes_on_the_device_that_auto_stands_for(monkeypatch, tmp_path):
    with_gpus(monkeypatch, 0)
    agent = load_agent(written_run(tmp_path / "run").path, device="auto")
    assert {p.device.type for p in agent.actor.parameters()} == {"cpu"}


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
