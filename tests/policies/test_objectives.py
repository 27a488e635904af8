"""Objectives: what the network is shown, what it should answer, how it decides."""

import numpy as np
import pytest
import torch
from torch import nn

from dp_bench import BadInput, Horizons
from dp_bench.policies.diffusion.config import (
    DiffusionConfig,
    MlpDiffusionConfig,
    TransformerDiffusionConfig,
    UnetDiffusionConfig,
)
from dp_bench.policies.diffusion.objectives import OBJECTIVES
from dp_bench.policies.diffusion.policy import (
    Diffusion,
    MlpDiffusion,
    TransformerDiffusion,
    UnetDiffusion,
)
from two_modes import decisions_between_two_modes

# Two diffusion steps, with .75 and .36 of the variance left to the actions.
SHARES = torch.tensor([0.75, 0.36])
ACTIONS = torch.tensor([[[0.5]]])


class Stub(nn.Module):
    """Answers .5 x + .1 t + .2 obs, so that every number can be computed by hand."""

    def forward(self, x, t, obs, dtype=None):
        return self.denoise(x, self.conditions(t, obs[:1])[:, 0])

    def conditions(self, t, obs):
        return 0.1 * t.float()[:, None, None, None] + 0.2 * obs

    def denoise(self, x, condition, dtype=None):
        return 0.5 * x + condition


class Stubborn(Diffusion):
    config_class = DiffusionConfig

    def make_network(self):
        return Stub()


def policy_with(**settings):
    settings = {"train_steps": 2, "sample_steps": 2} | settings
    config = DiffusionConfig(horizons=Horizons(1, 1, 1), **settings)
    policy = Stubborn(config, obs_dim=1, action_dim=1).eval()
    policy.alphas_bar.copy_(SHARES)
    return policy


def decide(policy, obs, *noise):
    noise = torch.tensor(noise).view(len(noise), 1, 1, 1)
    return policy.sample(torch.tensor([[[obs]]]), noise).item()


def fixed(monkeypatch, *, step=0, share=0.0, normal=0.0):
    """Makes the draws of a example known."""
    full = torch.full
    monkeypatch.setattr(torch, "randint", lambda n, size, **_: full(size, step))
    monkeypatch.setattr(torch, "rand", lambda *size, **_: full(size, share))
    monkeypatch.setattr(torch, "randn", lambda size, **_: full(tuple(size), normal))


def loss_of(policy):
    return policy.loss(torch.tensor([[[1.0]]]), ACTIONS, torch.Generator()).item()


def test_ddpm_by_hand(monkeypatch):
    fixed(monkeypatch, step=1, normal=2.0)
    # noisy = .6 * .5 + .8 * 2 = 1.9; answer = .95 + .1 + .2 = 1.25
    assert loss_of(policy_with()) == pytest.approx((1.25 - 2) ** 2)
    assert loss_of(policy_with(predicts="sample")) == pytest.approx((1.25 - 0.5) ** 2)


@pytest.mark.parametrize("sampler", ["ddim", "euler"])
def test_a_decision_of_ddpm_by_hand(sampler):
    # At step 1, x = .5: the answer .25 + .1 + .1 = .45 is the sample, and the noise is
    # (.5 - .6 * .45) / .8 = .2875. To step 0: sqrt(.75) * .45 + .5 * .2875 = .533461.
    # There the answer is .266731 + .1, and no noise is left.
    policy = policy_with(predicts="sample", sampler=sampler)
    assert decide(policy, 0.5, 0.5) == pytest.approx(0.366731, abs=1e-6)


def test_flow_by_hand(monkeypatch):
    fixed(monkeypatch, share=0.25, normal=2.0)
    flow = policy_with(objective="flow", sampler="euler")
    # between = .25 * .5 + .75 * 2 = 1.625, at time .5; answer = .8125 + .05 + .2
    assert loss_of(flow) == pytest.approx((1.0625 - (0.5 - 2)) ** 2)
    # From -1: slope -.5 + .1 = -.4, to -1.2; at time 1 slope -.6 + .1 + .1, to -1.4.
    assert decide(flow, 0.5, -1.0) == pytest.approx(-1.4)
    # Heun with three calls: slope -.4, trial -1.2, slope there -.4; then Euler.
    heun = policy_with(objective="flow", sampler="heun", sample_steps=2)
    assert decide(heun, 0.5, -1.0) == pytest.approx(-1.4)


def test_mip_by_hand(monkeypatch):
    fixed(monkeypatch, normal=2.0)
    mip = policy_with(objective="mip")
    # First pass: zeros at time 0, answer .2. Second pass: .5 + .1 * 2 = .7 at time
    # 1.8, answer .35 + .18 + .2 = .73.
    expected = (0.3 / 0.9) ** 2 + (0.23 / 0.1) ** 2
    assert loss_of(mip) == pytest.approx(expected)
    # The first guess is .1, and the second .05 + .18 + .1.
    assert decide(mip, 0.5) == pytest.approx(0.33)


