"""Settings of a training, and the schedules that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from dp_bench.errors import BadInput


@dataclass(frozen=True)
class Training:
    """Settings of a training.

    Attributes:
        updates: Number of optimiser steps.
        batch_size: Windows per update.
        lr: Highest learning rate.
        betas: Betas of AdamW.
        weight_decay: Weight decay of AdamW.
        warmup: Updates over which the learning rate rises linearly.
        schedule: Learning rate after warm-up: "cosine" falls to 0, "constant" stays.
        grad_clip: Largest norm of the gradient; none for no clipping.
        ema: Whether to evaluate an exponential moving average of the weights.
        sensor_noise: Observation noise in training, as a multiple of the noise in
            evaluation; 0 for none. Each batch draws it anew. Actions that are relative
            to the observation change with it.
        keyframe_weight: How much more often training draws windows whose actions do
            not follow from the actions before (Wen et al., 2021). A window of average
            surprise has weight 1 + keyframe_weight, one without surprise has weight 1;
            0 draws all equally. Methods with other horizons then see other moments in
            a batch.
        precision: Arithmetic of the loss. "auto" is bfloat16 on a processor that
            multiplies it natively, else float32. Weights are always float32.
        log_every: Updates between lines of the log.
        validate_every: Updates between validations.
        keep_every: Updates between weights kept for learning curves; 0 for none.
        save_seconds: Seconds between states to resume from.
        frames: Where images lie during the training: in "memory" on the device, or in
            their "file", which a thread reads ahead. "auto" is memory if the images
            of all trainings that run at a time take at most half of what is free.
        threads: Threads of the CPU that compute the training. They move the last
            digits of sums, so a run has the same number on every machine.
    """

    updates: int = 8000
    batch_size: int = 128
    lr: float = 3e-4
    betas: tuple[float, float] = (0.95, 0.999)
    weight_decay: float = 1e-6
    warmup: int = 500
    schedule: Literal["cosine", "constant"] = "cosine"
    grad_clip: float | None = None
    ema: bool = True
    sensor_noise: float = 0.0
    keyframe_weight: float = 0.0
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    log_every: int = 50
    validate_every: int = 500
    keep_every: int = 0
    save_seconds: float = 60.0
    frames: Literal["auto", "memory", "file"] = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        for name in (
            "updates", "batch_size", "log_every", "validate_every", "threads",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise BadInput(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("lr", "save_seconds"):
            if not getattr(self, name) > 0:
                raise BadInput(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("weight_decay", "warmup", "keep_every"):
            if getattr(self, name) < 0:
                raise BadInput(f"{name} must be 0 or above, got {getattr(self, name)}")
        for name in ("sensor_noise", "keyframe_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadInput(f"{name} must be 0 or above, got {getattr(self, name)}")
        if self.grad_clip is not None and not self.grad_clip > 0:
            raise BadInput(f"grad_clip must be above 0 or none, got {self.grad_clip}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise BadInput(f"betas must be in [0, 1), got {self.betas}")


def ema_decay(step: int) -> float:
    """Returns the decay of the moving average at update `step`, counted from 1.

    It is `1 - step^(-3/4)`, at most 0.9999: the average has a short memory at first
    and a long one later.
    """
    return min(max(0.0, 1 - max(step, 1) ** -0.75), 0.9999)


def lr_factor(step: int, training: Training) -> float:
    """Returns the learning rate at update `step`, as a share of the highest one.

    Args:
        step: Update, counted from 0.
        training: Settings.
    """
    if step < training.warmup:
        return step / training.warmup
    if training.schedule == "constant":
        return 1.0
    progress = (step - training.warmup) / max(1, training.updates - training.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
