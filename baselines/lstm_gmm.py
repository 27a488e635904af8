"""LSTM-GMM: recurrent network with a Gaussian-mixture output (Mandlekar et al., 2021).

Robomimic calls it BC-RNN. Letters: B batch, T steps, M modes of the mixture, L layers
and H units of the recurrent network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
)

from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.base import Policy
from dp_bench.policies.observations import ObsConfig

SMALLEST_STD = 1e-4  # smallest standard deviation of a mode, in normalised actions


@dataclass(frozen=True)
class LstmGmmConfig(ObsConfig):
    """Settings of LSTM-GMM.

    Attributes:
        horizons: To and Ta are 1, as the network remembers earlier observations. Tp is
            the length of the training sequences.
        hidden: Units of each recurrent layer.
        layers: Recurrent layers.
        modes: Gaussians in the mixture.
        reset_every: Steps of an episode after which the hidden state is reset; as long
            as the training sequences.
        std: Standard deviation of every mode in evaluation, in normalised actions; None
            for the learned ones.
    """

    horizons: Horizons = field(default_factory=lambda: Horizons(1, 1, 10))
    hidden: int = 400
    layers: int = 2
    modes: int = 5
    reset_every: int = 10
    std: float | None = SMALLEST_STD

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.horizons.obs, self.horizons.action) != (1, 1):
            raise BadInput(
                "LSTM-GMM sees one observation and gives one action at a time: "
                f"horizons.obs and horizons.action must be 1, got {self.horizons}"
            )
        self.refuse_without_older(self.horizons.prediction)
        for name in ("hidden", "layers", "modes", "reset_every"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.std is not None and not self.std > 0:
            raise BadInput(f"std must be above 0, or none, got {self.std}")


class Mixture(NamedTuple):
    """Means and standard deviations `(B, T, M, Da)`, and logits `(B, T, M)`."""

    means: Tensor
    stds: Tensor
    logits: Tensor

    def distribution(self) -> MixtureSameFamily:
        """Builds a distribution with batch shape `(B, T)` and event shape `(Da,)`."""
        modes = Independent(Normal(self.means, self.stds, validate_args=False), 1)
        return MixtureSameFamily(
            Categorical(logits=self.logits, validate_args=False),
            modes,
            validate_args=False,
        )

    def log_prob(self, actions: Tensor) -> Tensor:
        """Computes the log density `(B, T)` of actions `(B, T, Da)`."""
        z = (actions.unsqueeze(2) - self.means) / self.stds
        dim = actions.shape[-1]
        log_z = 0.5 * (z * z).sum(-1) + self.stds.log().sum(-1)
        half_log_2_pi = 0.9189385332046727
        log_modes = F.log_softmax(self.logits, dim=-1) - log_z - dim * half_log_2_pi
        return log_modes.logsumexp(-1)


class LstmGmmNetwork(nn.Module):
    """A recurrent network that outputs a mixture for each step.

    Args:
        obs_dim: Do.
        action_dim: Da.
        hidden: H.
        layers: L.
        modes: M.
    """

    def __init__(
        self, obs_dim: int, action_dim: int, *, hidden: int, layers: int, modes: int
    ) -> None:
        super().__init__()
        self.shape = (modes, action_dim)
        self.lstm = nn.LSTM(obs_dim, hidden, layers, batch_first=True)
        self.mean = nn.Linear(hidden, modes * action_dim)
        self.std = nn.Linear(hidden, modes * action_dim)
        self.logits = nn.Linear(hidden, modes)

    def unroll(
        self, obs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Mixture, tuple[Tensor, Tensor]]:
        """Reads observations `(B, T, Do)`, starting from a state `(L, B, H)` twice."""
        features, state = self.lstm(obs, state)
        means = torch.tanh(self.mean(features)).unflatten(-1, self.shape)
        stds = F.softplus(self.std(features)).unflatten(-1, self.shape) + SMALLEST_STD
        return Mixture(means, stds, self.logits(features)), state

    def forward(self, obs: Tensor) -> MixtureSameFamily:
        """Returns the distribution of the action at each step of `(B, T, Do)`."""
        return self.unroll(obs)[0].distribution()


class Memory(NamedTuple):
    """The memory of a lane: the state `(L, H)` twice, and the steps since its reset."""

    hidden: Tensor
    cell: Tensor
    steps: int


class LstmGmm(Policy):
    """Draws each action from a mixture that depends on all steps since a reset."""

    config_class = LstmGmmConfig
    recordable = True
    config: LstmGmmConfig

    def __init__(self, config: LstmGmmConfig, *, obs_dim: int, action_dim: int) -> None:
        super().__init__(config, obs_dim=obs_dim, action_dim=action_dim)
        self.network = LstmGmmNetwork(
            obs_dim,
            action_dim,
            hidden=config.hidden,
            layers=config.layers,
            modes=config.modes,
        )

    @property
    def rows_seen(self) -> int:
        """All rows: the action of a row depends on the observations up to that row."""
        return self.horizons.prediction

    def loss(self, obs: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """Computes the mean negative log-likelihood of a sequence of actions."""
        mixture, _ = self.network.unroll(self.disturbed(obs, generator))
        return -mixture.log_prob(actions).mean()

    def predict_from(
        self,
        obs: Tensor,
        generators: Sequence[torch.Generator],
        memory: list[object],
    ) -> Tensor:
        """Reads one observation, draws a mode, and draws an action from the mode."""
        size = (self.config.layers, self.config.hidden)
        zeros = torch.zeros(size, device=obs.device)
        start = Memory(zeros, zeros, 0)
        kept = [m if isinstance(m, Memory) else start for m in memory]
        state = (
            torch.stack([m.hidden for m in kept], dim=1),
            torch.stack([m.cell for m in kept], dim=1),
        )
        mixture, (h, c) = self.network.unroll(obs, state)
        for i, m in enumerate(kept):
            full = m.steps + 1 == self.config.reset_every
            memory[i] = None if full else Memory(h[:, i], c[:, i], m.steps + 1)

        draws = torch.stack([torch.rand(1, generator=g) for g in generators])
        noise = torch.stack(
            [torch.randn(self.action_dim, generator=g) for g in generators]
        )
        shares = mixture.logits[:, 0].softmax(-1).cumsum(-1)  # (B, M)
        mode = (draws.to(obs.device) > shares[:, :-1]).sum(-1)
        lanes = torch.arange(len(obs), device=obs.device)
        std = self.config.std
        stds = mixture.stds[lanes, 0, mode] if std is None else std
        return (mixture.means[lanes, 0, mode] + stds * noise.to(obs.device)).unsqueeze(
            1
        )
