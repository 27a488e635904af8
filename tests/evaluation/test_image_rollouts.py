"""Evaluating a policy that observes images of PushT."""

import dataclasses
import shutil

import pytest
import torch

from dp_bench.evaluation.evaluate import evaluate
from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.runs.agents import load_agent
from dp_bench.runs.folder import RunFolder, build_policy
from dp_bench.util.tensors import save_tensors
from made_up import run_info

SPEC = ObsSpec({"image": (96, 96, 3)}, {"agent_pos": 2})
VISION = VisionConfig(encoder="cnn", keypoints=8, features=8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of DP-C from images, with the weights that it would begin with."""
    info = run_info(
        obs_kind="image",
        obs_dim=VISION.features_of(SPEC),
        observation=SPEC,
        vision=VISION,
        frames_digest="f" * 64,
    )
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    folder.write_info(info)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        policy = build_policy(info)
    corners = torch.tensor([[0.0], [512.0]]).expand(2, 2)
    policy.fit(corners, corners, torch.Generator())
    save_tensors(folder.weights, policy.state_dict(), {"update": 5, "seconds": 1.0})
    return folder


def copied(run, place):
    shutil.copytree(run.path, place)
    return RunFolder(place)


def records(run, place, **options):
    """The records of an evaluation, without measured times."""
    folder = copied(run, place)
    found = evaluate(folder, variants=["default"], **options)
    return [dataclasses.replace(r, decision_latency=0.0) for r in found]


def test_records_name_the_observation_and_its_images(run, tmp_path):
    (record,) = records(run, tmp_path / "run", episodes=1, processes=1)
    assert record.obs_kind == "image"
    assert record.frames_digest == "f" * 64


@pytest.mark.slow
def test_records_do_not_depend_on_the_number_of_processes(run, tmp_path):
    one, two, three = (
        records(run, tmp_path / str(n), episodes=60, processes=n) for n in (1, 2, 3)
    )
    assert one == two
    assert one == three


def test_an_agent_plays_the_environment_of_its_run(run):
    agent = load_agent(run.path)
    env = agent.make_env()
    obs, _ = env.reset(seed=3)
    agent.reset(3)
    for _ in range(12):
        obs, *_ = env.step(agent.act(obs))
    assert set(obs) == {"image", "agent_pos"}
    env.close()


def test_loading_trained_weights_needs_no_pretrained_ones(run, tmp_path, monkeypatch):
    import dp_bench.policies.vision.encoder as encoder

    built = []
    make = encoder.Encoder.__init__

    def watched(self, *given, **named):
        built.append(named.get("pretrained", True))
        make(self, *given, **named)

    monkeypatch.setattr(encoder.Encoder, "__init__", watched)
    run.load_policy()
    assert built == [False]
