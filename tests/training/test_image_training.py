"""Training from images: what each method learns, and that resuming is exact."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import looking
import numpy as np
import pytest
import torch
from reach_plugin import look

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.rollout import play_group
from dp_bench.grid.local import child_environment
from dp_bench.policies.observations import Observation
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.runs.folder import RunFolder
from dp_bench.training.batches import Batches
from dp_bench.training.frames import FramesInMemory, StreamedFrames, make_frames
from dp_bench.training.loop import prepare, train
from dp_bench.util.tensors import load_tensors

METHODS = tuple(registry.METHODS)
EPISODES = 40  # played by a test


def marked(method):
    """The parameter of a slow test."""
    return pytest.param(method, marks=pytest.mark.slow)


class Timed(look.Look):
    """Ends an episode as the task's time limit does."""

    def reset(self, **given):
        self.left = look.STEPS
        return super().reset(**given)

    def step(self, action):
        obs, reward, terminated, _, info = super().step(action)
        self.left -= 1
        return obs, reward, terminated, self.left == 0, info


def successes(policy, blank):
    envs = [Timed(blank=blank) for _ in range(EPISODES)]
    seeds = range(10_000, 10_000 + EPISODES)
    played = play_group(policy, envs, seeds, look.score)
    ends = np.array([env.hand for env in envs])
    return np.array([episode.outcome.success for episode in played]), ends


@pytest.mark.parametrize(
    "method", [marked("dp_t"), *(m for m in METHODS if m != "dp_t")]
)
def test_a_policy_that_looks_solves_a_task_whose_goal_is_only_in_an_image(
    method, tmp_path
):
    settings = looking.PRESETS[method].training
    policy = train(
        looking.policy(method),
        looking.rows(),
        None,
        settings,
        train_seed=0,
        folder=RunFolder(tmp_path),
    )
    seen, ends = successes(policy, blank=False)
    assert seen.mean() >= 0.85
    sides = ends[seen].sum(axis=1) > 0
    assert 0.1 < sides.mean() < 0.9, "both goals of an image are reached"
    blank, _ = successes(policy, blank=True)
    assert blank.mean() <= 0.7, "without the image it can only guess"


def short(**changes):
    settings = looking.PRESETS["dp_c"].training
    return dataclasses.replace(settings, updates=20, log_every=5, **changes)


def trained(folder, method="dp_c", **changes):
    train(
        looking.policy(method),
        looking.rows(20),
        looking.rows(4, 1000),
        short(**changes),
        train_seed=0,
        folder=RunFolder(folder),
    )
    return load_tensors(folder / "weights.safetensors")[0]


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) for name in one
    )


