"""CUDA graphs: a replayed update is the update that the loop computes."""

import dataclasses

import pytest
import torch

from dp_bench import references, registry
from dp_bench.presets import preset
from dp_bench.training.loop import prepare
from made_up_training import walks


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", registry.methods_and_variants())
def test_a_replayed_update_is_the_computed_one(name, monkeypatch):
    """Noise, learning rate, batch and average are those of the loop."""
    method = registry.method(name)
    cls = references.load(method.policy)
    settings = preset(method, "pusht", "smoke")
    training = dataclasses.replace(settings.training, batch_size=8, precision="float32")
    data = walks(lengths=(60, 40, 50))
    results = []
    for recordable in (True, False):
        monkeypatch.setattr(cls, "recordable", recordable)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            policy = cls(settings.policy, obs_dim=3, action_dim=2)
            updater = prepare(policy, data, training, train_seed=0, device="cuda")
            losses = [float(updater.step()) for _ in range(30)]
        assert (updater.graph is not None) == recordable
        results.append((losses, updater.state.values, updater.state.average))
    for replayed, computed in zip(*results, strict=True):
        torch.testing.assert_close(replayed, computed, rtol=1e-3, atol=1e-5)
