"""Settings of DP-C on every task, in every tier."""

from __future__ import annotations

from dataclasses import replace

from dp_bench.horizons import Horizons
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
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

# Chosen on validation starts of PushT, for 25 minutes on two cores
# (results/pusht/README.md).
LAPTOP_IMAGES = Preset(
    UnetDiffusionConfig(
        horizons=Horizons(2, 8, 16),
        channels=(32, 64, 128),
        step_dim=128,
        obs_noise=0.02,
    ),
    Training(
        updates=22_000,
        batch_size=64,
        lr=1e-3,
        keep_every=4400,
        precision=SAME_PRECISION,
    ),
    vision=CNN_IMAGES,
)

# Chosen on validation starts of Can and others (results/robomimic/README.md).
ROBOMIMIC = UnetDiffusionConfig(
    horizons=Horizons(1, 8, 12),
    predicts="sample",
    channels=(64, 128),
    step_dim=128,
    sample_steps=10,
    obs_noise=0.01,
)

# What `dp-bench tune` searches.
SPACE: Space = {
    **SHARED,
    "policy.predicts": one_of("noise", "sample"),
    "policy.horizons.action": one_of(4, 6, 8, 10),
    "policy.channels": one_of("32,64,128", "64,128", "64,128,256"),
    "policy.kernel_size": one_of(3, 5),
    "training.weight_decay": LogUniform(1e-6, 1e-1),
}

PRESETS: dict[tuple[str, ...], Preset] = {
    ("*", "smoke"): Preset(
        UnetDiffusionConfig(channels=(32, 64), step_dim=32, sample_steps=4),
        Training(updates=200, batch_size=64, lr=1e-3, warmup=20, validate_every=100),
        episodes=4,
    ),
    ("*", "smoke", "image"): Preset(
        UnetDiffusionConfig(channels=(32, 64), step_dim=32, sample_steps=4),
        Training(updates=40, batch_size=16, lr=1e-3, warmup=10, validate_every=20),
        vision=SMALL_IMAGES,
        episodes=4,
    ),
    # Chosen on validation starts (results/blockpush/README.md).
    ("blockpush", "laptop"): Preset(
        UnetDiffusionConfig(
            horizons=Horizons(2, 1, 4),
            predicts="sample",
            channels=(64, 128),
            kernel_size=3,
            step_dim=64,
            obs_scale=10.0,
            obs_noise=0.003,
        ),
        Training(
            updates=12_000,
            batch_size=256,
            lr=2e-3,
            keep_every=3000,
            precision=SAME_PRECISION,
        ),
        control="velocity",
    ),
    # Chosen on validation starts (results/kitchen/README.md).
    ("kitchen", "laptop"): Preset(
        UnetDiffusionConfig(
            horizons=Horizons(1, 8, 12),
            predicts="sample",
            channels=(64, 128),
            step_dim=128,
            sample_steps=10,
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
        control="position",
    ),
    ("robomimic", "laptop"): Preset(
        ROBOMIMIC,
        Training(
            updates=5000,
            batch_size=128,
            lr=2e-3,
            keep_every=1000,
            precision=SAME_PRECISION,
        ),
        control="position",
    ),
    # Chosen on validation starts (results/pusht/README.md).
    ("*", "laptop"): Preset(
        UnetDiffusionConfig(
            horizons=Horizons(2, 10, 16),
            channels=(32, 64, 128),
            step_dim=128,
            obs_noise=0.02,
        ),
        Training(updates=5000, batch_size=128, lr=1e-3),
    ),
    # Chi et al. (2023), who train for 4500 epochs as they count them. As we count
    # them, by whole batches (39 an epoch), these updates are about 4960 epochs.
    ("pusht", "paper"): Preset(
        UnetDiffusionConfig(sampler="ddpm", sample_steps=100),
        Training(
            updates=193_500,
            batch_size=256,
            lr=1e-4,
            validate_every=2000,
            precision="float32",
        ),
    ),
    # Chi et al. (2023), who train for some two million updates.
    ("blockpush", "paper"): Preset(
        UnetDiffusionConfig(
            horizons=Horizons(3, 1, 12), sampler="ddpm", sample_steps=100
        ),
        Training(
            updates=2_000_000,
            batch_size=256,
            lr=1e-4,
            validate_every=10_000,
            precision="float32",
        ),
        control="position",
    ),
    # Chi et al. (2023), who train for 4500 epochs.
    ("kitchen", "paper"): Preset(
        UnetDiffusionConfig(
            horizons=Horizons(2, 8, 16),
            sampler="ddpm",
            sample_steps=100,
            obs_min_range=KITCHEN_STILL,
        ),
        Training(
            updates=2_250_000,
            batch_size=256,
            lr=1e-4,
            validate_every=10_000,
            precision="float32",
        ),
        control="position",
    ),
    ("*", "paper"): Preset(
        UnetDiffusionConfig(
            horizons=Horizons(2, 8, 16), sampler="ddpm", sample_steps=100
        ),
        Training(
            updates=200_000,
            batch_size=256,
            lr=1e-4,
            validate_every=2000,
            precision="float32",
        ),
    ),
    # Chi et al. (2023), who train for 3050 epochs.
    ("pusht", "paper", "image"): Preset(
        UnetDiffusionConfig(
            channels=(512, 1024, 2048), step_dim=128, sampler="ddpm", sample_steps=100
        ),
        Training(
            updates=480_000,
            batch_size=64,
            lr=1e-4,
            validate_every=2000,
            precision="float32",
        ),
        vision=VisionConfig(crop=PUSHT_CROP),
    ),
    # Chi et al. (2023), who train for 3050 epochs; these updates are as many for Can.
    ("*", "paper", "image"): Preset(
        UnetDiffusionConfig(
            channels=(512, 1024, 2048), step_dim=128, sampler="ddpm", sample_steps=100
        ),
        Training(
            updates=1_100_000,
            batch_size=64,
            lr=1e-4,
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
        UnetDiffusionConfig(
            horizons=Horizons(2, 8, 16),
            channels=(128, 256, 512),
            step_dim=128,
            noise_draws=8,
        ),
        Training(updates=20_000, batch_size=64, lr=3e-4, precision="bfloat16"),
        vision=VisionConfig(),
        control="position",
    ),
}
