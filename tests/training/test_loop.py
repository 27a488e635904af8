"""Training: a function of data, settings and seed, however often it was stopped."""

import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from dp_bench import references, registry
from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.base import Policy
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
from dp_bench.policies.diffusion.policy import UnetDiffusion
from dp_bench.presets import preset
from dp_bench.runs.folder import RunFolder
from dp_bench.seeds import Purpose, derive
from dp_bench.training.loop import (
    Batches,
    Training,
    _Loop,
    ema_decay,
    lr_factor,
    read_log,
    train,
)
from dp_bench.util.tensors import load_tensors

CONFIG = UnetDiffusionConfig(
    horizons=Horizons(2, 4, 8), channels=(16, 32), step_dim=8, sample_steps=4
)
TRAINING = Training(
    updates=24,
    batch_size=8,
    lr=1e-3,
    warmup=4,
    log_every=4,
    validate_every=8,
    save_seconds=1e-9,
    precision="float32",
)


def walks(seed=0, lengths=(30, 40, 25)):
    rng = np.random.default_rng(seed)
    obs = rng.normal(size=(sum(lengths), 3)).cumsum(0).astype(np.float32)
    return obs, obs[:, :2] * 2 + 1, np.cumsum(lengths)


def fresh(cls=UnetDiffusion, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(CONFIG, obs_dim=3, action_dim=2)


HELD_BACK = walks(1)


def trained(path, policy=None, *, seed=0, held_back=HELD_BACK, **changes):
    """Weights `{name: tensor}` and log of a run, its wall-clock left out."""
    settings = Training(**{**TRAINING.__dict__, **changes})
    folder = RunFolder(path)
    policy = policy or fresh()
    train(policy, walks(), held_back, settings, train_seed=seed, folder=folder)
    log = [{k: v for k, v in x.items() if k != "seconds"} for x in read_log(folder)]
    return load_tensors(folder.weights)[0], log


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


class Forgetful(UnetDiffusion):
    """With dropout, which draws from the global generator."""

    def noise(self, noisy, t, obs):
        return super().noise(noisy, t, nn.functional.dropout(obs, 0.5, self.training))


class Interrupted(Forgetful):
    """Gets a signal, or several, while it computes its loss for the n-th time."""

    at, signals, times = 10, (signal.SIGINT,), 0

    def loss(self, obs, actions, generator):
        self.times += self.training  # and not those of validation
        if self.training and self.times == self.at:
            for number in self.signals:
                signal.raise_signal(number)
        return super().loss(obs, actions, generator)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path):
    one, log = trained(tmp_path / "a")
    again, log_again = trained(tmp_path / "b")
    assert same(one, again)
    assert log == log_again
    other, _ = trained(tmp_path / "c", seed=1)
    assert not same(one, other)


def test_a_training_leaves_a_run_that_can_be_loaded_and_no_state(tmp_path):
    weights, log = trained(tmp_path)
    assert [line["update"] for line in log] == [4, 8, 12, 16, 20, 24]
    assert [line["update"] for line in log if "val_loss" in line] == [8, 16, 24]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "log.jsonl",
        "weights.safetensors",
    ]
    assert not same(weights, fresh().state_dict())


def test_dropout_repeats_itself_whatever_the_log(tmp_path):
    one, _ = trained(tmp_path / "a", fresh(Forgetful))
    other, _ = trained(tmp_path / "b", fresh(Forgetful), log_every=24)
    assert same(one, other)


def test_validation_data_never_moves_a_weight(tmp_path):
    one, _ = trained(tmp_path / "a")
    other, log = trained(tmp_path / "b", held_back=walks(7), validate_every=4)
    without, _ = trained(tmp_path / "c", held_back=None)
    assert same(one, other)
    assert same(one, without)
    assert all("val_loss" in line for line in log)


def test_kept_weights_are_those_of_a_shorter_constant_training(tmp_path):
    trained(tmp_path / "a", schedule="constant", keep_every=12)
    short, _ = trained(tmp_path / "b", schedule="constant", updates=12)
    kept, facts = load_tensors(RunFolder(tmp_path / "a").kept(12))
    assert RunFolder(tmp_path / "a").steps() == [12, 24]
    assert facts["update"] == 12
    assert same(kept, short)


