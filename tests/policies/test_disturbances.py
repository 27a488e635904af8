"""Settings against copying: what they do to observations and to decisions."""

import dataclasses

import numpy as np
import pytest
import torch

from dp_bench.baselines.ibc import Ibc, IbcConfig
from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.diffusion.policy import UnetDiffusion
from made_up_training import CONFIG, same, trained

WINDOWS = 4000


def policy_with(**changes):
    config = dataclasses.replace(CONFIG, horizons=Horizons(3, 4, 8), **changes)
    return UnetDiffusion(config, obs_dim=3, action_dim=2).train()


def disturbed(policy):
    obs = torch.ones(WINDOWS, 3, 3)
    return obs, policy.disturbed(obs, torch.Generator().manual_seed(0))


def test_older_observations_are_dropped_together():
    obs, seen = disturbed(policy_with(obs_dropout=0.3))
    assert torch.equal(seen[:, -1], obs[:, -1])
    dropped = (seen[:, :-1] == 0).flatten(1)
    assert torch.equal(dropped.all(1), dropped.any(1))
    assert dropped.all(1).float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_noise_on_older_observations_leaves_the_latest_alone():
    obs, seen = disturbed(policy_with(older_obs_noise=0.1, obs_scale=10.0))
    noise = seen - obs
    assert not noise[:, -1].any()
    assert noise[:, :-1].std().item() == pytest.approx(1.0, rel=0.05)


def test_both_kinds_of_noise_add_up():
    obs, seen = disturbed(policy_with(older_obs_noise=0.4, obs_noise=0.3))
    stds = (seen - obs).std((0, 2))
    np.testing.assert_allclose(stds, [0.5, 0.5, 0.3], rtol=0.05)


@pytest.mark.parametrize("name", ["older_obs_noise", "obs_dropout"])
def test_nothing_is_disturbed_in_evaluation(name):
    policy = policy_with(**{name: 0.5}).eval()
    obs, seen = disturbed(policy)
    assert torch.equal(seen, obs)


@pytest.mark.parametrize("name", ["older_obs_noise", "obs_dropout"])
def test_a_policy_without_older_observations_refuses_to_disturb_them(name):
    config = IbcConfig(horizons=Horizons(1, 1, 1), **{name: 0.1})
    with pytest.raises(BadInput, match=rf"{name} is 0.1, .* no older"):
        Ibc(config, obs_dim=3, action_dim=2)


@pytest.mark.parametrize(
    "changes",
    [
        {"older_obs_noise": 0.1},
        {"obs_dropout": 0.5},
        {"hidden_obs": (1,)},
        {"keyframe_weight": 3.0},
    ],
)
def test_each_setting_changes_the_weights_and_resumes_exactly(tmp_path, changes):
    of_training = {k: changes.pop(k) for k in list(changes) if k == "keyframe_weight"}

    def policy():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            config = dataclasses.replace(CONFIG, **changes)
            return UnetDiffusion(config, obs_dim=3, action_dim=2)

    whole, log = trained(tmp_path / "whole", policy(), **of_training)
    trained(tmp_path / "parts", policy(), until=8, keep_every=8, **of_training)
    parts, rest = trained(tmp_path / "parts", policy(), **of_training)
    assert same(whole, parts)
    assert log == rest
    plain, _ = trained(tmp_path / "plain")
    assert not same(whole, plain)


def test_a_hidden_number_changes_no_decision(tmp_path):
    policy = UnetDiffusion(
        dataclasses.replace(CONFIG, hidden_obs=(0, 2)), obs_dim=3, action_dim=2
    )
    trained(tmp_path, policy)
    obs = np.random.default_rng(0).normal(size=(2, 2, 3))

    def decisions(obs):
        policy.reset(range(2))
        return policy.act(obs)

    other = obs.copy()
    other[..., [0, 2]] = 1e6
    np.testing.assert_array_equal(decisions(other), decisions(obs))
    other[..., 1] += 1
    assert (decisions(other) != decisions(obs)).any()


def test_an_observation_must_hold_the_numbers_to_hide():
    policy = UnetDiffusion(
        dataclasses.replace(CONFIG, hidden_obs=(1, 3)), obs_dim=3, action_dim=2
    )
    rows = torch.randn(20, 3), torch.randn(20, 2)
    with pytest.raises(BadInput, match=r"numbers 0 to 2, so hidden_obs .*\(1, 3\)"):
        policy.fit(*rows, torch.Generator())


class Numbered(UnetDiffusion):
    """Predicts two ways by turns, drawn from the noise: all -1 or all 1."""

    def predict(self, obs, generators):
        signs = [torch.randn((), generator=g).sign() for g in generators]
        shape = (1, self.horizons.prediction, self.action_dim)
        return torch.stack(signs).view(-1, 1, 1).expand(-1, *shape[1:]).clone()


def ways(samples, decisions=6, lanes=40):
    """The way that each lane takes in each decision, `(lanes, decisions)`."""
    config = dataclasses.replace(CONFIG, past_samples=samples)
    policy = Numbered(config, obs_dim=3, action_dim=2).eval()
    policy.fit(torch.randn(20, 3), torch.rand(20, 2) * 2 - 1, torch.Generator())
    policy.reset(range(lanes))
    taken = [policy.act(np.zeros((lanes, 2, 3)))[:, 0, 0] for _ in range(decisions)]
    return np.sign(taken).T


def test_samples_that_agree_with_the_past_keep_to_one_way():
    """The first decision is free; with enough draws the others follow it."""
    taken = ways(20)
    assert (taken == taken[:, :1]).all()
    assert 0.2 < (taken[:, 0] > 0).mean() < 0.8
    free = ways(1)
    assert (free != free[:, :1]).any(axis=1).mean() > 0.8


def test_a_lane_draws_its_samples_whatever_the_other_lanes_do():
    np.testing.assert_array_equal(ways(4, lanes=7), ways(4, lanes=20)[:7])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"past_samples": 0}, "past_samples must be in 1"),
        ({"past_samples": 4, "horizons": Horizons(1, 4, 8)}, "holds no past action"),
        ({"past_samples": 4, "objective": "mip"}, "mip draws no noise"),
        ({"obs_dropout": 1.0}, r"obs_dropout must be in \[0, 1\)"),
        ({"older_obs_noise": -1.0}, "older_obs_noise must be 0 or above"),
        ({"hidden_obs": (-1,)}, "hidden_obs counts from 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(BadInput, match=message):
        dataclasses.replace(CONFIG, **changes)
