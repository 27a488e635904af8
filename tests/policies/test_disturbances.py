"""Settings against copying: what they do to observations and to decisions."""

import dataclasses

import looking
import numpy as np
import pytest
import torch

from dp_bench.baselines.bet import BetConfig
from dp_bench.baselines.ibc import IbcConfig
from dp_bench.baselines.lstm_gmm import LstmGmmConfig
from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.base import Policy
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
from dp_bench.policies.diffusion.policy import UnetDiffusion
from dp_bench.policies.observations import ObsConfig, Observation
from dp_bench.policies.vision.encoder import Encoder
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
@pytest.mark.parametrize(
    ("config", "horizons"),
    [
        (IbcConfig, Horizons(1, 1, 1)),
        (BetConfig, Horizons(1, 1, 1)),
        (LstmGmmConfig, Horizons(1, 1, 1)),
        (UnetDiffusionConfig, Horizons(1, 4, 8)),
    ],
)
def test_without_older_observations_there_are_none_to_disturb(config, horizons, name):
    with pytest.raises(BadInput, match=rf"{name} is 0.1, .* no older one; set it to 0"):
        config(horizons=horizons, **{name: 0.1})


def test_a_method_of_another_package_refuses_it_too():
    @dataclasses.dataclass(frozen=True)
    class Config(ObsConfig):
        horizons: Horizons = CONFIG.horizons

    one = Horizons(1, 1, 1)
    with pytest.raises(BadInput, match="no older one"):
        Policy(Config(obs_dropout=0.1, horizons=one), obs_dim=3, action_dim=2)


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
    of_policy = {k: v for k, v in changes.items() if k != "keyframe_weight"}
    of_training = {k: v for k, v in changes.items() if k == "keyframe_weight"}

    def policy():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            config = dataclasses.replace(CONFIG, **of_policy)
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


def test_a_hidden_number_gets_no_noise():
    policy = policy_with(hidden_obs=(0, 2), obs_noise=0.1, older_obs_noise=0.1)
    policy.fit(torch.randn(20, 3), torch.randn(20, 2), torch.Generator())
    obs, seen = disturbed(policy)
    noise = (seen - obs).abs().amax((0, 1))
    assert noise[1] > 0.1
    assert not noise[[0, 2]].any()


def test_an_observation_must_hold_the_numbers_to_hide():
    config = dataclasses.replace(CONFIG, hidden_obs=(1, 3))
    with pytest.raises(BadInput, match=r"hidden_obs is \(1, 3\), .* indices 0 to 2"):
        UnetDiffusion(config, obs_dim=3, action_dim=2)


def looking_policy(**changes):
    encoder = Encoder(looking.VISION, looking.SPEC)
    config = dataclasses.replace(CONFIG, **changes)
    policy = UnetDiffusion(config, obs_dim=encoder.features, action_dim=2)
    policy.see_with(encoder)
    return policy.train()


def test_beside_images_vectors_get_noise_and_features_are_dropped():
    policy = looking_policy(older_obs_noise=0.1, obs_dropout=0.5)
    images = {"image": torch.zeros(200, 2, 32, 32, 3, dtype=torch.uint8)}
    seen = Observation(images, torch.ones(200, 2, 1))
    features = policy.encode(seen, torch.Generator().manual_seed(0))
    hands = features[..., -1]
    assert hands[:, 0].std() > 0.05
    assert (hands[:, 1] == 1).all()
    disturbed = policy.disturbed(features, torch.Generator().manual_seed(0))
    assert torch.equal(disturbed[:, 1], features[:, 1])
    dropped = (disturbed[:, 0] == 0).all(-1)
    assert 0.3 < dropped.float().mean() < 0.7
    assert torch.equal(disturbed[~dropped], features[~dropped])


def test_only_vectors_beside_images_can_be_hidden():
    with pytest.raises(BadInput, match=r"hidden_obs is \(1,\), .* indices 0 to 0"):
        looking_policy(hidden_obs=(1,))


class Ramps(UnetDiffusion):
    """Predicts a number that rises by 1 a step, from a level drawn from the noise.

    The level is -40 or 40 and says which of two plans a sequence follows.
    """

    def predict(self, obs, generators):
        draws = [torch.randn((), generator=g).sign() for g in generators]
        steps = torch.arange(self.horizons.prediction) - (self.horizons.obs - 1)
        now = obs[:, -1, :1, None] + steps[None, :, None]  # (B, Tp, 1)
        return 0.01 * (now + 40 * torch.stack(draws)[:, None, None]).expand(-1, -1, 2)


