"""Diffusion Policy against independent implementations of its parts."""

import numpy as np
import pytest
import torch

from dp_bench import BadInput, Horizons
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
from dp_bench.policies.diffusion.policy import UnetDiffusion
from dp_bench.policies.diffusion.schedule import diffusion_times
from dp_bench.policies.diffusion.transformer import Transformer
from textbook_unet import textbook_copy

SMALL = {"channels": (16, 32), "step_dim": 16}


def policy_with(**settings) -> UnetDiffusion:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = UnetDiffusionConfig(**SMALL | settings)
        policy = UnetDiffusion(config, obs_dim=3, action_dim=2).eval()
        policy.fit(torch.randn(9, 3), torch.randn(9, 2), torch.Generator())
        return policy


def test_one_step_gives_what_the_network_predicts_from_pure_noise():
    policy = policy_with(sample_steps=1, predicts="sample")
    noise, obs = torch.randn(1, 4, 16, 2), torch.randn(4, 2, 3)
    with torch.inference_mode():
        predicted = policy.network(noise[0], torch.full((4,), 99), obs)
        torch.testing.assert_close(policy.sample(obs, noise), predicted.clamp(-1, 1))
    with pytest.raises(BadInput, match="at least 2 where the network predicts"):
        policy_with(sample_steps=1, predicts="noise")


@pytest.mark.parametrize("spacing", ["uniform", "quadratic"])
def test_every_count_of_steps_begins_noisy_and_repeats_no_step(spacing):
    for count in range(1, 101):
        times = diffusion_times(count, 100, spacing)
        assert len(times) == count
        assert times == sorted(set(times), reverse=True)
        assert 90 <= times[0] <= 99 or (spacing == "uniform" and 100 % count == 0)
        assert times[-1] >= 0
    assert diffusion_times(5, 100, "quadratic") == [99, 56, 25, 6, 0]


def test_the_counts_of_presets_keep_the_published_spacing():
    assert diffusion_times(4, 100) == [75, 50, 25, 0]
    assert diffusion_times(10, 100) == [*range(90, -1, -10)]
    assert diffusion_times(16, 100) == [*range(90, -1, -6)]
    assert diffusion_times(100, 100) == [*range(99, -1, -1)]


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_time_convolution_equals_that_of_torch(size, stride):
    """Forward and backward, in double precision."""
    from dp_bench.policies.diffusion.unet import TimeConv

    torch.manual_seed(0)
    ours = TimeConv(4, 6, size, stride=stride if size > 1 else 1).double()
    kernel = ours.weight.detach().view(6, size, 4).transpose(1, 2).requires_grad_()
    x = torch.randn(3, 8, 4, dtype=torch.double, requires_grad=True)
    y = ours(x)
    expected = torch.nn.functional.conv1d(
        x.transpose(1, 2), kernel, ours.bias, ours.stride, size // 2
    ).transpose(1, 2)
    torch.testing.assert_close(y, expected)
    weights = torch.randn_like(y)
    grads = torch.autograd.grad((y * weights).sum(), [x, ours.weight])
    theirs = torch.autograd.grad((expected * weights).sum(), [x, kernel])
    torch.testing.assert_close(grads[0], theirs[0])
    torch.testing.assert_close(grads[1].view(6, size, 4).transpose(1, 2), theirs[1])


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(BadInput, match="multiple of 4"):
        UnetDiffusionConfig(horizons=Horizons(2, 8, 18), channels=(16, 32, 64))
    with pytest.raises(BadInput, match="sample_steps"):
        UnetDiffusionConfig(sample_steps=101)
    with pytest.raises(BadInput, match="groups"):
        policy_with(channels=(20, 32))


def test_the_unet_equals_a_textbook_unet():
    """The same weights give the same output and the same gradient of the input."""
    config = UnetDiffusionConfig(channels=(16, 32, 64), step_dim=16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        policy = UnetDiffusion(config, obs_dim=3, action_dim=2)
        book = textbook_copy(policy.network, 2, 6, config)
        x = torch.randn(4, 16, 2, requires_grad=True)
        t, obs = torch.tensor([0, 7, 50, 99]), torch.randn(4, 6)
    ours, theirs = policy.network(x, t, obs), book(x, t, obs)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    grads = [torch.autograd.grad(y.square().sum(), x)[0] for y in (ours, theirs)]
    torch.testing.assert_close(*grads, atol=1e-4, rtol=1e-4)
    half = policy.network(x, t, obs, torch.bfloat16)
    assert (half - ours).abs().max().item() < 0.05


def test_one_lane_decides_as_a_batch_does():
    """One lane replays a recording, which follows when other weights are loaded."""
    policy, other = policy_with(), policy_with()
    obs = np.random.default_rng(0).normal(size=(1, 2, 3)).astype(np.float32)

    def decide(policy, lanes):
        policy.reset([7] * lanes)
        return policy.act(np.repeat(obs, lanes, axis=0))[0]

    np.testing.assert_allclose(decide(policy, 1), decide(policy, 3), atol=1e-5)
    with torch.no_grad():
        for p in other.parameters():
            p.mul_(1.1)
    policy.load_state_dict(other.state_dict())
    np.testing.assert_array_equal(decide(policy, 1), decide(other, 1))


@pytest.mark.parametrize(
    ("layers", "causal", "leaks"),
    [(0, False, False), (2, False, True), (2, True, False)],
)
def test_an_action_sees_later_observations_only_without_a_causal_encoder(
    layers, causal, leaks
):
    """An encoder that is not causal shows all observations to each other."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Transformer(
            2, 3, obs_steps=2, steps=2, width=16, layers=1,
            condition_layers=layers, causal=causal,
        ).eval()  # fmt: skip
        x, obs, t = torch.randn(4, 2, 2), torch.randn(4, 2, 3), torch.arange(4)
    later = obs.clone()
    later[:, 1] += 1
    with torch.inference_mode():
        before, after = network(x, t, obs), network(x, t, later)
    assert not torch.allclose(before[:, 1], after[:, 1], atol=1e-6)
    assert torch.allclose(before[:, 0], after[:, 0], atol=1e-6) == (not leaks)
