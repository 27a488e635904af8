"""The normaliser maps the training data to [-1, 1] and back."""

import numpy as np
import pytest
import torch

from dp_bench.baselines.bet import Bet, BetConfig
from dp_bench.policies.observations import Normalizer


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
