"""Settings of BET on every task, in every tier."""

from __future__ import annotations

from dataclasses import replace

from dp_bench.baselines.bet import BetConfig
from dp_bench.horizons import Horizons
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.presets import Preset
from dp_bench.presets.shared import (
    CNN_IMAGES,
    KITCHEN_NEARLY_STILL,
    KITCHEN_NOISE,
    KITCHEN_STILL,
    PUSHT_IMAGES,
    SAME_PRECISION,
    SMALL_IMAGES,
)
from dp_bench.presets.space import SHARED, JointChoice, LogUniform, Space, one_of
from dp_bench.training.config import Training

# Chosen on validation starts of PushT, for 25 minutes on two cores
# (results/pusht/README.md).
LAPTOP_IMAGES = Preset(
    BetConfig(width=96, heads=4, layers=4, obs_noise=0.02),
    Training(
        updates=28_000,
        batch_size=32,
        lr=1e-3,
        betas=(0.9, 0.95),
        weight_decay=0.1,
        grad_clip=1.0,
        keep_every=5600,
        precision=SAME_PRECISION,
    ),
    control="velocity",
    vision=CNN_IMAGES,
)

# Chosen on validation starts of Can and others (results/robomimic/README.md).
ROBOMIMIC = BetConfig(
    horizons=Horizons(2, 1, 2),
    width=96,
    heads=4,
    layers=4,
    dropout=0.0,
    obs_noise=0.003,
)

# What `dp-bench tune` searches.
SPACE: Space = {
    **SHARED,
    "policy.clusters": one_of(16, 24, 64, 128),
    "policy.horizons": JointChoice(
        {
            f"To = Tp = {steps}": {
                "policy.horizons.obs": str(steps),
                "policy.horizons.prediction": str(steps),
            }
            for steps in (2, 3, 5, 10)
        }
    ),
    "policy.width": one_of(72, 96, 120),
    "policy.layers": one_of(2, 4, 6),
    "policy.offset_weight": one_of(1, 10, 100, 1000),
    "training.weight_decay": LogUniform(1e-4, 1e-1),
}

PRESETS: dict[tuple[str, ...], Preset] = {
    ("*", "smoke"): Preset(
        BetConfig(clusters=8, width=32, heads=4, layers=2, dropout=0.0),
        Training(
            updates=200,
            batch_size=64,
            lr=1e-3,
            warmup=20,
            betas=(0.9, 0.95),
            validate_every=100,
        ),
        control="velocity",
        episodes=4,
    ),
    ("*", "smoke", "image"): Preset(
        BetConfig(clusters=8, width=32, heads=4, layers=2, dropout=0.0),
        Training(
            updates=40,
            batch_size=16,
            lr=1e-3,
            warmup=10,
            validate_every=20,
            betas=(0.9, 0.95),
        ),
        vision=SMALL_IMAGES,
        control="velocity",
        episodes=4,
    ),
    # Chosen on validation starts (results/blockpush/README.md).
    ("blockpush", "laptop"): Preset(
        BetConfig(
            horizons=Horizons(2, 1, 2),
            clusters=24,
            width=96,
            heads=4,
            layers=2,
            dropout=0.0,
            obs_scale=10.0,
            obs_noise=0.003,
        ),
        Training(
            updates=40_000,
            batch_size=256,
            lr=3e-3,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            grad_clip=1.0,
            keep_every=10_000,
            precision=SAME_PRECISION,
        ),
        control="velocity",
    ),
    # Chosen on validation starts (results/kitchen/README.md).
    ("kitchen", "laptop"): Preset(
        BetConfig(
            horizons=Horizons(4, 1, 4),
            width=96,
            heads=4,
            layers=4,
            dropout=0.0,
            obs_min_range=KITCHEN_NEARLY_STILL,
        ),
        Training(
            updates=12_000,
            batch_size=128,
            lr=1e-3,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            grad_clip=1.0,
            sensor_noise=KITCHEN_NOISE,
            keep_every=2000,
            precision=SAME_PRECISION,
        ),
        control="velocity",
    ),
    ("robomimic", "laptop"): Preset(
        ROBOMIMIC,
        Training(
            updates=6000,
            batch_size=128,
            lr=1e-3,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            grad_clip=1.0,
            keep_every=1500,
            precision=SAME_PRECISION,
        ),
        control="velocity",
    ),
    # Chosen on validation starts (results/pusht/README.md).
    ("*", "laptop"): Preset(
        BetConfig(width=96, heads=4, layers=4, obs_noise=0.02),
        Training(
            updates=6000,
            batch_size=128,
            lr=1e-3,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            grad_clip=1.0,
        ),
        control="velocity",
    ),
    # Shafiullah et al. (2022), who train for 350 epochs.
    ("blockpush", "paper"): Preset(
        BetConfig(horizons=Horizons(3, 1, 3), clusters=24, width=72, heads=4, layers=4),
        Training(
            updates=165_000,
            batch_size=256,
            lr=1e-4,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            grad_clip=1.0,
            warmup=0,
            schedule="constant",
            ema=False,
            validate_every=2000,
            precision="float32",
        ),
        control="velocity",
    ),
    # Shafiullah et al. (2022).
    ("kitchen", "paper"): Preset(
        BetConfig(horizons=Horizons(10, 1, 10), obs_min_range=KITCHEN_STILL),
        Training(
            updates=165_000,
            batch_size=256,
            lr=1e-4,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            grad_clip=1.0,
            warmup=0,
            schedule="constant",
            ema=False,
            validate_every=2000,
            precision="float32",
        ),
        control="velocity",
    ),
    # The optimiser is that of Shafiullah et al. (2022). They publish no network sizes
    # for PushT and Robomimic; this row takes those of Kitchen and half its history.
    ("*", "paper"): Preset(
        BetConfig(),
        Training(
            updates=100_000,
            batch_size=256,
            lr=1e-4,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            grad_clip=1.0,
            warmup=0,
            schedule="constant",
            ema=False,
            validate_every=2000,
            precision="float32",
        ),
        control="velocity",
    ),
    # No result of BET from images is published. This is the row above, with the
    # encoder and the batches of the published methods.
    ("*", "paper", "image"): Preset(
        BetConfig(),
        Training(
            updates=480_000,
            batch_size=64,
            lr=1e-4,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            grad_clip=1.0,
            warmup=0,
            schedule="constant",
            ema=False,
            validate_every=2000,
            precision="float32",
        ),
        vision=VisionConfig(),
        control="velocity",
    ),
    ("*", "laptop", "image"): LAPTOP_IMAGES,
    ("pusht", "laptop", "image"): replace(LAPTOP_IMAGES, vision=PUSHT_IMAGES),
    # The policy chosen from states, sized for 15 minutes on two cores.
    ("robomimic", "laptop", "image"): replace(
        LAPTOP_IMAGES,
        policy=ROBOMIMIC,
        training=replace(
            LAPTOP_IMAGES.training, updates=16_000, batch_size=64, keep_every=3200
        ),
    ),
    # For one GPU of a data centre, 15 minutes a run; not measured yet.
    ("*", "gpu", "image"): Preset(
        BetConfig(dropout=0.0),
        Training(
            updates=20_000,
            batch_size=32,
            lr=3e-4,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            grad_clip=1.0,
            precision="bfloat16",
        ),
        vision=VisionConfig(),
        control="velocity",
    ),
}
