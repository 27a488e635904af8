"""Settings of IBC on every task, in every tier."""

from __future__ import annotations

from dataclasses import replace

from dp_bench.baselines.ibc import IbcConfig
from dp_bench.horizons import Horizons
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.presets import Preset
from dp_bench.presets.shared import (
    CNN_IMAGES,
    KITCHEN_NEARLY_STILL,
    KITCHEN_NOISE,
    KITCHEN_STILL,
    PUSHT_CROP,
    PUSHT_IMAGES,
    SAME_PRECISION,
    SMALL_IMAGES,
)
from dp_bench.presets.space import SHARED, Space, one_of
from dp_bench.training.config import Training

# Chi et al. (2023).
PUBLISHED = Training(
    updates=200_000,
    batch_size=256,
    lr=1e-4,
    ema=False,
    validate_every=2000,
    precision="float32",
)
PUBLISHED_FOR_IMAGES = replace(PUBLISHED, updates=480_000, batch_size=128)

# Chosen on validation starts of PushT, for 25 minutes on two cores
# (results/pusht/README.md).
LAPTOP_IMAGES = Preset(
    IbcConfig(
        hidden=256, negatives=64, candidates=1024, rounds=0, dropout=0.0, obs_noise=0.02
    ),
    Training(
        updates=21_000,
        batch_size=64,
        lr=1e-3,
        keep_every=4200,
        precision=SAME_PRECISION,
    ),
    control="velocity",
    vision=CNN_IMAGES,
)

# Chosen on validation starts of Can and others (results/robomimic/README.md).
ROBOMIMIC = IbcConfig(
    horizons=Horizons(1, 1, 1),
    hidden=128,
    layers=3,
    negatives=128,
    positive_noise=0.2,
    candidates=512,
    rounds=8,
    round_noise=0.1,
    dropout=0.0,
    obs_noise=0.01,
)

# What `dp-bench tune` searches.
SPACE: Space = {
    **SHARED,
    "policy.hidden": one_of(128, 256, 512),
    "policy.layers": one_of(2, 3, 4),
    "policy.negatives": one_of(64, 128, 256, 512),
    "policy.dropout": one_of(0.0, 0.1),
    "policy.candidates": one_of(256, 512, 1024),
}

PRESETS: dict[tuple[str, ...], Preset] = {
    ("*", "smoke"): Preset(
        IbcConfig(hidden=64, layers=2, negatives=32, candidates=64, dropout=0.0),
        Training(updates=200, batch_size=64, lr=1e-3, warmup=20, validate_every=100),
        control="velocity",
        episodes=4,
    ),
    ("*", "smoke", "image"): Preset(
        IbcConfig(hidden=64, layers=2, negatives=32, candidates=64, dropout=0.0),
        Training(updates=40, batch_size=16, lr=1e-3, warmup=10, validate_every=20),
        vision=SMALL_IMAGES,
        control="velocity",
        episodes=4,
    ),
    # Chosen on validation starts (results/blockpush/README.md).
    ("blockpush", "laptop"): Preset(
        IbcConfig(
            horizons=Horizons(1, 1, 1),
            hidden=128,
            layers=3,
            negatives=32,
            candidates=1024,
            rounds=0,
            dropout=0.0,
            obs_scale=10.0,
        ),
        Training(
            updates=30_000,
            batch_size=256,
            lr=2e-3,
            keep_every=7500,
            precision=SAME_PRECISION,
        ),
        control="velocity",
    ),
    # Chosen on validation starts (results/kitchen/README.md).
    ("kitchen", "laptop"): Preset(
        IbcConfig(
            horizons=Horizons(1, 1, 1),
            hidden=128,
            layers=3,
            negatives=128,
            positive_noise=0.05,
            candidates=512,
            rounds=8,
            round_noise=0.1,
            dropout=0.0,
            obs_min_range=KITCHEN_NEARLY_STILL,
        ),
        Training(
            updates=9000,
            batch_size=128,
            lr=2e-3,
            sensor_noise=KITCHEN_NOISE,
            keep_every=1500,
            precision=SAME_PRECISION,
        ),
        control="velocity",
    ),
    ("robomimic", "laptop"): Preset(
        ROBOMIMIC,
        Training(
            updates=6000,
            batch_size=128,
            lr=2e-3,
            keep_every=1500,
            precision=SAME_PRECISION,
        ),
        control="velocity",
    ),
    # Chosen on validation starts (results/pusht/README.md).
    ("*", "laptop"): Preset(
        IbcConfig(
            hidden=256,
            negatives=64,
            candidates=1024,
            rounds=0,
            dropout=0.0,
            obs_noise=0.02,
        ),
        Training(updates=3000, batch_size=128, lr=1e-3),
        control="velocity",
    ),
    # Chi et al. (2023), with derivative-free search.
    ("kitchen", "paper"): Preset(
        IbcConfig(obs_min_range=KITCHEN_STILL),
        PUBLISHED,
        control="velocity",
    ),
    # Chi et al. (2023), with derivative-free search.
    ("*", "paper"): Preset(
        IbcConfig(),
        PUBLISHED,
        control="velocity",
    ),
    # Chi et al. (2023), with derivative-free search.
    ("pusht", "paper", "image"): Preset(
        IbcConfig(),
        PUBLISHED_FOR_IMAGES,
        vision=VisionConfig(crop=PUSHT_CROP),
        control="velocity",
    ),
    # Chi et al. (2023), with derivative-free search.
    ("*", "paper", "image"): Preset(
        IbcConfig(),
        PUBLISHED_FOR_IMAGES,
        vision=VisionConfig(),
        control="velocity",
    ),
    ("*", "laptop", "image"): LAPTOP_IMAGES,
    ("pusht", "laptop", "image"): replace(LAPTOP_IMAGES, vision=PUSHT_IMAGES),
    # The policy chosen from states, sized for 15 minutes on two cores.
    ("robomimic", "laptop", "image"): replace(LAPTOP_IMAGES, policy=ROBOMIMIC),
    # For one GPU of a data centre, 15 minutes a run; not measured yet.
    ("*", "gpu", "image"): Preset(
        IbcConfig(hidden=512, negatives=256, rounds=0, dropout=0.0),
        Training(updates=20_000, batch_size=64, lr=3e-4, precision="bfloat16"),
        vision=VisionConfig(),
        control="velocity",
    ),
}
