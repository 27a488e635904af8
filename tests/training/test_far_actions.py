"""Actions far from zero (map coordinates, say) keep their differences everywhere."""

import numpy as np
import pytest
import torch

from dp_bench import references, registry
from dp_bench.policies.observations import ActionNormalizer, as_rows
from dp_bench.presets import preset
from dp_bench.training.config import Training
from dp_bench.training.loop import prepare
from dp_bench.util.tensors import load_tensors, save_tensors

ROWS = 200
STEP = 0.05  # float32 has steps of 128 there
TRAINING = Training(updates=2, batch_size=16, precision="float32")


def data():
    """Observations, actions of which two are far from zero and one is constant."""
    x = np.linspace(-1, 1, ROWS)
    stamps = 1.7e9 + STEP * np.arange(ROWS)
    columns = [stamps, 4e6 - 1e-3 * np.arange(ROWS), x, np.full(ROWS, 1.7e9 + STEP)]
    return x[:, None].astype(np.float32), np.stack(columns, 1), np.array([80, ROWS])


def prepared(name, actions):
    method = registry.method(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        policy = references.load(method.policy)(
            preset(method, "*", "smoke").policy, obs_dim=1, action_dim=actions.shape[1]
        )
    obs, _, ends = data()
    return prepare(policy, (obs, actions, ends), TRAINING, train_seed=0, device="cpu")


@pytest.mark.parametrize("name", registry.METHODS)
def test_training_and_decisions_tell_such_actions_apart(name, tmp_path):
    actions = data()[1]
    updater = prepared(name, actions)
    line = np.linspace(-1, 1, ROWS)
    seen = updater.batches.actions.numpy()
    np.testing.assert_allclose(seen[:, 0], line, atol=1e-6)
    np.testing.assert_allclose(seen[:, 1], -line, atol=1e-6)
    assert (seen[:, 3] == 0).all()

    policy = updater.state.policy.eval()
    save_tensors(tmp_path / "p.safetensors", policy.state_dict(), {})
    policy.load_state_dict(load_tensors(tmp_path / "p.safetensors")[0])
    policy.reset(range(16))
    obs = np.linspace(-1, 1, 16)[:, None, None].repeat(policy.horizons.obs, axis=1)
    given = policy.act(obs).reshape(-1, 4)
    low, high = actions.min(0), actions.max(0)
    margin = 0.5001 * (high - low) + 1e-6
    assert (given >= low - margin).all()
    assert (given <= high + margin).all()
    assert len(np.unique(given[:, 0])) > 8  # in float32 there would be one value
    np.testing.assert_allclose(given[:, 3], 1.7e9 + STEP, rtol=0, atol=1e-6)


def test_the_inverse_gives_far_actions_back():
    actions = data()[1]
    normalizer = ActionNormalizer(4)
    normalizer.fit(as_rows(actions))
    seen = normalizer(normalizer.from_numpy(actions, torch.device("cpu")))
    assert seen.dtype == torch.float32
    back = normalizer.inverse(seen).numpy()
    np.testing.assert_allclose(back, actions, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", registry.METHODS)
def test_usual_actions_are_treated_bit_for_bit_as_before(name):
    """Until actions could be far from zero, they were rounded to float32 first."""
    actions = np.random.default_rng(0).uniform(100, 400, (ROWS, 3))
    one, other = prepared(name, actions), prepared(name, actions.astype(np.float32))
    assert torch.equal(one.batches.actions, other.batches.actions)
    for part in ("scale", "offset", "centre"):
        left, right = (
            getattr(u.state.policy.action_normalizer, part) for u in (one, other)
        )
        assert torch.equal(left, right)
    for updater in (one, other):
        policy = updater.state.policy
        rounded = torch.as_tensor(actions, dtype=torch.float32)
        scaled = rounded * policy.action_normalizer.scale
        assert torch.equal(
            updater.batches.actions, scaled + policy.action_normalizer.offset
        )
