"""A policy that predicts the mean action, linear in the observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Generator, Tensor, nn

from dp_bench.horizons import Horizons
from dp_bench.policies.base import Policy
from dp_bench.presets import Preset
from dp_bench.training.config import Training


@dataclass(frozen=True)
class MeanActionConfig:
    """Settings of `MeanAction`.

    Attributes:
        horizons: To, Ta, Tp.
        bias: Whether the prediction may differ from 0 where all observations are 0.
    """

    horizons: Horizons = field(default_factory=lambda: Horizons(1, 2, 4))
    bias: bool = True


class MeanAction(Policy):
    """Fits the mean action by least squares."""

    config_class = MeanActionConfig

    def __init__(
        self, config: MeanActionConfig, *, obs_dim: int, action_dim: int
    ) -> None:
        super().__init__(config, obs_dim=obs_dim, action_dim=action_dim)
        inputs = config.horizons.obs * obs_dim
        outputs = config.horizons.prediction * action_dim
        self.linear = nn.Linear(inputs, outputs, bias=config.bias)

    def loss(self, obs: Tensor, actions: Tensor, generator: Generator) -> Tensor:
        """Computes the mean squared error of a window's actions."""
        return F.mse_loss(self._mean(obs[:, : self.horizons.obs]), actions)

    def predict(self, obs: Tensor, generators: Sequence[Generator]) -> Tensor:
        """Predicts the mean action and draws nothing."""
        return self._mean(obs)

    def _mean(self, obs: Tensor) -> Tensor:
        flat = self.linear(obs.flatten(1))  # (B, Tp Da)
        return flat.unflatten(1, (self.horizons.prediction, self.action_dim))


PRESETS = {
    ("*", "smoke"): Preset(
        MeanActionConfig(),
        Training(updates=200, batch_size=64, lr=1e-2, warmup=10, validate_every=100),
        episodes=4,
    ),
}