def test_training_leaves_the_global_generators_alone(tmp_path):
    torch_before = torch.random.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002
    python_before = random.getstate()
    trained(tmp_path, fresh(Forgetful))
    assert torch.equal(torch_before, torch.random.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002
    assert python_before == random.getstate()


def test_a_batch_depends_on_seed_and_update_alone():
    def batches(seed):
        device = torch.device("cpu")
        return Batches(fresh(), *walks(), batch_size=8, train_seed=seed, device=device)

    one, other = batches(0), batches(0)
    updates = list(range(3 * one.per_epoch))
    in_order = [one.at(u) for u in updates]
    for u in reversed(updates):
        for a, b in zip(in_order[u], other.at(u), strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(in_order[0][0], batches(1).at(0)[0])
    epoch = torch.cat([obs for obs, _ in in_order[: one.per_epoch]]).flatten(1)
    assert len(torch.unique(epoch, dim=0)) == len(epoch)  # each window once


def test_methods_with_other_horizons_meet_the_same_rows_in_the_same_order():
    def presents(horizons):
        config = dataclasses.replace(CONFIG, horizons=horizons)
        with torch.random.fork_rng(devices=[]):
            policy = UnetDiffusion(config, obs_dim=1, action_dim=1)
        rows = np.arange(95.0)[:, None]  # an observation that is its own row
        batches = Batches(
            policy, rows, rows, walks()[2], batch_size=1, train_seed=3,
            device=torch.device("cpu"),
        )  # fmt: skip
        epoch = [batches.at(u)[0] for u in range(batches.per_epoch)]
        return [int(obs[0, horizons.obs - 1, 0]) for obs in epoch]

    long, short = presents(Horizons(2, 4, 8)), presents(Horizons(3, 1, 4))
    assert len(long) != len(short)
    both = set(long) & set(short)
    assert len(both) > 80
    assert [r for r in long if r in both] == [r for r in short if r in both]


class Idle(UnetDiffusion):
    """Always decides for the middle of the range of actions."""

    def predict_from(self, obs, generators, memory):
        return torch.zeros(len(obs), self.horizons.prediction, self.action_dim)


def test_the_log_says_how_far_actions_are_from_the_demonstrated(tmp_path):
    held_back = walks(1, lengths=(12,))
    _, log = trained(tmp_path, fresh(Idle), held_back=held_back)
    errors = [line["val_action_error"] for line in log if "val_loss" in line]

    learned = walks()[1]
    low, high = learned.min(0), learned.max(0)
    normalised = 2 * (held_back[1] - low) / (high - low) - 1
    # To, Ta, Tp = 2, 4, 8: from -1, before the episode, to 7, which looks past its end
    executed = [
        normalised[min(present + k, 11)] for present in range(9) for k in range(4)
    ]
    assert errors == [pytest.approx(np.square(executed).mean(), rel=1e-5)] * 3


def test_data_without_a_window_are_refused(tmp_path):
    obs, actions, _ = walks()
    data = obs[:2], actions[:2], np.array([2])
    with pytest.raises(BadInput, match="the longest has 2 steps"):
        train(fresh(), data, None, TRAINING, train_seed=0, folder=RunFolder(tmp_path))


def test_the_learning_rate_rises_then_falls_to_nothing():
    training = Training(updates=100, warmup=10)
    factors = [lr_factor(u, training) for u in range(101)]
    assert factors[0] == 0
    assert factors[10] == max(factors) == 1
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0)
    assert (np.diff(factors[10:]) < 0).all()


def test_the_moving_average_forgets_slower_and_slower():
    decays = [ema_decay(n) for n in (1, 2, 10, 1000, 10**7)]
    assert decays[0] == 0  # the first update takes over all
    assert decays == sorted(decays)
    assert decays[-1] == 0.9999


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wish_to_stop_is_granted_at_the_next_line_of_the_log(tmp_path, number):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    policy = fresh(Interrupted)
    policy.signals = (number,)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "a", policy, save_seconds=1e9)
    assert policy.times == 12
    assert load_tensors(RunFolder(tmp_path / "a").resume)[1]["update"] == 12
    after = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert after == handlers

    weights, log = trained(tmp_path / "a", fresh(Forgetful))
    unbroken, unbroken_log = trained(tmp_path / "b", fresh(Forgetful))
    assert same(weights, unbroken)
    assert log == unbroken_log


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    policy = fresh(Interrupted)
    policy.signals = (signal.SIGINT, signal.SIGTERM, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, policy)
    assert policy.times == 10
    assert load_tensors(RunFolder(tmp_path).resume)[1]["update"] == 8


