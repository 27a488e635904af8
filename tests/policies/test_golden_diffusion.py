"""Diffusion Policy against published implementations, with their random weights."""

import numpy as np
import pytest
import torch

from dp_bench import BadInput
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
from dp_bench.policies.diffusion.policy import UnetDiffusion
from dp_bench.policies.published import reference_network
from dp_bench.training.config import ema_decay


def load(path):
    with np.load(path) as file:
        return dict(file)


def weights_of(golden):
    return {k[2:]: v for k, v in golden.items() if k.startswith("w/")}


@pytest.mark.parametrize("training", [True, False])
def test_the_unet_equals_the_published_one(shared, training):
    golden = load(shared / "golden" / "unet1d_film.npz")
    network = reference_network(
        "unet1d", weights_of(golden), n_groups=int(golden["n_groups"])
    )
    inputs = [torch.tensor(golden[n]) for n in ("noisy_actions", "timesteps", "obs")]
    with torch.set_grad_enabled(
        training
    ):  # training and inference use different kernels
        out = network(*inputs).detach().numpy()
    np.testing.assert_allclose(out, golden["out"], atol=1e-5)


@pytest.mark.parametrize("name", ["transformer_decoder", "transformer_decoder_cond2"])
@pytest.mark.parametrize("training", [True, False])
def test_the_transformer_equals_the_published_one(shared, name, training):
    golden = load(shared / "golden" / f"{name}.npz")
    network = reference_network(
        "transformer", weights_of(golden), n_head=int(golden["n_head"])
    )
    x, t, obs = (torch.tensor(golden[n]) for n in ("noisy_actions", "timesteps", "obs"))
    with torch.set_grad_enabled(training):
        out = network(x, t, obs).detach().numpy()
    np.testing.assert_allclose(out, golden["out"], atol=1e-5)
    with torch.inference_mode():  # the sampler's way: conditions first
        conditions = network.conditions(t, obs)
        for k in range(len(t)):
            eps = network.denoise(x, conditions[k])[k].numpy()
            np.testing.assert_allclose(eps, golden["out"][k], atol=1e-5)


def test_a_decision_equals_the_published_one(shared):
    golden = load(shared / "golden" / "dp_c_ddim10.npz")
    config = UnetDiffusionConfig(
        channels=tuple(int(c) for c in golden["down_dims"]),
        step_dim=16,
        sampler="ddim",
        sample_steps=10,
    )
    policy = UnetDiffusion(config, obs_dim=5, action_dim=2)
    policy.network = reference_network("unet1d", weights_of(golden))
    obs, actions = (torch.tensor(golden[n]) for n in ("fit_obs", "fit_action"))
    policy.fit(obs, actions, torch.Generator())
    seen = policy.obs_normalizer(torch.tensor(golden["obs"]))
    np.testing.assert_allclose(seen.numpy(), golden["norm_obs"], atol=1e-6)
    with torch.inference_mode():
        predicted = policy.sample(seen, torch.tensor(golden["start_noise"])[None])
        in_units = policy.action_normalizer.inverse(predicted).numpy()
    scale = float(policy.action_normalizer.scale.max())  # compare in [-1, 1]
    np.testing.assert_allclose(
        in_units * scale, golden["action_pred"] * scale, atol=1e-5
    )
    executed = in_units[:, config.horizons.executed]
    np.testing.assert_allclose(executed * scale, golden["action"] * scale, atol=1e-5)


def test_the_decay_of_the_average_equals_the_published_one(shared):
    golden = load(shared / "golden" / "ema_decay.npz")
    ours = [ema_decay(int(s)) for s in golden["steps"]]
    np.testing.assert_allclose(ours, golden["decay"], atol=1e-5)


def test_weights_that_do_not_fit_are_refused(shared):
    golden = load(shared / "golden" / "unet1d_film.npz")
    weights = weights_of(golden)
    with pytest.raises(BadInput, match="transformers"):
        reference_network("transformers", weights)
    with pytest.raises(BadInput, match="no place"):
        reference_network("unet1d", weights | {"extra.weight": np.zeros(3)})
    del weights["final_conv.1.bias"]
    with pytest.raises(BadInput, match=r"final_conv\.1\.bias"):
        reference_network("unet1d", weights)
