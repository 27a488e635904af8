"""IBC: implicit behavioural cloning (Florence et al., 2021, arXiv 2109.00137).

The network learns an energy for pairs of observation and action, and a decision
searches for the action that minimises it. Here the network outputs the negative energy,
a score: the higher the better.

Letters: B batch, N candidate actions for each observation, H units of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.base import Policy
from dp_bench.policies.layers import Linear, dropout
from dp_bench.policies.observations import ObsConfig

MOST = {
    "negatives": 1 << 20,
    "candidates": 1 << 20,
    "rounds": 1000,
    "langevin_steps": 10_000,
}


@dataclass(frozen=True)
class IbcConfig(ObsConfig):
    """Settings of IBC.

    Attributes:
        horizons: Tp is To - 1 + Ta: the network scores executed actions only.
        hidden: Units of each layer.
        layers: Hidden layers.
        dropout: Dropout of hidden units.
        negatives: Counter-examples for each demonstrated action.
        positive_noise: Standard deviation of the noise on demonstrated actions.
        search: "dfo" needs no derivatives: it draws candidates uniformly and resamples
            them by their scores; training draws counter-examples uniformly. "langevin"
            moves candidates and counter-examples up the slope of the score, with noise.
        candidates: Candidate actions of a decision.
        rounds: Rounds of resampling in a "dfo" search, before the final draw. With 0,
            actions are drawn by their learned density; with more rounds, the draw is
            closer to the best candidate.
        round_noise: Standard deviation of the noise after each round, "dfo".
        langevin_steps: Steps of one Langevin run; a decision makes two runs, the second
            with small steps.
        langevin_rate: First and last step size of a Langevin run.
        gradient_margin: Training penalises slopes of the score above this, "langevin".
    """

    horizons: Horizons = field(default_factory=lambda: Horizons(2, 1, 2))
    hidden: int = 1024
    layers: int = 4
    dropout: float = 0.1
    negatives: int = 1024
    positive_noise: float = 1e-4
    search: Literal["dfo", "langevin"] = "dfo"
    candidates: int = 1024
    rounds: int = 4
    round_noise: float = 0.03
    langevin_steps: int = 50
    langevin_rate: tuple[float, float] = (0.1, 1e-5)
    gradient_margin: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        h = self.horizons
        if h.prediction != h.obs - 1 + h.action:
            raise BadInput(
                "IBC predicts executed actions only: horizons.prediction must be "
                f"horizons.obs - 1 + horizons.action, got {h}"
            )
        self.refuse_without_older(self.horizons.obs)
        for name in ("hidden", "layers", "negatives", "candidates", "langevin_steps"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} must be at least 1, got {getattr(self, name)}")
        for name, most in MOST.items():
            if getattr(self, name) > most:
                raise BadInput(
                    f"{name} must be at most {most}, got {getattr(self, name)}"
                )
        for name in (
            "rounds", "positive_noise", "round_noise", "gradient_margin",
        ):  # fmt: skip
            if not getattr(self, name) >= 0:
                raise BadInput(f"{name} must be 0 or above, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise BadInput(f"dropout must be in [0, 1), got {self.dropout}")
        first, last = self.langevin_rate
        if not first >= last > 0:
            raise BadInput(
                f"langevin_rate must fall and stay above 0, got {self.langevin_rate}"
            )


class IbcNetwork(nn.Module):
    """An MLP that maps observations and an action to one number.

    The first layer is split into one for observations and one for actions. Observations
    pass through it once, whatever the number of candidate actions.

    Args:
        obs_features: To * Do.
        action_features: Ta * Da.
        hidden: H.
        layers: Hidden layers.
        dropout: Dropout of hidden units.
    """

    def __init__(
        self,
        obs_features: int,
        action_features: int,
        *,
        hidden: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        joint = nn.Linear(
            obs_features + action_features, hidden
        )  # for its initial weights
        self.of_obs = nn.Linear(obs_features, hidden)
        self.of_action = nn.Linear(action_features, hidden, bias=False)
        with torch.no_grad():
            self.of_obs.weight.copy_(joint.weight[:, :obs_features])
            self.of_obs.bias.copy_(joint.bias)
            self.of_action.weight.copy_(joint.weight[:, obs_features:])
        self.inner = nn.ModuleList(Linear(hidden, hidden) for _ in range(layers - 1))
        self.out = nn.Linear(hidden, 1)
        self.dropout = dropout

    def forward(
        self, obs: Tensor, actions: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Computes scores `(B, N)` of actions `(B, N, Ta Da)`.

        Observations are `(B, To Do)`.
        """
        x = self._activated(self.of_obs(obs).unsqueeze(1) + self.of_action(actions))
        for layer in self.inner:
            x = self._activated(layer(x, dtype))
        return self.out(x).squeeze(-1)

    def _activated(self, x: Tensor) -> Tensor:
        if self.training and self.dropout:
            x = dropout(x, self.dropout)
        return F.relu(x)


