"""The normaliser maps the training data to [-1, 1] and back."""

import numpy as np
import pytest
import torch

from dp_bench import references, registry
from dp_bench.baselines.bet import Bet, BetConfig
from dp_bench.policies.observations import ActionNormalizer, Normalizer, as_rows
from dp_bench.presets import preset
from dp_bench.util.tensors import load_tensors, save_tensors


def fitted(data):
    normalizer = Normalizer(data.shape[1])
    normalizer.fit(data)
    return normalizer


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    columns = rng.uniform([-500, 0, 1e-3], [-499, 1e6, 2e-3], size=(200, 3))
    return torch.as_tensor(columns, dtype=torch.float32)


def test_the_extremes_of_each_dimension_become_minus_one_and_one(data):
    scaled = fitted(data)(data)
    one = torch.ones(3)
    torch.testing.assert_close(scaled.amax(0), one, atol=1e-3, rtol=0)
    torch.testing.assert_close(scaled.amin(0), -one, atol=1e-3, rtol=0)


def test_the_inverse_undoes_the_scaling_beyond_the_data_too(data):
    normalizer = fitted(data)
    wide = data * 2
    back = normalizer.inverse(normalizer(wide))
    torch.testing.assert_close(back, wide, rtol=1e-4, atol=1e-5)


def test_a_constant_dimension_is_shifted_to_zero_and_not_scaled():
    data = torch.tensor([[3.0, 0.0], [3.0 + 1e-6, 1.0]])
    normalizer = fitted(data)
    assert normalizer(data)[:, 0].abs().max() < 1e-5
    seen = normalizer(torch.tensor([[3.5, 0.5]]))
    torch.testing.assert_close(seen, torch.tensor([[0.5, 0.0]]), atol=1e-5, rtol=0)


def test_a_larger_reach_scales_every_dimension_that_varies():
    data = torch.tensor([[0.0, 5.0], [10.0, 5.0]])
    usual, large = Normalizer(2), Normalizer(2)
    usual.fit(data)
    large.fit(data, reach=10.0)
    x = torch.tensor([[2.5, 6.0]])
    np.testing.assert_allclose(usual(x), [[-0.5, 1.0]])
    np.testing.assert_allclose(large(x), [[-5.0, 1.0]])  # the second never changes
    np.testing.assert_allclose(large.inverse(large(x)), x, rtol=1e-6)


def test_weight_files_keep_their_names_for_the_normalizers():
    """Runs of earlier versions must load."""
    config = BetConfig(clusters=2, width=8, heads=2, layers=1)
    policy = Bet(config, obs_dim=3, action_dim=2)
    policy.obs_normalizer.scale.fill_(5.0)
    policy.action_normalizer.offset.fill_(7.0)
    tensors = policy.state_dict()
    assert not any("normalizer" in name for name in tensors)
    assert (tensors["obs_units.scale"] == 5.0).all()
    assert (tensors["action_units.offset"] == 7.0).all()


METHODS = ["dp_c", "dp_t", "lstm_gmm", "ibc", "bet"]


def policy_for(name, actions):
    """A policy with its initial weights, fitted to observations in [-1, 1]."""
    method = registry.method(name)
    config = preset(method, "*", "smoke").policy
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        policy = references.load(method.policy)(
            config, obs_dim=1, action_dim=actions.shape[1]
        ).eval()
    obs = torch.linspace(-1, 1, len(actions))[:, None]
    policy.fit(obs, torch.as_tensor(actions), torch.Generator().manual_seed(0))
    policy.reset(range(16))
    return policy


@pytest.mark.parametrize("name", METHODS)
def test_constant_and_tiny_actions_come_out_in_their_own_units(name):
    """A constant is given exactly; micrometres in metres stay micrometres."""
    x = np.linspace(-1, 1, 200)
    columns = [4e-5 * x, np.full(200, 0.123), 2e-9 * x, 5.0 + 1e-3 * x, np.zeros(200)]
    actions = np.stack(columns, axis=1).astype(np.float32)
    policy = policy_for(name, actions)
    given = policy.act(np.full((16, policy.horizons.obs, 1), 0.5)).reshape(-1, 5)
    assert (given[:, 1] == np.float32(0.123)).all()
    assert (given[:, 4] == 0).all()
    low, high = actions.min(0), actions.max(0)
    margin = 0.5001 * (high - low)
    assert (given >= low - margin).all()
    assert (given <= high + margin).all()
    assert np.ptp(given[:, [0, 2, 3]], axis=0).min() > 0


def test_decisions_never_leave_the_margin_around_the_demonstrations():
    normalizer = ActionNormalizer(2)
    normalizer.fit(torch.tensor([[0.0, 3.0], [10.0, 3.0]]))
    wild = torch.tensor([[1e6, 1e6], [-1e6, -1e6], [0.5, 0.5]])
    expected = torch.tensor([[15.0, 3.0], [-5.0, 3.0], [7.5, 3.0]])
    torch.testing.assert_close(normalizer.inverse(wild), expected)


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_observations_far_from_zero_keep_their_differences(dtype, tmp_path):
    """Time stamps and map coordinates are centred before they are rounded."""
    steps = np.arange(100)
    rows = np.stack([1_700_000_000 + steps, 5_400_000 + steps], axis=1).astype(dtype)
    normalizer = Normalizer(2)
    normalizer.fit(as_rows(rows))
    seen = normalizer(normalizer.from_numpy(rows, torch.device("cpu"))).numpy()
    expected = np.repeat(np.linspace(-1, 1, 100)[:, None], 2, axis=1)
    np.testing.assert_allclose(seen, expected, atol=1e-6)
    save_tensors(tmp_path / "n.safetensors", normalizer.state_dict(), {})
    other = Normalizer(2)
    other.load_state_dict(load_tensors(tmp_path / "n.safetensors")[0])
    again = other(other.from_numpy(rows, torch.device("cpu"))).numpy()
    np.testing.assert_array_equal(again, seen)


def test_a_policy_tells_time_stamps_apart():
    """`act` centres what it is given, as training does."""
    config = BetConfig(clusters=2, width=8, heads=2, layers=1)
    policy = Bet(config, obs_dim=1, action_dim=1).eval()
    stamps = 1.7e9 + 0.05 * np.arange(100)[:, None]
    actions = torch.linspace(0, 1, 100)[:, None]
    policy.fit(as_rows(stamps), actions, torch.Generator().manual_seed(0))
    policy.reset([0, 0])
    given = policy.act(np.stack([stamps[:5], stamps[50:55]]))
    assert given[0, 0, 0] != given[1, 0, 0]


def test_weights_hold_no_centre_unless_one_is_needed(data):
    far = Normalizer(1)
    far.fit(torch.tensor([[1e4], [1e4 + 1]]))
    assert set(far.state_dict()) == {"scale", "offset", "centre"}
    usual = fitted(data[:, 1:])
    assert set(usual.state_dict()) == {"scale", "offset"}
    far.load_state_dict(Normalizer(1).state_dict())
    assert far(torch.tensor([[3.0]])).item() == 3.0