def test_a_wish_to_stop_during_the_last_updates_finishes_and_then_stops(tmp_path):
    policy = fresh(Interrupted)
    policy.at = 23
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, policy)
    folder = RunFolder(tmp_path)
    assert load_tensors(folder.weights)[1]["update"] == 24
    assert not folder.resume.exists()


def test_a_training_in_a_thread_needs_no_signals(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(trained(tmp_path / "a")))
    thread.start()
    thread.join()
    assert same(found[0][0], trained(tmp_path / "b")[0])


class Diverging(Policy):
    """Its loss, or its weight alone, is NaN from the 11th update on."""

    config_class = UnetDiffusionConfig
    gradient_only, times = False, 0

    def __init__(self, config, **dims):
        super().__init__(config, **dims)
        self.weight = nn.Parameter(torch.ones(()))

    def predict(self, obs, generators):
        return obs.new_zeros(len(obs), self.horizons.prediction, self.action_dim)

    def loss(self, obs, actions, generator):
        self.times += self.training
        bad = self.times > 10
        if bad and self.gradient_only:
            return self.weight + (self.weight.detach() - self.weight).sqrt()
        return self.weight * (float("nan") if bad else 1.0)


@pytest.mark.parametrize("gradient_only", [False, True])
def test_a_training_that_diverges_says_where_and_keeps_the_last_good_state(
    tmp_path, gradient_only
):
    policy = fresh(Diverging)
    policy.gradient_only = gradient_only
    with pytest.raises(BadInput, match=r"diverged around update 12 .*training\.lr"):
        trained(tmp_path, policy)
    tensors, facts = load_tensors(RunFolder(tmp_path).resume)
    assert facts["update"] == 8
    assert tensors["policy.weight"].isfinite()
    assert [line["update"] for line in read_log(RunFolder(tmp_path))] == [4, 8]
    assert not RunFolder(tmp_path).weights.exists()


def test_a_learning_rate_far_too_high_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="diverged around update"):
        trained(tmp_path, lr=1e30, warmup=0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("updates", 0),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("betas", (0.9, 1.0)),
        ("weight_decay", -1.0),
        ("grad_clip", 0.0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(BadInput, match=field):
        Training(**{field: value})


def test_a_state_of_another_network_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, fresh(Interrupted))
    with pytest.raises(BadInput, match=r"not a state of this training.*delete it"):
        trained(tmp_path, fresh(Diverging))


def test_a_damaged_state_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, fresh(Interrupted))
    resume = RunFolder(tmp_path).resume
    resume.write_bytes(resume.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"resume.safetensors is damaged"):
        trained(tmp_path)


LONG = {"updates": 300, "log_every": 3, "validate_every": 30}
SCRIPT = """
import sys, importlib.util, torch
torch.set_num_threads(1)
spec = importlib.util.spec_from_file_location("test_loop", {file!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print("ready", flush=True)
module.trained({folder!r}, module.fresh(module.Forgetful), **module.LONG)
"""


def test_a_killed_training_resumed_equals_one_never_killed(tmp_path):
    """`kill -9` at any moment, in the middle of saving too, loses nothing but time."""
    folder = RunFolder(tmp_path / "killed")
    script = SCRIPT.format(file=__file__, folder=str(folder.path))
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
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
        log.write('{"update": 299, "lo')  # a line that was being written
    weights, log = trained(folder.path, fresh(Forgetful), **LONG)
    unbroken, unbroken_log = trained(tmp_path / "never", fresh(Forgetful), **LONG)
    assert same(weights, unbroken)
    assert log == unbroken_log


def test_the_average_does_not_remember_its_updates():
    """Else autograd keeps a node for each, and memory grows all through a training."""
    policy = fresh()
    obs, actions, ends = walks()
    policy.fit(torch.as_tensor(obs), torch.as_tensor(actions), torch.Generator())
    device = torch.device("cpu")
    loop = _Loop(policy.train(), TRAINING, 0, device)
    loop.step(
        Batches(policy, obs, actions, ends, batch_size=8, train_seed=0, device=device)
    )
    assert not any(average.requires_grad for average in loop.average)


