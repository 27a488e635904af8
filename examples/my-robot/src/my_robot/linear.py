"""The method: settings, a policy with a loss and a prediction, and presets."""

from dataclasses import dataclass, field

from torch import nn

from dp_bench.horizons import Horizons
from dp_bench.policies.base import Policy
from dp_bench.presets import Preset
from dp_bench.training.config import Training


@dataclass(frozen=True)
class LinearConfig:
    """Settings of `Linear`: To, Ta, Tp."""

    horizons: Horizons = field(default_factory=lambda: Horizons(1, 2, 4))


class Linear(Policy):
    """Predicts actions as a linear function of the observations."""

    config_class = LinearConfig

    def __init__(self, config, *, obs_dim, action_dim):
        """Makes one layer from To observations to Tp actions."""
        super().__init__(config, obs_dim=obs_dim, action_dim=action_dim)
        To, Tp = self.horizons.obs, self.horizons.prediction
        self.layer = nn.Linear(To * obs_dim, Tp * action_dim)

    def loss(self, obs, actions, generator):
        """Mean squared error; obs `(B, Tp, Do)`, actions `(B, Tp, Da)`, normalised."""
        predicted = self.predict(obs[:, : self.horizons.obs], ())
        return (predicted - actions).square().mean()

    def predict(self, obs, generators):
        """Predicts `(B, Tp, Da)` from observations `(B, To, Do)`, both normalised."""
        return self.layer(obs.flatten(1)).unflatten(1, (-1, self.action_dim))


PRESETS = {
    ("*", "smoke"): Preset(LinearConfig(), Training(updates=200, lr=1e-2), episodes=4),
    ("*", "laptop"): Preset(LinearConfig(), Training(updates=2000, lr=1e-2)),
}
