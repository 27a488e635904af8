"""Settings of DP-T on every task, in every tier."""

from __future__ import annotations

from dataclasses import replace

from dp_bench.horizons import Horizons
from dp_bench.policies.diffusion.config import TransformerDiffusionConfig
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
from dp_bench.presets.space import SHARED, LogUniform, Space, one_of
from dp_bench.training.config import Training

# Chi et al. (2023).
PUBLISHED_FOR_IMAGES = TransformerDiffusionConfig(
    sampler="ddpm", sample_steps=100, dropout=0.3
)

# Chosen on validation starts of PushT, for 25 minutes on two cores
# (results/pusht/README.md).
LAPTOP_IMAGES = Preset(
    TransformerDiffusionConfig(
        horizons=Horizons(2, 8, 10),
        predicts="sample",
        width=96,
        layers=3,
        dropout=0.0,
        obs_noise=0.02,
        noise_draws=4,
    ),
    Training(
        updates=13_500,
        batch_size=64,
        lr=2e-3,
        betas=(0.9, 0.95),
        weight_decay=1e-3,
        grad_clip=1.0,
        keep_every=2700,
        precision=SAME_PRECISION,
    ),
    vision=CNN_IMAGES,
)

# Chosen on validation starts of Can and others (results/robomimic/README.md).
ROBOMIMIC = TransformerDiffusionConfig(
    horizons=Horizons(1, 8, 12),
    predicts="sample",
    width=96,
    layers=3,
    sample_steps=10,
    dropout=0.0,
    obs_noise=0.01,
)

# What `dp-bench tune` searches.
SPACE: Space = {
    **SHARED,
    "policy.predicts": one_of("noise", "sample"),
    "policy.horizons.action": one_of(4, 6, 8),
    "policy.width": one_of(96, 128, 192),
    "policy.layers": one_of(2, 3, 4, 6),
    "policy.dropout": one_of(0.0, 0.01, 0.1, 0.3),
    "policy.conditioning": one_of("cross_attention", "adaln"),
    "training.weight_decay": LogUniform(1e-6, 1e-1),
}

