"""The base class of policies: predictions of another shape are refused."""

import numpy as np
import pytest
import torch

from dp_bench.baselines.bet import Bet, BetConfig
from dp_bench.errors import BadInput
from dp_bench.policies.agent import Agent
from dp_bench.training.batches import Batches
from dp_bench.training.validation import action_error


class Shaped(Bet):
    """Predicts zeros of any shape; a recurrent policy overrides `predict_from`."""

    shape = (5, 2)

    def predict(self, obs, generators):
        return obs.new_zeros(len(obs), *self.shape)


class Recurrent(Shaped):
    """May leave out the steps after the executed one, of which there are none."""

    def predict_from(self, obs, generators, memory):
        return obs.new_zeros(len(obs), *self.shape)


class OfNumpy(Bet):
    """Predicts an array, of the right shape."""

    def predict(self, obs, generators):
        return np.zeros((len(obs), 5, 2))


def fitted(cls):
    config = BetConfig(clusters=2, width=8, heads=2, layers=1)
    policy = cls(config, obs_dim=3, action_dim=2).eval()
    policy.fit(torch.randn(30, 3), torch.randn(30, 2), torch.Generator())
    return policy


def decide(policy):
    """Asks in each way in which predictions are used."""
    policy.reset([0, 1])
    yield lambda: policy.act(np.zeros((2, 5, 3)))
    agent = Agent(policy)
    agent.reset(0)
    yield lambda: agent.act(np.zeros(3))
    rows = np.zeros((30, 3), np.float32), np.zeros((30, 2), np.float32), np.array([30])
    batches = Batches(
        policy, *rows, batch_size=8, train_seed=0, device=torch.device("cpu")
    )
    yield lambda: action_error(policy, batches)


@pytest.mark.parametrize("shape", [(4, 2), (6, 2), (5, 1), (5, 3), (5,), ()])
@pytest.mark.parametrize("cls", [Shaped, Recurrent])
def test_a_prediction_of_another_shape_is_refused(cls, shape):
    """A last axis of 1 would spread over all action dimensions, and so would ()."""
    policy = fitted(cls)
    for ask in decide(policy):
        ask()
    policy.shape = shape
    for ask in decide(policy):
        with pytest.raises(BadInput, match=rf"{cls.__name__}\.predict.* \(B, .*, 2\)"):
            ask()


def test_a_prediction_that_is_no_tensor_is_refused():
    for ask in decide(fitted(OfNumpy)):
        with pytest.raises(BadInput, match=r"must return a tensor .* got ndarray"):
            ask()


class Noise(Bet):
    """Predicts nothing but its noise, so that a batch cannot round it differently."""

    def predict(self, obs, generators):
        return torch.stack([torch.randn(5, 2, generator=g) for g in generators])


@pytest.mark.parametrize("lanes", [1, 2, 3, 6])
def test_noise_depends_on_train_seed_env_seed_and_decision_only(lanes):
    policy = fitted(Noise)

    def decisions(train_seed, lanes):
        policy.train_seed = train_seed
        acted = []
        for first in range(0, 6, lanes):
            policy.reset(range(first, first + lanes))
            obs = np.zeros((lanes, policy.horizons.obs, 3), np.float32)
            acted.append(np.stack([policy.act(obs) for _ in range(3)], axis=1))
        return np.concatenate(acted)

    alone = decisions(4, lanes=1)
    np.testing.assert_array_equal(decisions(4, lanes), alone)
    assert not (alone == decisions(5, lanes)).any()
    assert len({row.tobytes() for row in alone.reshape(18, -1)}) == 18
