"""Settings of DP-MLP on every task, in every tier.

The rows of the laptop tier have the horizons, targets and noise of DP-C, and were not
searched for DP-MLP yet.
"""

from __future__ import annotations

from dataclasses import replace

from dp_bench.horizons import Horizons
from dp_bench.policies.diffusion.config import MlpDiffusionConfig
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

# What `dp-bench tune` searches.
SPACE: Space = {
    **SHARED,
    "policy.predicts": one_of("noise", "sample"),
    "policy.horizons.action": one_of(4, 6, 8, 10),
    "policy.width": one_of(256, 512, 768),
    "policy.blocks": one_of(2, 3, 4),
    "training.weight_decay": LogUniform(1e-6, 1e-1),
}

SMALL = MlpDiffusionConfig(width=64, blocks=2, step_dim=16, sample_steps=4)

LAPTOP = Training(
    updates=12_000, batch_size=256, lr=1e-3, keep_every=3000, precision=SAME_PRECISION
)

LAPTOP_IMAGES = Preset(
    MlpDiffusionConfig(horizons=Horizons(2, 8, 16), obs_noise=0.02),
    replace(LAPTOP, updates=20_000, batch_size=64, keep_every=4000),
    vision=CNN_IMAGES,
)

ROBOMIMIC = MlpDiffusionConfig(
    horizons=Horizons(1, 8, 12), predicts="sample", sample_steps=10, obs_noise=0.01
)

# The network, the batch and the learning rate with which Ren et al. (2024, DPPO) learn
# from demonstrations. They publish no such result on these tasks. Horizons and schedule
# are those of DP-C; the number of updates is ours.
PAPER = Training(
    updates=200_000,
    batch_size=128,
    lr=1e-4,
    validate_every=2000,
    precision="float32",
)

PRESETS: dict[tuple[str, ...], Preset] = {
    ("*", "smoke"): Preset(
        SMALL,
        Training(updates=200, batch_size=64, lr=1e-3, warmup=20, validate_every=100),
        episodes=4,
    ),
    ("*", "smoke", "image"): Preset(
        SMALL,
        Training(updates=40, batch_size=16, lr=1e-3, warmup=10, validate_every=20),
        vision=SMALL_IMAGES,
        episodes=4,
    ),
    ("blockpush", "laptop"): Preset(
        MlpDiffusionConfig(
            horizons=Horizons(2, 1, 4),
            predicts="sample",
            obs_scale=10.0,
            obs_noise=0.003,
        ),
        LAPTOP,
        control="velocity",
    ),
    ("kitchen", "laptop"): Preset(
        MlpDiffusionConfig(
            horizons=Horizons(1, 8, 12),
            predicts="sample",
            sample_steps=10,
            obs_min_range=KITCHEN_NEARLY_STILL,
        ),
        replace(LAPTOP, sensor_noise=KITCHEN_NOISE),
        control="position",
    ),
    ("robomimic", "laptop"): Preset(ROBOMIMIC, LAPTOP, control="position"),
    ("*", "laptop"): Preset(
        MlpDiffusionConfig(horizons=Horizons(2, 10, 16), obs_noise=0.02), LAPTOP
    ),
    ("kitchen", "paper"): Preset(
        MlpDiffusionConfig(
            sampler="ddpm", sample_steps=100, obs_min_range=KITCHEN_STILL
        ),
        PAPER,
        control="position",
    ),
    ("blockpush", "paper"): Preset(
        MlpDiffusionConfig(
            horizons=Horizons(3, 1, 12), sampler="ddpm", sample_steps=100
        ),
        PAPER,
        control="position",
    ),
    ("*", "paper"): Preset(MlpDiffusionConfig(sampler="ddpm", sample_steps=100), PAPER),
    ("pusht", "paper", "image"): Preset(
        MlpDiffusionConfig(sampler="ddpm", sample_steps=100),
        replace(PAPER, batch_size=64),
        vision=VisionConfig(crop=PUSHT_CROP),
    ),
    ("*", "paper", "image"): Preset(
        MlpDiffusionConfig(sampler="ddpm", sample_steps=100),
        replace(PAPER, batch_size=64),
        vision=VisionConfig(),
        control="position",
    ),
    ("*", "laptop", "image"): LAPTOP_IMAGES,
    ("pusht", "laptop", "image"): replace(LAPTOP_IMAGES, vision=PUSHT_IMAGES),
    ("robomimic", "laptop", "image"): replace(
        LAPTOP_IMAGES,
        policy=ROBOMIMIC,
        training=replace(LAPTOP_IMAGES.training, updates=15_000, keep_every=3000),
        control="position",
    ),
    # For one GPU of a data centre, 15 minutes a run; not measured yet.
    ("*", "gpu", "image"): Preset(
        MlpDiffusionConfig(width=1024, noise_draws=8),
        Training(updates=20_000, batch_size=64, lr=3e-4, precision="bfloat16"),
        vision=VisionConfig(),
        control="position",
    ),
}