def plans(samples, decisions=6, lanes=40, horizons=CONFIG.horizons):
    """The level that each lane follows in each decision, `(lanes, decisions)`.

    The environment counts executed steps, so only a sequence of the same plan agrees
    with the past, step by step.
    """
    config = dataclasses.replace(CONFIG, past_samples=samples, horizons=horizons)
    policy = Ramps(config, obs_dim=3, action_dim=2).eval()
    policy.obs_normalizer.scale.fill_(1.0)
    policy.reset(range(lanes))
    taken = []
    for k in range(decisions):
        now = np.full((lanes, horizons.obs, 3), float(k * horizons.action))
        taken.append(policy.act(now)[:, 0, 0] - 0.01 * k * horizons.action)
    return np.sign(taken).T


@pytest.mark.parametrize("horizons", [CONFIG.horizons, Horizons(3, 1, 8)])
def test_samples_that_agree_with_the_past_keep_to_one_plan(horizons):
    """The first decision is free; with enough draws the others follow it."""
    taken = plans(20, horizons=horizons)
    assert (taken == taken[:, :1]).all()
    assert 0.2 < (taken[:, 0] > 0).mean() < 0.8
    free = plans(1, horizons=horizons)
    assert (free != free[:, :1]).any(axis=1).mean() > 0.8


def test_a_sequence_must_agree_in_the_steps_that_were_executed():
    """Of sequences at several levels, the one with the executed numbers is nearest."""

    class Levels(UnetDiffusion):
        def predict(self, obs, generators):
            levels = [torch.randn((), generator=g) for g in generators]
            steps = torch.arange(self.horizons.prediction)
            ramp = torch.stack(levels)[:, None, None] + 0.1 * steps[None, :, None]
            return ramp.expand(-1, -1, 2)

    config = dataclasses.replace(CONFIG, horizons=Horizons(3, 1, 8), past_samples=200)
    policy = Levels(config, obs_dim=3, action_dim=2).eval()
    memory = [torch.tensor([[0.1, 0.1], [0.2, 0.2]])]
    generator = torch.Generator().manual_seed(0)
    (sequence,) = policy.predict_from(torch.zeros(1, 3, 3), [generator], memory)
    assert (sequence[:2, 0] - torch.tensor([0.1, 0.2])).abs().max() < 0.02
    assert memory[0][0, 0] == pytest.approx(0.2)  # then what it executes now
    assert torch.equal(memory[0][1], sequence[2])


def test_a_lane_draws_its_samples_whatever_the_other_lanes_do():
    np.testing.assert_array_equal(plans(4, lanes=7), plans(4, lanes=20)[:7])


def test_a_lane_that_begins_again_is_free_and_leaves_the_others_alone():
    config = dataclasses.replace(CONFIG, past_samples=20)
    policy = Ramps(config, obs_dim=3, action_dim=2).eval()

    def play(restarts):
        policy.reset([1, 2, 3])
        taken = []
        for k in range(3):
            if restarts and k == 1:
                policy.restart(1, 7)
            taken.append(policy.act(np.full((3, 2, 3), 4.0 * k))[:, 0, 0])
        return np.array(taken)

    alone, restarted = play(False), play(True)
    np.testing.assert_array_equal(restarted[:, [0, 2]], alone[:, [0, 2]])
    policy.reset([7])
    first = policy.act(np.full((1, 2, 3), 4.0))[:, 0, 0]
    np.testing.assert_array_equal(restarted[1, 1], first[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"past_samples": 0}, "past_samples must be in 1"),
        ({"past_samples": 4, "horizons": Horizons(1, 4, 8)}, "holds no past action"),
        ({"past_samples": 4, "objective": "mip"}, "mip draws no noise"),
        ({"obs_dropout": 1.0}, r"obs_dropout must be in \[0, 1\)"),
        ({"older_obs_noise": -1.0}, "older_obs_noise must be 0 or above"),
        ({"hidden_obs": (-1,)}, "hidden_obs must hold indices of 0 or more"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(BadInput, match=message):
        dataclasses.replace(CONFIG, **changes)