def test_regression_by_hand():
    regression = policy_with(objective="regression")
    assert loss_of(regression) == pytest.approx(0.3**2)
    assert decide(regression, 0.5) == pytest.approx(0.1)


SMALL = {
    "unet": (
        UnetDiffusion,
        UnetDiffusionConfig,
        {"horizons": Horizons(1, 8, 16), "channels": (16, 32), "step_dim": 16},
    ),
    "transformer": (
        TransformerDiffusion,
        TransformerDiffusionConfig,
        {"horizons": Horizons(1, 8, 8), "width": 32, "layers": 2, "dropout": 0.0},
    ),
    "adaln": (
        TransformerDiffusion,
        TransformerDiffusionConfig,
        {
            "horizons": Horizons(1, 8, 8), "width": 32, "layers": 2, "dropout": 0.0,
            "conditioning": "adaln",
        },
    ),
    "mlp": (
        MlpDiffusion,
        MlpDiffusionConfig,
        {"horizons": Horizons(1, 8, 8), "width": 64, "blocks": 2, "step_dim": 16},
    ),
}  # fmt: skip


class Whole(nn.Module):
    """Runs a network as a whole at every call."""

    def __init__(self, network, obs):
        super().__init__()
        self.network, self.obs = network, obs

    def conditions(self, t, obs):
        return t

    def denoise(self, x, condition, dtype=None):
        return self.network(x, condition.expand(len(x)), self.obs, dtype)


def small(network, **settings):
    cls, config, sizes = SMALL[network]
    if settings.get("objective") == "flow":
        settings = {"sampler": "euler", "sample_steps": 8} | settings
    return cls, config(**sizes | settings)


@pytest.mark.parametrize("network", ["adaln", "mlp"])
def test_the_other_networks_keep_both_modes(network, tmp_path):
    x = decisions_between_two_modes(*small(network), tmp_path, 600)
    assert 0.3 < np.mean(x > 0) < 0.7
    assert np.median(np.abs(x)) == pytest.approx(300, rel=0.1)
    assert np.mean(np.abs(x) < 150) < 0.3


def test_flow_keeps_both_modes(tmp_path):
    x = decisions_between_two_modes(*small("unet", objective="flow"), tmp_path, 600)
    assert 0.3 < np.mean(x > 0) < 0.7
    assert np.median(np.abs(x)) == pytest.approx(300, rel=0.1)
    assert np.mean(np.abs(x) < 150) < 0.3


@pytest.mark.parametrize("objective", ["mip", "regression"])
def test_without_noise_a_decision_is_always_the_same(objective, tmp_path):
    """So a policy cannot keep both modes; regression decides between them."""
    x = decisions_between_two_modes(*small("unet", objective=objective), tmp_path, 300)
    assert np.ptp(x) < 1e-3
    if objective == "regression":
        assert np.all(np.abs(x) < 150)


@pytest.mark.parametrize("network", SMALL)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_decision_equals_calls_of_the_whole_network(network, objective):
    """What samplers compute once a decision changes nothing."""
    cls, config = small(network, objective=objective)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        policy = cls(config, obs_dim=3, action_dim=2).eval()
        policy.fit(torch.randn(9, 3), torch.randn(9, 2), torch.Generator())
        for p in policy.parameters():  # away from initial zeros
            torch.nn.init.normal_(p, std=0.1)
        obs = torch.randn(4, 1, 3)
        noise = torch.randn(policy.objective.draws, 4, config.horizons.prediction, 2)
    with torch.inference_mode():
        fast = policy.sample(obs, noise)
        policy.network = Whole(policy.network, obs)
        slow = policy.sample(obs, noise)
    torch.testing.assert_close(fast, slow, atol=2e-5, rtol=1e-5)


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(BadInput, match="needs the sampler heun or euler, got 'ddim'"):
        DiffusionConfig(objective="flow")
    with pytest.raises(BadInput, match="noise_draws must be 1, got 4"):
        DiffusionConfig(objective="regression", noise_draws=4)
    with pytest.raises(BadInput, match="eta is a setting of the sampler ddim"):
        DiffusionConfig(sampler="ddpm", eta=0.5)
    with pytest.raises(BadInput, match=r"eta must be in \[0, 1\], got 2"):
        DiffusionConfig(eta=2.0)
    with pytest.raises(BadInput, match="must be 0 with conditioning adaln, got 2"):
        TransformerDiffusionConfig(conditioning="adaln", condition_layers=2)