def test_an_update_is_that_of_an_optimiser_of_each_parameter():
    """Laying parameters in one vector changes the speed, and nothing else."""
    obs, actions, ends = walks()
    settings = Training(
        **{**TRAINING.__dict__, "weight_decay": 0.3, "grad_clip": 0.5, "lr": 1e-2}
    )
    device = torch.device("cpu")
    loops = []
    for _ in range(2):
        policy = fresh()
        policy.fit(torch.as_tensor(obs), torch.as_tensor(actions), torch.Generator())
        loops.append(_Loop(policy.train(), settings, 0, device))
        batches = Batches(
            policy, obs, actions, ends, batch_size=8, train_seed=0, device=device
        )
    one, plain = loops
    assert len(one.values) < len(list(one.policy.parameters()))
    params = list(plain.policy.parameters())
    average = [p.detach().clone() for p in params]
    optimizer = torch.optim.AdamW(
        plain.policy.parameter_groups(0.3), betas=settings.betas, foreach=False
    )
    for update in range(6):
        one.step(batches)
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * lr_factor(update, settings)
        plain.generator.manual_seed(derive(Purpose.LOSS_NOISE, 0, update))
        plain.policy.loss(*batches.at(update), plain.generator).backward()
        norm = torch.nn.utils.clip_grad_norm_(params, 0.5)
        assert norm > 0.5  # it is clipped
        optimizer.step()
        optimizer.zero_grad()
        for kept, p in zip(average, params, strict=True):
            kept.lerp_(p.detach(), 1 - ema_decay(update + 1))
    for found, wanted in (
        (one.policy.parameters(), params),
        (one.averaged().parameters(), average),
    ):
        for p, q in zip(found, wanted, strict=True):
            torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", registry.methods())
def test_a_recorded_update_is_the_one_that_was_told(name, monkeypatch):
    """A CUDA graph computes what the loop does: noise, rate, batch and average."""
    method = registry.method(name)
    cls = references.load(method.policy)
    settings = preset(method, "pusht", "smoke")
    training = dataclasses.replace(settings.training, batch_size=8, precision="float32")
    obs, actions, ends = walks(lengths=(60, 40, 50))
    device = torch.device("cuda")
    ends_with = []
    for recordable in (True, False):
        monkeypatch.setattr(cls, "recordable", recordable)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            policy = cls(settings.policy, obs_dim=3, action_dim=2).to(device)
        rows = [torch.as_tensor(x, device=device) for x in (obs, actions)]
        policy.fit(*rows, torch.Generator().manual_seed(0))
        loop = _Loop(policy.train(), training, 0, device)
        batches = Batches(
            policy, obs, actions, ends, batch_size=8, train_seed=0, device=device
        )
        losses = [float(loop.step(batches)) for _ in range(30)]
        assert (loop.recording is not None) == recordable
        ends_with.append((losses, loop.values, loop.average))
    for told, recorded in zip(*ends_with, strict=True):
        torch.testing.assert_close(told, recorded, rtol=1e-3, atol=1e-5)


def test_a_saved_state_holds_each_parameter_for_itself(tmp_path):
    """So that another device, where parameters lie otherwise, can go on from it."""
    obs, actions, ends = walks()
    device = torch.device("cpu")
    policy = fresh()
    policy.fit(torch.as_tensor(obs), torch.as_tensor(actions), torch.Generator())
    loop = _Loop(policy.train(), TRAINING, 0, device)
    batches = Batches(
        policy, obs, actions, ends, batch_size=8, train_seed=0, device=device
    )
    for _ in range(3):
        loop.step(batches)
    loop.save(RunFolder(tmp_path), 1.0)
    tensors, _ = load_tensors(RunFolder(tmp_path).resume)
    averages = loop.averaged().parameters()
    for i, (p, average) in enumerate(zip(policy.parameters(), averages, strict=True)):
        assert tensors[f"optimizer.{i}.exp_avg"].shape == p.shape
        assert torch.equal(tensors[f"average.{i}"], average)
    assert int(tensors["optimizer.step"]) == 3
