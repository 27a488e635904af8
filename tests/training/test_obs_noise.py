"""Noise of sensors added in training: to what is seen, and what follows of it."""

import dataclasses
import json
import signal

import numpy as np
import pytest
import torch
from test_loop import TRAINING, fresh, walks

from dp_bench.baselines.lstm_gmm import LstmGmm, LstmGmmConfig
from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.diffusion.policy import UnetDiffusion
from dp_bench.runs.folder import RunFolder
from dp_bench.task import ObsNoise
from dp_bench.training.loop import Batches, train
from dp_bench.training.obs_noise import AddObsNoise
from dp_bench.util.tensors import load_tensors

# The first action is counted from the first observed number, the second is absolute.
SENSORS = ObsNoise(
    noise=np.array([0.5, 0.1, 0.0]), follows=np.array([[-2.0, 0, 0], [0, 0, 0]])
)


def drawn(policy, ratio=1.0):
    """Windows before and after, in units of the environment."""
    obs, actions, ends = walks()
    policy.fit(torch.as_tensor(obs), torch.as_tensor(actions), torch.Generator())
    noise = AddObsNoise(SENSORS, ratio, policy)
    batches = Batches(
        policy, obs, actions, ends, batch_size=64, train_seed=0,
        device=torch.device("cpu"), noise=noise,
    )  # fmt: skip
    windows = batches.windows(0)
    generator = torch.Generator().manual_seed(0)
    pairs = batches.rows(windows), batches.noisy(windows, generator)
    units = policy.obs_normalizer, policy.action_normalizer
    return [
        [unit.inverse(part).numpy() for unit, part in zip(units, pair, strict=True)]
        for pair in pairs
    ]


def test_only_what_a_policy_sees_is_off_and_its_actions_with_it():
    policy = fresh()
    (obs, actions), (seen, done) = drawn(policy)
    off, change = seen - obs, done - actions
    sees = policy.horizons.obs
    assert not off[:, sees:].any()
    assert not change[:, sees:].any()
    # each number by its own noise, from -1 to 1 times it
    largest = np.abs(off[:, :sees]).max((0, 1))
    np.testing.assert_allclose(largest, SENSORS.noise, rtol=0.1, atol=1e-5)
    # a row's action follows the row, unless it would leave the demonstrated range
    inside = (done[..., 0] < actions[..., 0].max()) & (
        done[..., 0] > actions[..., 0].min()
    )
    wanted = -2.0 * off[..., 0]
    assert inside.mean() > 0.9
    np.testing.assert_allclose(change[..., 0][inside], wanted[inside], atol=1e-4)
    assert not change[..., 1].any()
    assert done[..., 0].max() <= actions[..., 0].max() + 1e-4


def test_a_ratio_makes_it_larger():
    (obs, _), (seen, _) = drawn(fresh(), ratio=3.0)
    assert np.abs(seen - obs)[..., 0].max() == pytest.approx(1.5, rel=0.05)


def test_a_policy_that_remembers_sees_every_row():
    config = LstmGmmConfig(horizons=Horizons(1, 1, 6), hidden=8, reset_every=6)
    (obs, _), (seen, _) = drawn(LstmGmm(config, obs_dim=3, action_dim=2))
    assert (np.abs(seen - obs)[..., 0].max(0) > 0.1).all()


def test_windows_held_back_stay_as_they_were_recorded(tmp_path):
    """So validation compares trainings with and without noise on equal terms."""
    lines = []
    for ratio in (0.0, 2.0):
        folder = RunFolder(tmp_path / str(ratio))
        settings = dataclasses.replace(
            TRAINING, sensor_noise=ratio, updates=1, validate_every=1, lr=1e-12
        )
        train(
            fresh(), walks(), walks(1), settings, train_seed=0, folder=folder,
            obs_noise=SENSORS,
        )  # fmt: skip
        lines.append(folder.log.read_text())
    without, with_noise = (json.loads(text.splitlines()[-1]) for text in lines)
    assert with_noise["val_loss"] == pytest.approx(without["val_loss"], rel=1e-4)
    assert with_noise["loss"] != without["loss"]


def test_a_training_with_noise_goes_on_where_it_was_stopped(tmp_path):
    settings = dataclasses.replace(TRAINING, sensor_noise=2.0)

    class Stopped(UnetDiffusion):
        times = 0

        def loss(self, *given):
            self.times += self.training
            if self.training and self.times == 10:
                signal.raise_signal(signal.SIGINT)
            return super().loss(*given)

    def run(name, policy):
        folder = RunFolder(tmp_path / name)
        given = {"train_seed": 0, "folder": folder, "obs_noise": SENSORS}
        train(policy, walks(), None, settings, **given)
        return load_tensors(folder.weights)[0]

    at_once = run("a", fresh())
    with pytest.raises(KeyboardInterrupt):
        run("b", fresh(Stopped))
    again = run("b", fresh())
    assert all(torch.equal(again[name], at_once[name]) for name in at_once)


def test_a_task_without_known_noise_refuses_it(tmp_path):
    settings = dataclasses.replace(TRAINING, sensor_noise=1.0)
    with pytest.raises(BadInput, match=r"sensor_noise is 1\.0, and must be 0"):
        train(
            fresh(), walks(), None, settings, train_seed=0, folder=RunFolder(tmp_path)
        )
    with pytest.raises(BadInput, match="0 or above, got -1"):
        dataclasses.replace(TRAINING, sensor_noise=-1.0)
