"""IBC: implicit behavioural cloning (Florence et al., 2021, arXiv 2109.00137).

An energy is learned for pairs of observation and action; deciding is a search for an
action of low energy. Here the network gives the negative energy, a score: high is good.

Letters: B batch, N candidate actions of each, H units of a layer.
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


@dataclass(frozen=True)
class IbcConfig(ObsConfig):
    """Settings of IBC.

    Attributes:
        horizons: Tp is To - 1 + Ta: no action is scored that is not executed.
        hidden: Units of each layer.
        layers: Hidden layers.
        dropout: Of the units of hidden layers.
        negatives: Wrong actions that each right one is told from.
        positive_noise: Standard deviation of noise added to right actions.
        search: "dfo" draws and resamples (derivative-free; uniform negatives in
            training), "langevin" climbs the score with noise, in training too.
        candidates: Actions that a decision searches among.
        rounds: Of resampling, "dfo"; candidates are scored once more after the last.
            The more there are, the closer to the best candidate is what is drawn: with
            none, actions are drawn by their density.
        round_noise: Standard deviation of noise after resampling, "dfo".
        langevin_steps: Steps of a climb; a decision climbs twice, the second time
            with small steps.
        langevin_rate: First and last step size of a climb.
        gradient_margin: Largest slope of the score that training leaves unpunished,
            "langevin".
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
                "IBC predicts what is executed and no more: horizons.prediction must "
                f"be horizons.obs - 1 + horizons.action, got {h}"
            )
        for name in ("hidden", "layers", "negatives", "candidates", "langevin_steps"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} must be at least 1, got {getattr(self, name)}")
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
    """An MLP on observations and actions, with one number as its output.

    The first layer is two, one for observations and one for actions, so that
    observations go through it once however many actions are scored.

    Args:
        obs_features: To * Do.
        action_features: Ta * Da.
        hidden: H.
        layers: Hidden layers.
        dropout: Of hidden units.
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
        joint = nn.Linear(obs_features + action_features, hidden)  # for its weights
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
        """Scores actions `(B, N, Ta Da)` with observations `(B, To Do)`, `(B, N)`."""
        x = self._on(self.of_obs(obs).unsqueeze(1) + self.of_action(actions))
        for layer in self.inner:
            x = self._on(layer(x, dtype))
        return self.out(x).squeeze(-1)

    def _on(self, x: Tensor) -> Tensor:
        if self.training and self.dropout:
            x = dropout(x, self.dropout)
        return F.relu(x)


def infonce(scores: Tensor) -> Tensor:
    """Cross-entropy of telling the first of `(B, 1 + N)` actions from the others."""
    right = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    return F.cross_entropy(scores, right)


class Ibc(Policy):
    """Searches the action that its network likes best."""

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
        """InfoNCE, and for "langevin" a punishment of slopes above the margin."""
        config, device = self.config, obs.device

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=device)

        seen = self.blurred(obs[:, : self.horizons.obs], generator).flatten(1)
        right = actions[:, self.horizons.executed].flatten(1)
        right = right + config.positive_noise * normal(*right.shape)
        shape = (len(seen), config.negatives, self.action_features)
        wrong = torch.rand(shape, generator=generator, device=device) * 2 - 1
        if config.search == "langevin":
            rate = config.langevin_rate
            wrong = self._climb(seen.detach(), wrong, rate, lambda: normal(*shape))
        candidates = torch.cat([right.unsqueeze(1), wrong], dim=1)
        dtype = self.train_dtype if self.training else torch.float32
        loss = infonce(self.network(seen, candidates, dtype))
        if config.search == "langevin" and torch.is_grad_enabled():
            loss = loss + self._steepness(seen, candidates)
        return loss

    def predict(self, obs: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Searches actions `(B, Ta, Da)`, with To - 1 steps before that count not."""
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
                candidates = self._climb(
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

    def _climb(
        self,
        obs: Tensor,
        actions: Tensor,
        rate: tuple[float, float],
        normal: Callable[[], Tensor],
    ) -> Tensor:
        """Langevin dynamics on the score; the step size falls as a square."""
        steps = self.config.langevin_steps
        (first, last), training = rate, self.training
        largest = 0.1  # of a step, half the range being 1
        self.network.eval()  # no dropout on the way up
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

    def _steepness(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Mean square of how far slopes exceed the margin, in the largest direction."""
        actions = actions.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(
            self.network(obs, actions).sum(), actions, create_graph=True
        )
        excess = slope.abs().amax(-1) - self.config.gradient_margin
        return excess.clamp(min=0).square().mean()


def _drawn(scores: Tensor, draws: Tensor) -> Tensor:
    """Numbers drawn by the softmax of `(B, N)`, one for each of `(B, M)` uniforms."""
    if not scores.isfinite().all():
        raise BadInput("the network gives scores that are not finite")
    shares = scores.softmax(-1).cumsum(-1)
    found = torch.searchsorted(shares, draws * shares[:, -1:], right=True)
    return found.clamp_(max=scores.shape[1] - 1)
