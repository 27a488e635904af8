"""Policies with an encoder: what `encode` and `act` do to images and vectors."""

import dataclasses

import looking
import numpy as np
import pytest
import torch

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
from dp_bench.policies.diffusion.policy import UnetDiffusion
from dp_bench.policies.observations import Observation
from dp_bench.runs.folder import new_policy
from dp_bench.training.config import Training
from dp_bench.training.loop import prepare


@pytest.fixture(params=registry.METHODS)
def policy(request):
    training = looking.PRESETS[request.param].training
    given = looking.policy(request.param), looking.rows(20), training
    return prepare(*given, train_seed=0, device="cpu").state.policy.eval()


def histories(policy, lanes=3, seed=0):
    rng, shape = np.random.default_rng(seed), (lanes, policy.horizons.obs)
    return {
        "image": rng.integers(0, 256, (*shape, 32, 32, 3), np.uint8),
        "hand": rng.uniform(-1, 1, (*shape, 1)).astype(np.float32),
    }


def test_actions_have_the_executed_shape(policy):
    policy.reset(range(3))
    actions = policy.act(histories(policy))
    assert actions.shape == (3, policy.horizons.action, 2)
    assert np.isfinite(actions).all()


def test_a_decision_depends_on_its_own_lane_only(policy):
    obs = histories(policy)
    policy.reset([7, 8, 9])
    together = policy.act(obs)
    policy.reset([8])
    alone = policy.act({key: array[1:2] for key, array in obs.items()})
    np.testing.assert_allclose(alone[0], together[1], atol=1e-4)


def test_keys_that_a_policy_does_not_know_do_not_matter(policy):
    obs = histories(policy)
    policy.reset(range(3))
    actions = policy.act(obs)
    policy.reset(range(3))
    again = policy.act({"unused": np.zeros(1), **dict(reversed(obs.items()))})
    np.testing.assert_array_equal(again, actions)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hand": None}, "lacks 'hand'"),
        ({"hand": np.zeros((3, 2, 5), np.float32)}, r"'hand' has shape \(5,\)"),
        ({"hand": np.full((3, 2, 1), np.nan)}, "not finite"),
        (
            {"image": np.zeros((3, 2, 32, 31, 3), np.uint8)},
            r"'image' has shape \(32, 31, 3\).*trained on \(32, 32, 3\)",
        ),
        ({"image": np.zeros((3, 2, 32, 32, 3))}, "'image' must be uint8"),
        ({"image": np.zeros((3, 1, 32, 32, 3), np.uint8)}, r"\(B, To\) = \(3, 2\)"),
    ],
)
def test_an_observation_that_does_not_fit_is_refused(change, message):
    policy = looking.policy("dp_c").eval()
    policy.reset(range(3))
    obs = histories(policy) | change
    obs = {key: array for key, array in obs.items() if array is not None}
    with pytest.raises(BadInput, match=message):
        policy.act(obs)


def test_one_array_is_refused_where_a_dictionary_is_needed():
    policy = looking.policy("dp_c").eval()
    policy.reset([0])
    with pytest.raises(BadInput, match="a dictionary with image, hand, got ndarray"):
        policy.act(np.zeros((1, 2, 17), np.float32))


def test_an_encoder_of_another_number_of_features_is_refused():
    config = UnetDiffusionConfig(channels=(8, 16), step_dim=8)
    other = UnetDiffusion(config, obs_dim=5, action_dim=2)
    with pytest.raises(BadInput, match=r"5 observed numbers .* 17 features"):
        other.see_with(looking.policy("dp_c").encoder)


def test_vectors_are_normalised_and_images_are_not(policy):
    obs = looking.rows(20)[0]
    assert policy.obs_normalizer.scale.shape == (1,)
    vectors = torch.as_tensor(obs["hand"])
    normalized = policy.obs_normalizer(vectors)
    assert normalized.amin() == -1.0
    assert normalized.amax() == 1.0
    images = torch.as_tensor(obs["image"][None, :5])
    seen = Observation({"image": images}, normalized[None, :5])
    features = policy.encode(seen)
    assert features.shape == (1, 5, policy.obs_dim)
    torch.testing.assert_close(features[..., -1:], normalized[None, :5])


