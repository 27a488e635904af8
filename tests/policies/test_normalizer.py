"""Units: [-1, 1] over the training data, and back."""

import numpy as np
import pytest
import torch

from dp_bench.policies.base import Normalizer


def fitted(data):
    units = Normalizer(data.shape[1])
    units.fit(data)
    return units


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


def test_the_inverse_undoes_it_beyond_the_data_too(data):
    units = fitted(data)
    wide = data * 2
    back = units.inverse(units(wide))
    torch.testing.assert_close(back, wide, rtol=1e-4, atol=1e-5)


def test_a_constant_dimension_is_shifted_to_zero_and_not_blown_up():
    data = torch.tensor([[3.0, 0.0], [3.0 + 1e-6, 1.0]])
    units = fitted(data)
    assert units(data)[:, 0].abs().max() < 1e-5
    seen = units(torch.tensor([[3.5, 0.5]]))
    torch.testing.assert_close(seen, torch.tensor([[0.5, 0.0]]), atol=1e-5, rtol=0)


def test_a_larger_reach_scales_alike():
    data = torch.tensor([[0.0, 5.0], [10.0, 5.0]])
    usual, large = Normalizer(2), Normalizer(2)
    usual.fit(data)
    large.fit(data, reach=10.0)
    x = torch.tensor([[2.5, 6.0]])
    np.testing.assert_allclose(usual(x), [[-0.5, 1.0]])
    np.testing.assert_allclose(large(x), [[-5.0, 1.0]])  # the second never changes
    np.testing.assert_allclose(large.inverse(large(x)), x, rtol=1e-6)
