"""A task whose goal is only in an image, and small policies that learn it."""

import functools

import numpy as np
import torch
from reach_plugin import look

from dp_bench import references, registry
from dp_bench.baselines.bet import BetConfig
from dp_bench.baselines.ibc import IbcConfig
from dp_bench.baselines.lstm_gmm import LstmGmmConfig
from dp_bench.horizons import Horizons
from dp_bench.policies.diffusion.config import (
    MlpDiffusionConfig,
    TransformerDiffusionConfig,
    UnetDiffusionConfig,
)
from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.presets import Preset
from dp_bench.runs.folder import new_policy
from dp_bench.training.config import Training

SPEC = ObsSpec({"image": (look.SIDE, look.SIDE, 3)}, {"hand": 1})
VISION = VisionConfig(encoder="cnn", keypoints=8, features=16)


def _training(updates, lr, batch_size=64):
    return Training(
        updates=updates,
        batch_size=batch_size,
        lr=lr,
        warmup=20,
        precision="float32",
        log_every=10,
        validate_every=10_000,
    )


PRESETS = {
    "dp_c": Preset(
        UnetDiffusionConfig(
            horizons=Horizons(2, 4, 8),
            predicts="sample",
            channels=(16, 32),
            kernel_size=3,
            step_dim=32,
            sample_steps=8,
            noise_draws=4,
        ),
        _training(250, 3e-3),
    ),
    "dp_t": Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(2, 4, 8),
            predicts="sample",
            width=48,
            layers=2,
            dropout=0.0,
            sample_steps=8,
        ),
        _training(800, 2e-3),
    ),
    "dp_mlp": Preset(
        MlpDiffusionConfig(
            horizons=Horizons(2, 4, 8),
            predicts="sample",
            width=128,
            blocks=2,
            step_dim=32,
            sample_steps=8,
            noise_draws=4,
        ),
        _training(400, 2e-3),
    ),
    "lstm_gmm": Preset(
        LstmGmmConfig(horizons=Horizons(1, 1, 8), reset_every=8, hidden=48),
        _training(600, 3e-3, batch_size=24),
    ),
    "ibc": Preset(
        IbcConfig(hidden=64, layers=3, negatives=64, candidates=256, dropout=0.0),
        _training(400, 2e-3),
    ),
    "bet": Preset(
        BetConfig(
            horizons=Horizons(2, 1, 2),
            clusters=4,
            width=48,
            heads=4,
            layers=1,
            dropout=0.0,
            offset_weight=1.0,
        ),
        _training(600, 1e-3),
    ),
}


@functools.cache
def rows(episodes=160, first=0):
    """Demonstrations: observations by key, actions, episode ends."""
    played = [look.demonstrate(first + seed) for seed in range(episodes)]
    obs = {key: np.concatenate([e.obs[key] for e in played]) for key in SPEC.keys}
    actions = np.concatenate([e.actions for e in played]).astype(np.float32)
    return obs, actions, np.cumsum([len(e.actions) for e in played])


def policy(method, seed=0, vision=VISION):
    """A new policy that observes images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return new_policy(
            references.load(registry.method(method).policy),
            PRESETS[method].policy,
            obs_dim=vision.features_of(SPEC),
            action_dim=2,
            observation=SPEC,
            vision=vision,
        )
