"""Observation noise in training changes observations and relative actions."""

import dataclasses

import numpy as np
import pytest
import torch

from dp_bench.baselines.lstm_gmm import LstmGmm, LstmGmmConfig
from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.runs.folder import RunFolder
from dp_bench.task import ObsNoise
from dp_bench.training.batches import Batches
from dp_bench.training.log import read_log
from dp_bench.training.loop import train
from dp_bench.training.obs_noise import AddObsNoise
from dp_bench.util.tensors import load_tensors
from made_up_training import TRAINING, Dropping, Interrupted, fresh, same, walks

# The first action is counted from the first observed number, the second is absolute.
OBS_NOISE = ObsNoise(
    noise=np.array([0.5, 0.1, 0.0]), follows=np.array([[-2.0, 0, 0], [0, 0, 0]])
)


def before_and_after(policy, ratio=1.0):
    """Windows without and with noise, in units of the environment."""
    obs, actions, ends = walks()
    policy.fit(torch.as_tensor(obs), torch.as_tensor(actions), torch.Generator())
    noise = AddObsNoise(OBS_NOISE, ratio, policy)
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


def test_noise_changes_only_observed_rows_and_their_relative_actions():
    policy = fresh()
    (obs, actions), (noisy_obs, noisy_actions) = before_and_after(policy)
    noise, change = noisy_obs - obs, noisy_actions - actions
    observed = policy.horizons.obs
    assert not noise[:, observed:].any()
    assert not change[:, observed:].any()
    # each number has its own noise, uniform from -1 to 1 times it
    largest = np.abs(noise[:, :observed]).max((0, 1))
    np.testing.assert_allclose(largest, OBS_NOISE.noise, rtol=0.1, atol=1e-5)
    # a row's action follows the row, unless it would leave the demonstrated range
    inside = (noisy_actions[..., 0] < actions[..., 0].max()) & (
        noisy_actions[..., 0] > actions[..., 0].min()
    )
    expected = -2.0 * noise[..., 0]
    assert inside.mean() > 0.9
    np.testing.assert_allclose(change[..., 0][inside], expected[inside], atol=1e-4)
    assert not change[..., 1].any()
    assert noisy_actions[..., 0].max() <= actions[..., 0].max() + 1e-4


def test_the_ratio_scales_the_noise():
    (obs, _), (noisy_obs, _) = before_and_after(fresh(), ratio=3.0)
    assert np.abs(noisy_obs - obs)[..., 0].max() == pytest.approx(1.5, rel=0.05)


def test_a_recurrent_policy_gets_noise_in_every_row():
    config = LstmGmmConfig(horizons=Horizons(1, 1, 6), hidden=8, reset_every=6)
    policy = LstmGmm(config, obs_dim=3, action_dim=2)
    (obs, _), (noisy_obs, _) = before_and_after(policy)
    assert (np.abs(noisy_obs - obs)[..., 0].max(0) > 0.1).all()


def test_validation_windows_get_no_noise(tmp_path):
    """So validation compares trainings with and without noise on equal terms."""
    lines = []
    for ratio in (0.0, 2.0):
        folder = RunFolder(tmp_path / str(ratio))
        settings = dataclasses.replace(
            TRAINING, sensor_noise=ratio, updates=1, validate_every=1, lr=1e-12
        )
        train(
            fresh(), walks(), walks(1), settings, train_seed=0, folder=folder,
            obs_noise=OBS_NOISE,
        )  # fmt: skip
        lines.append(read_log(folder.log)[-1])
    without, with_noise = lines
    assert with_noise.val_loss == pytest.approx(without.val_loss, rel=1e-4)
    assert with_noise.loss != without.loss


def test_a_training_with_noise_resumes_where_it_stopped(tmp_path):
    settings = dataclasses.replace(TRAINING, sensor_noise=2.0)

    def run(name, policy):
        folder = RunFolder(tmp_path / name)
        train(
            policy, walks(), None, settings, train_seed=0, folder=folder,
            obs_noise=OBS_NOISE,
        )  # fmt: skip
        return load_tensors(folder.weights)[0]

    uninterrupted = run("a", fresh(Dropping))
    with pytest.raises(KeyboardInterrupt):
        run("b", fresh(Interrupted))
    resumed = run("b", fresh(Dropping))
    assert same(resumed, uninterrupted)


def test_a_task_without_known_noise_refuses_the_setting(tmp_path):
    settings = dataclasses.replace(TRAINING, sensor_noise=1.0)
    with pytest.raises(BadInput, match=r"sensor_noise is 1\.0, .*set it to 0"):
        train(
            fresh(), walks(), None, settings, train_seed=0, folder=RunFolder(tmp_path)
        )
    with pytest.raises(BadInput, match="0 or above, got -1"):
        dataclasses.replace(TRAINING, sensor_noise=-1.0)