PRESETS: dict[tuple[str, ...], Preset] = {
    ("*", "smoke"): Preset(
        TransformerDiffusionConfig(width=32, layers=2, sample_steps=4),
        Training(updates=200, batch_size=64, lr=1e-3, warmup=20, validate_every=100),
        episodes=4,
    ),
    ("*", "smoke", "image"): Preset(
        TransformerDiffusionConfig(width=32, layers=2, sample_steps=4),
        Training(updates=40, batch_size=16, lr=1e-3, warmup=10, validate_every=20),
        vision=SMALL_IMAGES,
        episodes=4,
    ),
    # Chosen on validation starts (results/blockpush/README.md).
    ("blockpush", "laptop"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(2, 1, 2),
            predicts="sample",
            width=96,
            layers=1,
            condition_layers=2,
            causal=True,
            dropout=0.0,
            obs_scale=10.0,
            obs_noise=0.003,
        ),
        Training(
            updates=15_000,
            batch_size=256,
            lr=3e-3,
            betas=(0.9, 0.95),
            weight_decay=1e-3,
            grad_clip=1.0,
            keep_every=3750,
            precision=SAME_PRECISION,
        ),
        control="velocity",
    ),
    # Chosen on validation starts (results/kitchen/README.md).
    ("kitchen", "laptop"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(1, 8, 8),
            predicts="sample",
            width=96,
            layers=3,
            sample_steps=10,
            dropout=0.0,
            obs_min_range=KITCHEN_NEARLY_STILL,
        ),
        Training(
            updates=9000,
            batch_size=128,
            lr=3e-3,
            betas=(0.9, 0.95),
            weight_decay=1e-3,
            grad_clip=1.0,
            sensor_noise=KITCHEN_NOISE,
            keep_every=1500,
            precision=SAME_PRECISION,
        ),
        control="position",
    ),
    ("robomimic", "laptop"): Preset(
        ROBOMIMIC,
        Training(
            updates=8000,
            batch_size=128,
            lr=2e-3,
            betas=(0.9, 0.95),
            weight_decay=1e-3,
            grad_clip=1.0,
            keep_every=2000,
            precision=SAME_PRECISION,
        ),
        control="position",
    ),
    # Chosen on validation starts (results/pusht/README.md).
    ("*", "laptop"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(2, 8, 10),
            predicts="sample",
            width=96,
            layers=3,
            dropout=0.0,
            obs_noise=0.05,
        ),
        Training(
            updates=6000,
            batch_size=128,
            lr=2e-3,
            betas=(0.9, 0.95),
            weight_decay=1e-3,
            grad_clip=1.0,
        ),
    ),
    # Chi et al. (2023): as many updates as DP-C, and attention dropout 0.01.
    ("pusht", "paper"): Preset(
        TransformerDiffusionConfig(sampler="ddpm", sample_steps=100, dropout=0.01),
        Training(
            updates=193_500,
            batch_size=256,
            lr=1e-4,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            warmup=1000,
            validate_every=2000,
            precision="float32",
        ),
    ),
    ("blockpush", "paper"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(3, 1, 5), sampler="ddpm", sample_steps=100, dropout=0.3
        ),
        Training(
            updates=2_000_000,
            batch_size=256,
            lr=1e-4,
            betas=(0.9, 0.95),
            weight_decay=1e-3,
            warmup=1000,
            validate_every=10_000,
            precision="float32",
        ),
        control="velocity",
    ),
    # Chi et al. (2023): as many updates as DP-C.
    ("kitchen", "paper"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(4, 8, 16),
            sampler="ddpm",
            sample_steps=100,
            width=768,
            dropout=0.1,
            obs_min_range=KITCHEN_STILL,
        ),
        Training(
            updates=2_250_000,
            batch_size=256,
            lr=1e-4,
            betas=(0.9, 0.95),
            weight_decay=1e-3,
            warmup=1000,
            validate_every=10_000,
            precision="float32",
        ),
        control="position",
    ),
    ("*", "paper"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(2, 8, 10), sampler="ddpm", sample_steps=100, dropout=0.3
        ),
        Training(
            updates=200_000,
            batch_size=256,
            lr=1e-4,
            betas=(0.9, 0.95),
            weight_decay=1e-3,
            warmup=1000,
            validate_every=2000,
            precision="float32",
        ),
    ),
    # Chi et al. (2023), who train for 3050 epochs.
    ("pusht", "paper", "image"): Preset(
        PUBLISHED_FOR_IMAGES,
        Training(
            updates=480_000,
            batch_size=64,
            lr=1e-4,
            betas=(0.9, 0.95),
            weight_decay=1e-3,
            warmup=1000,
            validate_every=2000,
            precision="float32",
        ),
        vision=VisionConfig(crop=PUSHT_CROP),
    ),
    # Chi et al. (2023), who train for 3050 epochs; these updates are as many for Can.
    ("*", "paper", "image"): Preset(
        PUBLISHED_FOR_IMAGES,
        Training(
            updates=1_100_000,
            batch_size=64,
            lr=1e-4,
            betas=(0.9, 0.95),
            weight_decay=1e-3,
            warmup=1000,
            validate_every=2000,
            precision="float32",
        ),
        vision=VisionConfig(),
        control="position",
    ),
    ("*", "laptop", "image"): LAPTOP_IMAGES,
    ("pusht", "laptop", "image"): replace(LAPTOP_IMAGES, vision=PUSHT_IMAGES),
    # The policy chosen from states, sized for 15 minutes on two cores.
    ("robomimic", "laptop", "image"): replace(
        LAPTOP_IMAGES,
        policy=ROBOMIMIC,
        training=replace(LAPTOP_IMAGES.training, updates=15_000, keep_every=3000),
        control="position",
    ),
    # For one GPU of a data centre, 15 minutes a run; not measured yet.
    ("*", "gpu", "image"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(2, 8, 10),
            predicts="sample",
            width=256,
            heads=4,
            layers=8,
            noise_draws=4,
        ),
        Training(
            updates=20_000,
            batch_size=64,
            lr=3e-4,
            betas=(0.9, 0.95),
            weight_decay=1e-3,
            grad_clip=1.0,
            precision="bfloat16",
        ),
        vision=VisionConfig(),
        control="position",
    ),
}