KILLED = """
import sys
from pathlib import Path
import looking
from dp_bench.runs.folder import RunFolder
from dp_bench.training.loop import train
sys.path.insert(0, {tests!r} + "/training")
from test_image_training import short
import torch

torch.set_num_threads(1)
train(looking.policy({method!r}), looking.rows(20), looking.rows(4, 1000),
      short(save_seconds=1e-9), train_seed=0, folder=RunFolder(Path({folder!r})))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills with SIGKILL")
@pytest.mark.parametrize(
    "method",
    ["dp_c", *map(marked, METHODS[1:])],
)
def test_a_killed_training_resumes_bit_for_bit(method, tmp_path):
    undisturbed = trained(tmp_path / "whole", method)
    tests = Path(__file__).parents[1]
    code = KILLED.format(tests=str(tests), method=method, folder=str(tmp_path / "cut"))
    places = [tests, tests / "plugin_package", os.environ.get("PYTHONPATH", "")]
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))},
    )
    resume = tmp_path / "cut" / "resume.safetensors"
    deadline = time.monotonic() + 60
    while not resume.is_file() and time.monotonic() < deadline:
        assert child.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert resume.is_file()
    assert not (tmp_path / "cut" / "weights.safetensors").is_file()
    assert same(trained(tmp_path / "cut", method), undisturbed)


def test_images_in_their_file_train_the_same_weights_as_images_in_memory(
    tmp_path, monkeypatch
):
    in_memory = trained(tmp_path / "memory", frames="memory")
    assert same(trained(tmp_path / "file", frames="file"), in_memory)


def test_images_that_do_not_fit_stay_in_their_file(monkeypatch):
    images = {"image": np.zeros((10, 8, 8, 3), np.uint8)}
    cpu = torch.device("cpu")
    place = "dp_bench.training.frames.free_memory"
    monkeypatch.setattr(place, lambda device: 2 * 10 * 8 * 8 * 3)
    assert isinstance(make_frames(images, cpu), FramesInMemory)
    monkeypatch.setattr(place, lambda device: 2 * 10 * 8 * 8 * 3 - 1)
    assert isinstance(make_frames(images, cpu), StreamedFrames)

    # two trainings at a time share the memory
    monkeypatch.setattr(place, lambda device: 4 * 10 * 8 * 8 * 3 - 1)
    assert isinstance(make_frames(images, cpu), FramesInMemory)
    monkeypatch.setenv("DP_BENCH_JOBS", child_environment(2)["DP_BENCH_JOBS"])
    assert isinstance(make_frames(images, cpu), StreamedFrames)


def test_noise_of_vectors_is_refused_for_images():
    message = r"sensor_noise is 1\.0, .* only to observations that are one vector"
    with pytest.raises(BadInput, match=message):
        prepare(
            looking.policy("dp_c"),
            looking.rows(20),
            short(sensor_noise=1.0),
            train_seed=0,
            device="cpu",
            obs_noise=lambda obs, rng: obs,
        )


class Watched:
    """Images that remember which rows were read."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.read = set()

    def __getitem__(self, rows):
        self.read |= set(np.atleast_1d(rows).tolist())
        return self.array[rows]


def test_a_stream_reads_the_rows_that_the_policy_looks_at_and_no_others():
    obs, actions, ends = looking.rows(20)
    policy = prepare(
        looking.policy("dp_c"), looking.rows(20), short(), train_seed=0, device="cpu"
    ).state.policy
    watched = Watched(obs["image"])
    batches = Batches(
        policy,
        {**obs, "image": watched},
        actions,
        ends,
        batch_size=4,
        train_seed=0,
        device=torch.device("cpu"),
        frames="file",
    )
    seen, _ = batches.at(0)
    assert isinstance(seen, Observation)
    looked_at = batches.index[batches.windows(0)][:, : policy.horizons.obs]
    np.testing.assert_array_equal(
        seen.images["image"].numpy(), obs["image"][looked_at.numpy()]
    )
    ahead = batches.index[batches._windows(1)][:, : policy.horizons.obs]
    batches.at(1)
    later = batches.index[batches._windows(2)][:, : policy.horizons.obs]
    batches.frames._thread.shutdown()
    allowed = {*looked_at.flatten().tolist(), *ahead.flatten().tolist()}
    assert watched.read <= allowed | {*later.flatten().tolist()}


def test_the_learning_rate_of_the_encoder_has_a_factor_of_its_own():
    vision = dataclasses.replace(looking.VISION, lr_factor=0.1, weight_decay=0.5)
    updater = prepare(
        looking.policy("dp_t", vision=vision),
        looking.rows(20),
        short(warmup=0),
        train_seed=0,
        device="cpu",
    )
    updater.step()
    groups = updater.state.optimizer.param_groups
    assert groups[-1]["lr"] == pytest.approx(0.1 * groups[0]["lr"])
    assert groups[-1]["weight_decay"] == 0.5
    size = sum(p.numel() for p in updater.state.policy.encoder.parameters())
    assert groups[-1]["params"][0].numel() == size


def test_a_frozen_encoder_keeps_the_weights_it_begins_with(tmp_path):
    vision = VisionConfig(encoder="cnn", keypoints=8, features=16, frozen=True)
    policy = looking.policy("bet", vision=vision)
    before = {k: v.clone() for k, v in policy.state_dict().items()}
    after = train(
        policy,
        looking.rows(20),
        None,
        short(),
        train_seed=0,
        folder=RunFolder(tmp_path),
    ).state_dict()
    moved = {k for k in before if not torch.equal(before[k], after[k])}
    assert not any("backbone" in name for name in moved)
    assert any(name.startswith("encoder.") for name in moved)