def infonce(scores: Tensor) -> Tensor:
    """Computes the cross-entropy of choosing the first of `(B, 1 + N)` actions."""
    first = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    return F.cross_entropy(scores, first)


class Ibc(Policy):
    """Searches for the action that minimises a learned energy."""

    config_class = IbcConfig
    recordable = True
    config: IbcConfig

    def __init__(self, config: IbcConfig, *, obs_dim: int, action_dim: int) -> None:
        super().__init__(config, obs_dim=obs_dim, action_dim=action_dim)
        self.action_features = config.horizons.action * action_dim
        self.network = IbcNetwork(
            config.horizons.obs * obs_dim,
            self.action_features,
            hidden=config.hidden,
            layers=config.layers,
            dropout=config.dropout,
        )

    def loss(self, obs: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """Computes InfoNCE; "langevin" adds a penalty for slopes above the margin."""
        config, device = self.config, obs.device

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=device)

        seen = self.disturbed(obs[:, : self.horizons.obs], generator).flatten(1)
        positives = actions[:, self.horizons.executed].flatten(1)
        positives = positives + config.positive_noise * normal(*positives.shape)
        shape = (len(seen), config.negatives, self.action_features)
        negatives = torch.rand(shape, generator=generator, device=device) * 2 - 1
        if config.search == "langevin":
            rate = config.langevin_rate
            negatives = self._langevin(
                seen.detach(), negatives, rate, lambda: normal(*shape)
            )
        candidates = torch.cat([positives.unsqueeze(1), negatives], dim=1)
        dtype = self.train_dtype if self.training else torch.float32
        loss = infonce(self.network(seen, candidates, dtype))
        if config.search == "langevin" and torch.is_grad_enabled():
            loss = loss + self._slope_penalty(seen, candidates)
        return loss

    def predict(self, obs: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Finds Ta actions, preceded by To - 1 placeholders that are never executed."""
        seen = obs.flatten(1)
        shape = (self.config.candidates, self.action_features)

        def each(draw: Callable[..., Tensor], *size: int) -> Tensor:
            return torch.stack([draw(*size, generator=g) for g in generators]).to(
                obs.device
            )

        candidates = each(torch.rand, *shape) * 2 - 1
        if self.config.search == "langevin":
            first, last = self.config.langevin_rate
            for rate in ((first, last), (last, last)):
                candidates = self._langevin(
                    seen, candidates, rate, lambda: each(torch.randn, *shape)
                )
        else:
            for _ in range(self.config.rounds):
                scores = self.network(seen, candidates)
                kept = _drawn(scores, each(torch.rand, len(candidates[0])))
                candidates = candidates.gather(1, kept[..., None].expand_as(candidates))
                noise = each(torch.randn, *shape)
                candidates = candidates + self.config.round_noise * noise
                candidates = candidates.clamp_(-1, 1)
        scores = self.network(seen, candidates)
        chosen = _drawn(scores, each(torch.rand, 1))[:, 0]
        lanes = torch.arange(len(obs), device=obs.device)
        actions = candidates[lanes, chosen].unflatten(1, (-1, self.action_dim))
        before = actions[:, :1].expand(-1, self.horizons.obs - 1, -1)
        return torch.cat([before, actions], dim=1)

    def _langevin(
        self,
        obs: Tensor,
        actions: Tensor,
        rate: tuple[float, float],
        normal: Callable[[], Tensor],
    ) -> Tensor:
        """Runs Langevin dynamics on the score; step sizes fall quadratically."""
        steps = self.config.langevin_steps
        (first, last), training = rate, self.training
        largest = 0.1  # largest change in one step; actions lie in [-1, 1]
        self.network.eval()  # dropout would disturb the slopes
        with torch.inference_mode(False), torch.enable_grad():
            seen, x = obs.clone().detach(), actions.clone().detach()
            for k in range(steps):
                size = last + (first - last) * (1 - k / max(steps - 1, 1)) ** 2
                x.requires_grad_(True)
                (slope,) = torch.autograd.grad(self.network(seen, x).sum(), x)
                delta = size * (0.5 * slope + normal())
                x = (x.detach() + delta.clamp(-largest, largest)).clamp(-1, 1)
        self.network.train(training)
        return x

    def _slope_penalty(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Computes the mean squared excess of the steepest slope over the margin."""
        actions = actions.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(
            self.network(obs, actions).sum(), actions, create_graph=True
        )
        excess = slope.abs().amax(-1) - self.config.gradient_margin
        return excess.clamp(min=0).square().mean()


def _drawn(scores: Tensor, draws: Tensor) -> Tensor:
    """Draws indices from the softmax of `(B, N)`, one for each uniform of `(B, M)`."""
    if not scores.isfinite().all():
        raise BadInput(
            "the network's scores are not finite; training has probably diverged: "
            "lower training.lr"
        )
    shares = scores.softmax(-1).cumsum(-1)
    indices = torch.searchsorted(shares, draws * shares[:, -1:], right=True)
    return indices.clamp_(max=scores.shape[1] - 1)