def test_encoding_leaves_one_array_as_it_is():
    config = UnetDiffusionConfig(channels=(8, 16), step_dim=8)
    plain = UnetDiffusion(config, obs_dim=5, action_dim=2)
    obs = torch.rand(3, 2, 5)
    assert plain.encode(obs, torch.Generator()) is obs


def test_observation_noise_moves_vectors_and_no_feature_of_an_image():
    settings = looking.PRESETS["dp_c"]
    config = dataclasses.replace(settings.policy, obs_noise=0.1)
    policy = new_policy(
        UnetDiffusion,
        config,
        obs_dim=looking.VISION.features_of(looking.SPEC),
        action_dim=2,
        observation=looking.SPEC,
        vision=dataclasses.replace(looking.VISION, crop=1.0),
    ).train()
    images = torch.randint(0, 255, (4, 2, 32, 32, 3), dtype=torch.uint8)
    seen = Observation({"image": images}, torch.zeros(4, 2, 1))
    quiet = policy.encode(seen)
    noisy = policy.encode(seen, torch.Generator().manual_seed(0))
    torch.testing.assert_close(noisy[..., :-1], quiet[..., :-1])
    assert 0.05 < noisy[..., -1:].std() < 0.2
    features = torch.rand(4, 2, 17)
    assert policy.disturbed(features, torch.Generator()) is features


def test_several_noise_draws_give_the_mean_loss_of_single_draws():
    """With K draws the loss is the mean over K independent pairs of noise and step."""
    torch.manual_seed(0)
    one = UnetDiffusion(
        UnetDiffusionConfig(channels=(8, 16), step_dim=8), obs_dim=3, action_dim=2
    ).eval()
    many = UnetDiffusion(
        UnetDiffusionConfig(channels=(8, 16), step_dim=8, noise_draws=6),
        obs_dim=3,
        action_dim=2,
    ).eval()
    generator = torch.Generator().manual_seed(0)
    one.fit(torch.rand(9, 3), torch.rand(9, 2), generator)
    many.load_state_dict(one.state_dict())
    obs, actions = torch.rand(5, 2, 3), torch.rand(5, 16, 2)
    repeated = one.loss(
        obs.repeat(6, 1, 1), actions.repeat(6, 1, 1), generator.manual_seed(1)
    )
    assert torch.equal(many.loss(obs, actions, generator.manual_seed(1)), repeated)
    with torch.no_grad():
        losses = [one.loss(obs, actions, generator) for _ in range(300)]
        draws = [many.loss(obs, actions, generator) for _ in range(100)]
    singles, means = torch.stack(losses), torch.stack(draws)
    assert means.mean() == pytest.approx(float(singles.mean()), rel=0.05)
    assert means.std() < 0.6 * singles.std()


@pytest.mark.parametrize("draws", [0, -1, 1001])
def test_a_number_of_noise_draws_out_of_range_is_refused(draws):
    with pytest.raises(BadInput, match=f"noise_draws must be in 1..1000, got {draws}"):
        UnetDiffusionConfig(noise_draws=draws)


def test_a_decision_encodes_once(policy, monkeypatch):
    calls = []
    forward = type(policy.encoder).forward
    monkeypatch.setattr(
        type(policy.encoder),
        "forward",
        lambda self, *given: calls.append(1) or forward(self, *given),
    )
    policy.reset(range(3))
    policy.act(histories(policy))
    assert len(calls) == 1


def test_an_update_encodes_once(monkeypatch):
    training = Training(updates=2, batch_size=4, warmup=0)
    updater = prepare(
        looking.policy("dp_c"), looking.rows(20), training, train_seed=0, device="cpu"
    )
    calls = []
    encode = UnetDiffusion.encode
    monkeypatch.setattr(
        UnetDiffusion,
        "encode",
        lambda self, *given: calls.append(1) or encode(self, *given),
    )
    updater.step()
    assert len(calls) == 1
