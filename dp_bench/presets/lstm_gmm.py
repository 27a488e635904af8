"""Settings of LSTM-GMM on every task, in every tier."""

from __future__ import annotations

from dataclasses import replace

from dp_bench.baselines.lstm_gmm import LstmGmmConfig
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
from dp_bench.presets.space import SHARED, LogUniform, Space, one_of
from dp_bench.training.config import Training

# Chi et al. (2023): Adam, a constant learning rate, and no average of weights.
PUBLISHED = Training(
    updates=200_000,
    batch_size=256,
    lr=1e-4,
    betas=(0.9, 0.999),
    weight_decay=0.0,
    warmup=0,
    schedule="constant",
    ema=False,
    validate_every=2000,
    precision="float32",
)
PUBLISHED_FOR_IMAGES = replace(PUBLISHED, updates=480_000, batch_size=64)

# Chosen on validation starts of PushT, for 25 minutes on two cores
# (results/pusht/README.md).
LAPTOP_IMAGES = Preset(
    LstmGmmConfig(hidden=256, obs_noise=0.02),
    Training(
        updates=18_000,
        batch_size=32,
        lr=1e-3,
        weight_decay=0.0,
        keep_every=3600,
        precision=SAME_PRECISION,
    ),
    control="velocity",
    vision=CNN_IMAGES,
)

# Chosen on validation starts of Can and others (results/robomimic/README.md).
ROBOMIMIC = LstmGmmConfig(
    horizons=Horizons(1, 1, 4), reset_every=4, hidden=256, obs_noise=0.01
)

# What `dp-bench tune` searches.
SPACE: Space = {
    **SHARED,
    "policy.hidden": one_of(128, 256, 400),
    "policy.layers": one_of(1, 2),
    "policy.modes": one_of(1, 5, 10),
    "training.weight_decay": LogUniform(1e-6, 1e-1),
}

PRESETS: dict[tuple[str, ...], Preset] = {
    ("*", "smoke"): Preset(
        LstmGmmConfig(hidden=32),
        Training(
            updates=200,
            batch_size=64,
            lr=3e-3,
            warmup=20,
            weight_decay=0.0,
            validate_every=100,
        ),
        control="velocity",
        episodes=4,
    ),
    ("*", "smoke", "image"): Preset(
        LstmGmmConfig(hidden=32),
        Training(
            updates=40,
            batch_size=16,
            lr=1e-3,
            warmup=10,
            validate_every=20,
            weight_decay=0.0,
        ),
        vision=SMALL_IMAGES,
        control="velocity",
        episodes=4,
    ),
    # Chosen on validation starts (results/blockpush/README.md).
    ("blockpush", "laptop"): Preset(
        LstmGmmConfig(
            horizons=Horizons(1, 1, 4), reset_every=4, hidden=128, obs_scale=10.0
        ),
        Training(
            updates=24_000,
            batch_size=512,
            lr=4e-3,
            weight_decay=0.0,
            keep_every=6000,
            precision=SAME_PRECISION,
        ),
        control="velocity",
    ),
    # Chosen on validation starts (results/kitchen/README.md).
    ("kitchen", "laptop"): Preset(
        LstmGmmConfig(
            horizons=Horizons(1, 1, 4),
            reset_every=4,
            hidden=256,
            obs_min_range=KITCHEN_NEARLY_STILL,
        ),
        Training(
            updates=9000,
            batch_size=256,
            lr=3e-3,
            weight_decay=0.0,
            sensor_noise=KITCHEN_NOISE,
            keep_every=1500,
            precision=SAME_PRECISION,
        ),
        control="velocity",
    ),
    ("robomimic", "laptop"): Preset(
        ROBOMIMIC,
        Training(
            updates=4000,
            batch_size=256,
            lr=3e-3,
            weight_decay=0.0,
            keep_every=1000,
            precision=SAME_PRECISION,
        ),
        control="velocity",
    ),
    # Chosen on validation starts (results/pusht/README.md).
    ("*", "laptop"): Preset(
        LstmGmmConfig(hidden=256, obs_noise=0.02),
        Training(updates=4000, batch_size=128, lr=1e-3, weight_decay=0.0),
        control="velocity",
    ),
    # Chi et al. (2023), with the network of robomimic.
    ("kitchen", "paper"): Preset(
        LstmGmmConfig(obs_min_range=KITCHEN_STILL),
        PUBLISHED,
        control="velocity",
    ),
    # Chi et al. (2023), with the network of robomimic.
    ("*", "paper"): Preset(
        LstmGmmConfig(),
        PUBLISHED,
        control="velocity",
    ),
    # Chi et al. (2023), with robomimic's network for images.
    ("pusht", "paper", "image"): Preset(
        LstmGmmConfig(hidden=1000),
        PUBLISHED_FOR_IMAGES,
        vision=VisionConfig(crop=PUSHT_CROP),
        control="velocity",
    ),
    # Chi et al. (2023), with robomimic's network for images.
    ("*", "paper", "image"): Preset(
        LstmGmmConfig(hidden=1000),
        PUBLISHED_FOR_IMAGES,
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
            LAPTOP_IMAGES.training, updates=9500, batch_size=64, keep_every=1900
        ),
    ),
    # For one GPU of a data centre, 15 minutes a run; not measured yet.
    ("*", "gpu", "image"): Preset(
        LstmGmmConfig(),
        Training(
            updates=12_000,
            batch_size=32,
            lr=3e-4,
            weight_decay=0.0,
            precision="bfloat16",
        ),
        vision=VisionConfig(),
        control="velocity",
    ),
}
