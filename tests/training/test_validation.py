"""Validation: the error of the actions that would be executed."""

import dataclasses

import numpy as np
import pytest
import torch

from dp_bench.policies.diffusion.policy import UnetDiffusion
from made_up_training import fresh, trained, walks


class Still(UnetDiffusion):
    """Always decides for the middle of the range of actions."""

    def predict_from(self, obs, generators, memory):
        return torch.zeros(len(obs), self.horizons.prediction, self.action_dim)


def test_the_log_has_the_distance_from_demonstrated_actions(tmp_path):
    held_back = walks(1, lengths=(12,))
    _, log = trained(tmp_path, fresh(Still), held_back=held_back)
    errors = [line.val_action_error for line in log if line.val_loss is not None]

    training_actions = walks()[1]
    low, high = training_actions.min(0), training_actions.max(0)
    normalised = 2 * (held_back[1] - low) / (high - low) - 1
    # To, Ta, Tp = 2, 4, 8: presents from 0 to 8; the last windows look past the end
    executed = [
        normalised[min(present + k, 11)] for present in range(9) for k in range(4)
    ]
    assert errors == [pytest.approx(np.square(executed).mean(), rel=1e-5)] * 3


class Nan(UnetDiffusion):
    """Predicts no number."""

    def predict_from(self, obs, generators, memory):
        shape = len(obs), self.horizons.prediction, self.action_dim
        return torch.full(shape, torch.nan)


def test_a_validation_number_that_is_not_finite_is_left_out_of_the_log(tmp_path):
    weights, log = trained(tmp_path, fresh(Nan))
    assert [line.val_action_error for line in log] == [None] * 6
    assert sum(line.val_loss is not None for line in log) == 3
    expected, expected_log = trained(tmp_path / "b", fresh())
    assert all(torch.equal(weights[name], expected[name]) for name in weights)
    without = [dataclasses.replace(x, val_action_error=None) for x in expected_log]
    assert log == without
