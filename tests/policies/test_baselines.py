"""What distinguishes each method: its modes, its memory, its search, its clusters."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from dp_bench import BadInput, Horizons, references, registry
from dp_bench.baselines.bet import Bet, BetConfig, nearest
from dp_bench.baselines.ibc import Ibc, IbcConfig
from dp_bench.baselines.lstm_gmm import LstmGmm, LstmGmmConfig
from dp_bench.policies.base import Policy
from dp_bench.policies.diffusion.config import (
    TransformerDiffusionConfig,
    UnetDiffusionConfig,
)
from dp_bench.policies.layers import _attend_to_few, dropout, masked
from dp_bench.runs.folder import RunFolder
from dp_bench.training.config import Training
from dp_bench.training.log import read_log
from dp_bench.training.loop import train
from two_modes import decisions_between_two_modes, fresh

SMALL = {
    "dp_c": UnetDiffusionConfig(
        horizons=Horizons(1, 8, 16), channels=(16, 32), step_dim=16
    ),
    "dp_t": TransformerDiffusionConfig(
        horizons=Horizons(1, 8, 8), width=32, layers=2, dropout=0.0
    ),
    "lstm_gmm": LstmGmmConfig(hidden=16, layers=1),
    "ibc": IbcConfig(
        horizons=Horizons(1, 1, 1), hidden=64, layers=2, dropout=0.0, negatives=64,
        candidates=256,
    ),
    "bet": BetConfig(
        horizons=Horizons(1, 1, 1), clusters=4, width=16, heads=2, layers=1,
        dropout=0.0,
    ),
}  # fmt: skip


class Regression(Policy):
    """Plain behaviour cloning, which predicts the mean action."""

    def __init__(self, config, *, obs_dim, action_dim):
        super().__init__(config, obs_dim=obs_dim, action_dim=action_dim)
        self.network = nn.Linear(obs_dim, action_dim)

    def loss(self, obs, actions, generator):
        return (self.network(obs) - actions).square().mean()

    def predict(self, obs, generators):
        return self.network(obs)


@pytest.mark.parametrize("method", SMALL)
def test_every_method_keeps_both_modes(method, tmp_path):
    cls = references.load(registry.method(method).policy)
    # IBC resamples by its scores several times, and so chooses a mode with slightly
    # higher scores much more often. It must still choose both.
    lowest, lr = (0.1, 1e-3) if method == "ibc" else (0.3, 3e-3)
    x = decisions_between_two_modes(cls, SMALL[method], tmp_path, 600, lr)
    assert lowest < np.mean(x > 0) < 1 - lowest
    assert np.median(np.abs(x)) == pytest.approx(300, rel=0.1)
    assert np.mean(np.abs(x) < 150) < 0.3


def test_a_regression_averages_the_modes(tmp_path):
    config = dataclasses.replace(SMALL["lstm_gmm"], horizons=Horizons(1, 1, 1))
    x = decisions_between_two_modes(Regression, config, tmp_path, 300)
    assert np.mean(np.abs(x) < 150) == 1.0  # between the two, where nobody went


def test_langevin_search_keeps_both_modes(tmp_path):
    config = dataclasses.replace(
        SMALL["ibc"], search="langevin", langevin_steps=10, negatives=16, candidates=64
    )
    x = decisions_between_two_modes(Ibc, config, tmp_path, 300)
    assert 0.2 < np.mean(x > 0) < 0.8
    assert np.mean(np.abs(x) < 150) < 0.3


def test_langevin_search_works_in_validation(tmp_path):
    """It needs gradients there too, although nothing is trained."""
    config = dataclasses.replace(
        SMALL["ibc"], search="langevin", langevin_steps=3, negatives=4, candidates=4
    )
    rng = np.random.default_rng(0)
    data = rng.normal(size=(60, 3)), rng.normal(size=(60, 1)), np.array([30, 60])
    training = Training(
        updates=4, batch_size=8, warmup=0, log_every=2, validate_every=2
    )
    folder = RunFolder(tmp_path)
    train(fresh(Ibc, config), data, data, training, train_seed=0, folder=folder)
    errors = [line.val_action_error for line in read_log(folder.log)]
    assert len(errors) == 2
    assert all(error > 0 for error in errors)


def test_the_hidden_state_is_carried_and_reset():
    """The state is reset before every tenth decision, counted in each lane."""
    config = LstmGmmConfig(hidden=8, layers=2, modes=1)
    policy = fresh(LstmGmm, config, action_dim=2).eval()
    rng = np.random.default_rng(0)
    policy.fit(torch.randn(50, 3), torch.randn(50, 2), torch.Generator())
    stream = rng.normal(size=(25, 3)).astype(np.float32)

    def play(policy, rows):
        return np.array([policy.act(stream[None, None, r])[0, 0] for r in rows])

    policy.reset([3])
    whole = play(policy, range(25))
    for first in (10, 20):
        policy.reset([3])
        apart = play(policy, range(first, min(first + 10, 25)))
        # the draws differ by the small standard deviation used in evaluation
        np.testing.assert_allclose(apart, whole[first : first + 10], atol=5e-3)
    policy.reset([3])
    assert (
        np.abs(play(policy, [12])[0] - whole[12]).max() > 5e-3
    )  # it remembers earlier observations

    policy.reset([3, 4])
    for r in range(4):
        policy.act(np.stack([stream[r], stream[r]])[:, None])
    policy.restart(1, 5)
    both = [policy.act(np.stack([stream[r]] * 2)[:, None]) for r in range(4, 10)]
    policy.reset([3])
    alone = play(policy, range(10))
    np.testing.assert_allclose([b[0, 0] for b in both], alone[4:], atol=5e-3)
    policy.reset([5])
    late = play(policy, range(4, 10))
    np.testing.assert_allclose([b[1, 0] for b in both], late, atol=1e-5)


def test_only_matrices_decay():
    config = TransformerDiffusionConfig(width=8, heads=2, layers=1)
    policy = fresh(references.load(registry.method("dp_t").policy), config)
    decayed, rest = policy.parameter_groups(0.1)
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.1, 0.0)
    names = {id(p): name for name, p in policy.named_parameters()}
    given = [id(p) for p in decayed["params"] + rest["params"]]
    assert sorted(given) == sorted(names)  # each once
    kept = {names[id(p)] for p in rest["params"]}
    assert all("bias" in n or "norm" in n or "positions" in n for n in kept), kept
    assert {"network.positions", "network.norm.weight"} <= kept


def test_a_dimension_that_holds_only_noise_is_not_scaled():
    """Otherwise the noise of a sensor at rest would look like a signal."""
    config = dataclasses.replace(SMALL["bet"], obs_min_range=0.05)
    policy = Bet(config, obs_dim=2, action_dim=2)
    obs = torch.tensor([[0.0, 3.0], [1.0, 3.04]]).repeat(20, 1)
    actions = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    policy.fit(obs, actions, torch.Generator().manual_seed(0))
    seen = policy.obs_normalizer(obs[:2])
    torch.testing.assert_close(seen, torch.tensor([[-1.0, -0.02], [1.0, 0.02]]))


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_observation_noise_is_added_in_training_only(scale):
    config = dataclasses.replace(SMALL["bet"], obs_noise=0.1, obs_scale=scale)
    policy, obs = fresh(Bet, config), torch.zeros(1000, 1, 3)
    assert torch.equal(policy.eval().disturbed(obs, torch.Generator()), obs)
    noise = policy.train().disturbed(obs, torch.Generator().manual_seed(0))
    assert noise.std().item() == pytest.approx(0.1 * scale, rel=0.05)


class GaussianScore(nn.Module):
    """Scores actions by a Gaussian with mean 0.3 and standard deviation 0.2."""

    def forward(self, obs, actions, dtype=None):
        return -0.5 * ((actions[..., 0] - 0.3) / 0.2) ** 2


@pytest.mark.parametrize(("rounds", "width"), [(0, 0.2), (3, 0.1)])
def test_each_round_of_the_search_sharpens_its_draws(rounds, width):
    """n rounds without noise draw from the density to the power of n + 1."""
    config = dataclasses.replace(
        SMALL["ibc"], rounds=rounds, round_noise=0.0, candidates=2000
    )
    policy = fresh(Ibc, config).eval()
    policy.network = GaussianScore()
    generators = [torch.Generator().manual_seed(k) for k in range(400)]
    with torch.inference_mode():
        x = policy.predict(torch.zeros(400, 1, 3), generators)[:, 0, 0]
    assert x.mean().item() == pytest.approx(0.3, abs=4 * width / 20)
    assert x.std().item() == pytest.approx(width, rel=0.15)


def test_k_means_finds_the_clusters_and_offsets_restore_the_actions():
    config = dataclasses.replace(SMALL["bet"], clusters=3)
    policy = fresh(Bet, config, action_dim=2)
    corners = torch.tensor([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]])
    actions = corners.repeat(20, 1) + 0.1 * torch.randn(60, 2)
    policy.fit(torch.randn(60, 3), actions, torch.Generator().manual_seed(0))
    centers = policy.action_normalizer.inverse(policy.centers)
    centers = centers[(centers.sum(1)).argsort()]
    torch.testing.assert_close(centers, corners, atol=0.2, rtol=0)
    normalized = policy.action_normalizer(actions)
    cluster, offset = nearest(normalized, policy.centers)
    torch.testing.assert_close(policy.centers[cluster] + offset, normalized)
    assert (torch.bincount(cluster) == 20).all()


def test_more_clusters_than_actions_are_refused():
    policy = fresh(Bet, SMALL["bet"])
    with pytest.raises(BadInput, match=r"4 clusters need .* hold 2"):
        policy.fit(
            torch.randn(10, 3), torch.tensor([[1.0], [2.0]] * 5), torch.Generator()
        )


@pytest.mark.parametrize(
    ("cls", "settings", "words"),
    [
        (BetConfig, {"horizons": Horizons(3, 2, 4)}, "horizons.action must be 1"),
        (BetConfig, {"width": 10, "heads": 4}, "multiple of heads"),
        (IbcConfig, {"horizons": Horizons(2, 1, 8)}, "horizons.prediction must be"),
        (IbcConfig, {"langevin_rate": (0.1, 0.2)}, "must fall"),
        (LstmGmmConfig, {"horizons": Horizons(2, 1, 10)}, "must be 1"),
        (LstmGmmConfig, {"std": 0.0}, "std must be above 0"),
        (TransformerDiffusionConfig, {"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        (TransformerDiffusionConfig, {"width": 9, "heads": 3}, "width must be even"),
        (TransformerDiffusionConfig, {"causal": True}, "needs condition_layers"),
        (BetConfig, {"obs_scale": 0.0}, "obs_scale must be above 0"),
        (IbcConfig, {"obs_scale": float("nan")}, "obs_scale must be above 0"),
        (BetConfig, {"obs_min_range": -1.0}, "obs_min_range must be 0 or above"),
        (TransformerDiffusionConfig, {"obs_noise": float("nan")}, "obs_noise"),
        (BetConfig, {"focal_gamma": 0.5}, "focal_gamma must be 0 or at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(cls, settings, words):
    with pytest.raises(BadInput, match=words):
        cls(**settings)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(share):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = torch.ones(1000, 1001, requires_grad=True)
        y = dropout(x, share)
        assert (y == 0).float().mean().item() == pytest.approx(share, abs=0.002)
        assert y.mean().item() == pytest.approx(1, abs=0.003)
        y.sum().backward()
        assert torch.equal(x.grad, y.detach())
        columns = (
            (y == 0).float().mean(0)
        )  # no column is dropped more often than others
        assert columns.max().item() < share + 6 * (share / 1000) ** 0.5


@pytest.mark.parametrize(("steps", "seen"), [(1, 1), (2, 2), (2, 3), (2, 4)])
def test_attention_to_few_tokens_equals_that_of_torch(steps, seen):
    generator = torch.Generator().manual_seed(0)
    shape = (5, 4, steps, 6), (5, 4, seen, 6), (5, 4, seen, 6)
    q, k, v = (torch.randn(s, generator=generator, requires_grad=True) for s in shape)
    mask = masked(torch.arange(seen) <= torch.arange(steps)[:, None])
    push = torch.randn(shape[0], generator=generator)
    ours = _attend_to_few(q, k, v, mask)
    theirs = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(ours, theirs)
    for one, other in zip(
        torch.autograd.grad(ours, (q, k, v), push),
        torch.autograd.grad(theirs, (q, k, v), push),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
