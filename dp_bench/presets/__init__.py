"""The settings of every (method, task) pair in three tiers, with where they come from.

`smoke` runs in seconds and shows that everything works; `laptop` is made for two
processor cores; `paper` has the published settings, for a GPU. A row under the name of
a group serves its tasks that have none of their own, and one under "*" all others,
those of other packages too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from dp_bench.baselines.bet import BetConfig
from dp_bench.baselines.ibc import IbcConfig
from dp_bench.baselines.lstm_gmm import LstmGmmConfig
from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.method import Method
from dp_bench.policies.diffusion.config import (
    TransformerDiffusionConfig,
    UnetDiffusionConfig,
)
from dp_bench.references import load
from dp_bench.registry import tasks
from dp_bench.training.loop import Training


@dataclass(frozen=True)
class Preset:
    """Settings of one method on one task.

    Attributes:
        policy: Settings of the policy.
        training: Settings of the training.
        control: What actions mean, "position" or "velocity"; none for the task's
            default, which also stands in where a task has no such control.
        episodes: How many test starts are played; none for all.
    """

    policy: Any
    training: Training
    control: str | None = None
    episodes: int | None = None


# On every processor, so that runs of several machines make one row. And on BlockPush a
# millimetre counts: bfloat16 keeps eight bits, a millimetre of 0.3 m.
EVERYWHERE: Final = "float32"
STILL: Final = 0.05  # what moves less in Kitchen is noise [rad, m]; as published
# At the laptop tier, chosen on validation starts: results/kitchen/README.md
HARDLY_MOVING: Final = 0.2  # such as the kettle's orientation, which noise would drown
KITCHEN_NOISE: Final = 3.0  # times the noise of the tests

DP_C = {
    ("*", "smoke"): Preset(
        UnetDiffusionConfig(channels=(32, 64), step_dim=32, sample_steps=4),
        Training(updates=200, batch_size=64, lr=1e-3, warmup=20, validate_every=100),
        episodes=4,
    ),
    # chosen on validation starts of BlockPush: results/blockpush/README.md
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
            precision=EVERYWHERE,
        ),
        control="velocity",
    ),
    # chosen on validation starts of Kitchen: results/kitchen/README.md
    ("kitchen", "laptop"): Preset(
        UnetDiffusionConfig(
            horizons=Horizons(1, 8, 12),
            predicts="sample",
            channels=(64, 128),
            step_dim=128,
            sample_steps=10,
            obs_min_range=HARDLY_MOVING,
        ),
        Training(
            updates=9000,
            batch_size=128,
            lr=2e-3,
            sensor_noise=KITCHEN_NOISE,
            keep_every=1500,
            precision=EVERYWHERE,
        ),
        control="position",
    ),
    # chosen on validation starts of Can and others: results/robomimic/README.md
    ("robomimic", "laptop"): Preset(
        UnetDiffusionConfig(
            horizons=Horizons(1, 8, 12),
            predicts="sample",
            channels=(64, 128),
            step_dim=128,
            sample_steps=10,
            obs_noise=0.01,
        ),
        Training(
            updates=5000,
            batch_size=128,
            lr=2e-3,
            keep_every=1000,
            precision=EVERYWHERE,
        ),
        control="position",
    ),
    # chosen on validation starts of PushT: results/pusht/README.md
    ("*", "laptop"): Preset(
        UnetDiffusionConfig(
            horizons=Horizons(2, 10, 16),
            channels=(32, 64, 128),
            step_dim=128,
            obs_noise=0.02,
        ),
        Training(updates=5000, batch_size=128, lr=1e-3),
    ),
    # Chi et al. (2023), published settings: 4500 epochs, as counted there; these
    # updates are about 4960 of ours, of 39 whole batches
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
    # Chi et al. (2023): some two million updates
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
    # Chi et al. (2023): 4500 epochs
    ("kitchen", "paper"): Preset(
        UnetDiffusionConfig(
            horizons=Horizons(2, 8, 16),
            sampler="ddpm",
            sample_steps=100,
            obs_min_range=STILL,
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
}

DP_T = {
    ("*", "smoke"): Preset(
        TransformerDiffusionConfig(width=32, layers=2, sample_steps=4),
        Training(updates=200, batch_size=64, lr=1e-3, warmup=20, validate_every=100),
        episodes=4,
    ),
    # chosen on validation starts of BlockPush: results/blockpush/README.md
    ("blockpush", "laptop"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(2, 1, 2), predicts="sample", width=96, layers=1,
            condition_layers=2, causal=True, dropout=0.0, obs_scale=10.0,
            obs_noise=0.003,
        ),
        Training(
            updates=15_000, batch_size=256, lr=3e-3, betas=(0.9, 0.95),
            weight_decay=1e-3, grad_clip=1.0, keep_every=3750,
            precision=EVERYWHERE,
        ),
        control="velocity",
    ),
    # chosen on validation starts of Kitchen: results/kitchen/README.md
    ("kitchen", "laptop"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(1, 8, 8), predicts="sample", width=96, layers=3,
            sample_steps=10, dropout=0.0, obs_min_range=HARDLY_MOVING,
        ),
        Training(
            updates=9000, batch_size=128, lr=3e-3, betas=(0.9, 0.95),
            weight_decay=1e-3, grad_clip=1.0, sensor_noise=KITCHEN_NOISE,
            keep_every=1500, precision=EVERYWHERE,
        ),
        control="position",
    ),
    # chosen on validation starts of Can and others: results/robomimic/README.md
    ("robomimic", "laptop"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(1, 8, 12), predicts="sample", width=96, layers=3,
            sample_steps=10, dropout=0.0, obs_noise=0.01,
        ),
        Training(
            updates=8000, batch_size=128, lr=2e-3, betas=(0.9, 0.95),
            weight_decay=1e-3, grad_clip=1.0, keep_every=2000, precision=EVERYWHERE,
        ),
        control="position",
    ),
    # chosen on validation starts of PushT: results/pusht/README.md
    ("*", "laptop"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(2, 8, 10), predicts="sample", width=96, layers=3,
            dropout=0.0, obs_noise=0.05,
        ),
        Training(
            updates=6000, batch_size=128, lr=2e-3, betas=(0.9, 0.95),
            weight_decay=1e-3, grad_clip=1.0,
        ),
    ),
    # Chi et al. (2023), as long as DP-C; attention dropout .01 on PushT
    ("pusht", "paper"): Preset(
        TransformerDiffusionConfig(sampler="ddpm", sample_steps=100, dropout=0.01),
        Training(
            updates=193_500, batch_size=256, lr=1e-4, betas=(0.9, 0.95),
            weight_decay=0.1, warmup=1000, validate_every=2000,
            precision="float32",
        ),
    ),
    ("blockpush", "paper"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(3, 1, 5), sampler="ddpm", sample_steps=100, dropout=0.3
        ),
        Training(
            updates=2_000_000, batch_size=256, lr=1e-4, betas=(0.9, 0.95),
            weight_decay=1e-3, warmup=1000, validate_every=10_000,
            precision="float32",
        ),
        control="velocity",
    ),
    # Chi et al. (2023), as long as DP-C
    ("kitchen", "paper"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(4, 8, 16), sampler="ddpm", sample_steps=100, width=768,
            dropout=0.1, obs_min_range=STILL,
        ),
        Training(
            updates=2_250_000, batch_size=256, lr=1e-4, betas=(0.9, 0.95),
            weight_decay=1e-3, warmup=1000, validate_every=10_000,
            precision="float32",
        ),
        control="position",
    ),
    ("*", "paper"): Preset(
        TransformerDiffusionConfig(
            horizons=Horizons(2, 8, 10), sampler="ddpm", sample_steps=100, dropout=0.3
        ),
        Training(
            updates=200_000, batch_size=256, lr=1e-4, betas=(0.9, 0.95),
            weight_decay=1e-3, warmup=1000, validate_every=2000,
            precision="float32",
        ),
    ),
}  # fmt: skip

# Chi et al. (2023): Adam, constant rate, no average
LSTM_GMM_PUBLISHED = Training(
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

LSTM_GMM = {
    ("*", "smoke"): Preset(
        LstmGmmConfig(hidden=32),
        Training(
            updates=200, batch_size=64, lr=3e-3, warmup=20, weight_decay=0.0,
            validate_every=100,
        ),
        control="velocity",
        episodes=4,
    ),
    # chosen on validation starts of BlockPush: results/blockpush/README.md
    ("blockpush", "laptop"): Preset(
        LstmGmmConfig(
            horizons=Horizons(1, 1, 4), reset_every=4, hidden=128, obs_scale=10.0
        ),
        Training(
            updates=24_000, batch_size=512, lr=4e-3, weight_decay=0.0, keep_every=6000,
            precision=EVERYWHERE,
        ),
        control="velocity",
    ),
    # chosen on validation starts of Kitchen: results/kitchen/README.md
    ("kitchen", "laptop"): Preset(
        LstmGmmConfig(
            horizons=Horizons(1, 1, 4), reset_every=4, hidden=256,
            obs_min_range=HARDLY_MOVING,
        ),
        Training(
            updates=9000, batch_size=256, lr=3e-3, weight_decay=0.0,
            sensor_noise=KITCHEN_NOISE, keep_every=1500, precision=EVERYWHERE,
        ),
        control="velocity",
    ),
    # chosen on validation starts of Can and others: results/robomimic/README.md
    ("robomimic", "laptop"): Preset(
        LstmGmmConfig(
            horizons=Horizons(1, 1, 4), reset_every=4, hidden=256, obs_noise=0.01
        ),
        Training(
            updates=4000, batch_size=256, lr=3e-3, weight_decay=0.0, keep_every=1000,
            precision=EVERYWHERE,
        ),
        control="velocity",
    ),
    # chosen on validation starts of PushT: results/pusht/README.md
    ("*", "laptop"): Preset(
        LstmGmmConfig(hidden=256, obs_noise=0.02),
        Training(updates=4000, batch_size=128, lr=1e-3, weight_decay=0.0),
        control="velocity",
    ),
    # Chi et al. (2023) with robomimic's network
    ("kitchen", "paper"): Preset(
        LstmGmmConfig(obs_min_range=STILL),
        LSTM_GMM_PUBLISHED,
        control="velocity",
    ),
    # Chi et al. (2023) with robomimic's network
    ("*", "paper"): Preset(
        LstmGmmConfig(),
        LSTM_GMM_PUBLISHED,
        control="velocity",
    ),
}  # fmt: skip

# Chi et al. (2023)
IBC_PUBLISHED = Training(
    updates=200_000,
    batch_size=256,
    lr=1e-4,
    ema=False,
    validate_every=2000,
    precision="float32",
)

IBC = {
    ("*", "smoke"): Preset(
        IbcConfig(hidden=64, layers=2, negatives=32, candidates=64, dropout=0.0),
        Training(updates=200, batch_size=64, lr=1e-3, warmup=20, validate_every=100),
        control="velocity",
        episodes=4,
    ),
    # chosen on validation starts of BlockPush: results/blockpush/README.md
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
            precision=EVERYWHERE,
        ),
        control="velocity",
    ),
    # chosen on validation starts of Kitchen: results/kitchen/README.md
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
            obs_min_range=HARDLY_MOVING,
        ),
        Training(
            updates=9000,
            batch_size=128,
            lr=2e-3,
            sensor_noise=KITCHEN_NOISE,
            keep_every=1500,
            precision=EVERYWHERE,
        ),
        control="velocity",
    ),
    # chosen on validation starts of Can and others: results/robomimic/README.md
    ("robomimic", "laptop"): Preset(
        IbcConfig(
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
        ),
        Training(
            updates=6000,
            batch_size=128,
            lr=2e-3,
            keep_every=1500,
            precision=EVERYWHERE,
        ),
        control="velocity",
    ),
    # chosen on validation starts of PushT: results/pusht/README.md
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
    # Chi et al. (2023): derivative-free
    ("kitchen", "paper"): Preset(
        IbcConfig(obs_min_range=STILL),
        IBC_PUBLISHED,
        control="velocity",
    ),
    # Chi et al. (2023): derivative-free
    ("*", "paper"): Preset(
        IbcConfig(),
        IBC_PUBLISHED,
        control="velocity",
    ),
}

BET = {
    ("*", "smoke"): Preset(
        BetConfig(clusters=8, width=32, heads=4, layers=2, dropout=0.0),
        Training(
            updates=200, batch_size=64, lr=1e-3, warmup=20, betas=(0.9, 0.95),
            validate_every=100,
        ),
        control="velocity",
        episodes=4,
    ),
    # chosen on validation starts of BlockPush: results/blockpush/README.md
    ("blockpush", "laptop"): Preset(
        BetConfig(
            horizons=Horizons(2, 1, 2), clusters=24, width=96, heads=4, layers=2,
            dropout=0.0, obs_scale=10.0, obs_noise=0.003,
        ),
        Training(
            updates=40_000, batch_size=256, lr=3e-3, betas=(0.9, 0.95),
            weight_decay=0.1, grad_clip=1.0, keep_every=10_000,
            precision=EVERYWHERE,
        ),
        control="velocity",
    ),
    # chosen on validation starts of Kitchen: results/kitchen/README.md
    ("kitchen", "laptop"): Preset(
        BetConfig(
            horizons=Horizons(4, 1, 4), width=96, heads=4, layers=4, dropout=0.0,
            obs_min_range=HARDLY_MOVING,
        ),
        Training(
            updates=12_000, batch_size=128, lr=1e-3, betas=(0.9, 0.95),
            weight_decay=0.1, grad_clip=1.0, sensor_noise=KITCHEN_NOISE,
            keep_every=2000, precision=EVERYWHERE,
        ),
        control="velocity",
    ),
    # chosen on validation starts of Can and others: results/robomimic/README.md
    ("robomimic", "laptop"): Preset(
        BetConfig(
            horizons=Horizons(2, 1, 2), width=96, heads=4, layers=4, dropout=0.0,
            obs_noise=0.003,
        ),
        Training(
            updates=6000, batch_size=128, lr=1e-3, betas=(0.9, 0.95),
            weight_decay=0.1, grad_clip=1.0, keep_every=1500, precision=EVERYWHERE,
        ),
        control="velocity",
    ),
    # chosen on validation starts of PushT: results/pusht/README.md
    ("*", "laptop"): Preset(
        BetConfig(width=96, heads=4, layers=4, obs_noise=0.02),
        Training(
            updates=6000, batch_size=128, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1,
            grad_clip=1.0,
        ),
        control="velocity",
    ),
    # Shafiullah et al. (2022): 350 epochs there
    ("blockpush", "paper"): Preset(
        BetConfig(
            horizons=Horizons(3, 1, 3), clusters=24, width=72, heads=4, layers=4
        ),
        Training(
            updates=165_000, batch_size=256, lr=1e-4, betas=(0.9, 0.95),
            weight_decay=0.1, grad_clip=1.0, warmup=0, schedule="constant", ema=False,
            validate_every=2000,
            precision="float32",
        ),
        control="velocity",
    ),
    # Shafiullah et al. (2022)
    ("kitchen", "paper"): Preset(
        BetConfig(horizons=Horizons(10, 1, 10), obs_min_range=STILL),
        Training(
            updates=165_000, batch_size=256, lr=1e-4, betas=(0.9, 0.95),
            weight_decay=0.1, grad_clip=1.0, warmup=0, schedule="constant", ema=False,
            validate_every=2000,
            precision="float32",
        ),
        control="velocity",
    ),
    # Shafiullah et al. (2022) for the optimiser; there are no published sizes for
    # PushT and Robomimic: those of Kitchen with half its history
    ("*", "paper"): Preset(
        BetConfig(),
        Training(
            updates=100_000, batch_size=256, lr=1e-4, betas=(0.9, 0.95),
            weight_decay=0.1, grad_clip=1.0, warmup=0, schedule="constant", ema=False,
            validate_every=2000,
            precision="float32",
        ),
        control="velocity",
    ),
}  # fmt: skip


def preset(method: Method, task: str, tier: str) -> Preset:
    """Finds the settings of a pair.

    Raises:
        BadInput: When there are none, with the tiers there are.
    """
    table = load(method.presets) if isinstance(method.presets, str) else method.presets
    known = tasks().get(task)
    rows = (task, known.group if known else "", "*")
    found = next((table[row, tier] for row in rows if (row, tier) in table), None)
    if found is None:
        tiers = sorted({t for name, t in table if name in rows})
        raise BadInput(
            f"no preset {tier!r} for {method.name} on {task}; "
            f"there is {', '.join(tiers) or 'none'}"
        )
    return found
