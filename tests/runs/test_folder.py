"""Run folders: complete or absent, and refused in one sentence when they do not fit."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from dp_bench.errors import BadInput
from dp_bench.policies.agent import Agent
from dp_bench.runs.agents import load_agent
from dp_bench.runs.folder import RunFolder, build_policy
from dp_bench.util import settings
from dp_bench.util.files import PART
from dp_bench.util.tensors import save_tensors
from made_up import run_info

INFO = run_info(preset="custom", training={"updates": 3})


@pytest.fixture
def run(tmp_path):
    """A run folder with random weights."""
    folder = RunFolder(tmp_path / "run")
    folder.write_info(INFO)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        policy = build_policy(INFO)
    save_tensors(folder.weights, policy.state_dict(), {"update": 3, "seconds": 1.0})
    return folder


def test_info_comes_back_unchanged_with_the_machine_beside_it(run):
    assert run.info() == INFO
    facts = json.loads((run.path / "run.json").read_text())
    assert {"commit", "versions", "machine", "format"} <= facts.keys()


def test_truncated_weights_are_refused(run):
    run.weights.write_bytes(run.weights.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"weights.safetensors is damaged"):
        run.load_policy()


@pytest.mark.parametrize(
    ("content", "message"),
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
def test_a_damaged_run_json_is_refused(run, content, message):
    data = content if isinstance(content, bytes) else content.encode()
    (run.path / "run.json").write_bytes(data)
    with pytest.raises(BadInput, match=message) as caught:
        run.info()
    assert str(run.path) in str(caught.value)


NEWER = {
    "format": ({"format": 2}, "format 2; this version reads 1"),
    "field": ({"colour": "red"}, "unknown field 'colour'"),
    "policy": ({"policy": INFO.policy | {"colour": 3}}, "unknown field 'colour'"),
    "part": ({"policy": {"horizons": {"far": 3}}}, "horizons: unknown field 'far'"),
    "method": ({"method": "dp_z"}, "no method 'dp_z'"),
}


@pytest.mark.parametrize(("change", "message"), NEWER.values(), ids=NEWER)
def test_a_run_of_a_newer_version_is_refused_with_the_way_out(run, change, message):
    file = run.path / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    way_out = rf"^{file}.*{message}.*update dp-bench if a newer version wrote this$"
    with pytest.raises(BadInput, match=way_out) as caught:
        load_agent(run.path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_run_json_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"not a run folder.*dp-bench train"):
        load_agent(tmp_path / "nowhere")


def test_missing_weights_are_refused_with_the_updates_that_were_kept(run):
    save_tensors(run.kept(500), {}, {})
    with pytest.raises(
        BadInput, match=r"no 000700.safetensors \(weights were kept at updates: 500"
    ):
        run.load_policy(700)


def test_weights_of_another_size_are_refused_in_one_sentence(run):
    wider = settings.to_json(build_policy(INFO).config)
    wider["channels"] = [16, 32]
    run.write_info(dataclasses.replace(INFO, policy=wider))
    with pytest.raises(BadInput, match=r"does not fit the settings") as caught:
        run.load_policy()
    assert "\n" not in str(caught.value)


def test_observations_of_another_task_are_refused_with_the_expected_shape(run):
    agent = Agent(load_agent(run.path).actor)
    agent.reset(0)
    with pytest.raises(BadInput, match=r"\(1, 2, 20\), got \(1, 2, 7\)"):
        agent.act(np.zeros(7, np.float32))


def test_a_file_that_a_killed_training_left_is_no_checkpoint(run):
    run.kept(1).parent.mkdir()
    run.kept(1).write_bytes(run.weights.read_bytes())
    left = run.kept(2).with_name(f"{PART}here-1.{run.kept(2).name}")
    left.write_bytes(b"half")
    assert run.steps() == [1]
