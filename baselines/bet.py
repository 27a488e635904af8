"""BET: behaviour transformer (Shafiullah et al., 2022, arXiv 2206.11251).

Letters: B batch, T = To steps, K clusters, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.base import Policy
from dp_bench.policies.layers import (
    ParameterGroup,
    TransformerLayer,
    check_transformer,
    decay_matrices,
    dropout,
    initialise_as_gpt,
    masked,
)
from dp_bench.policies.observations import ObsConfig


@dataclass(frozen=True)
class BetConfig(ObsConfig):
    """Settings of BET.

    Attributes:
        horizons: Ta is 1 and Tp is To: one action for each observation in the history.
        clusters: Clusters of actions, K.
        width: Size of a token.
        heads: Attention heads; divides `width`.
        layers: Layers of the transformer.
        dropout: Dropout of tokens, attention weights and each part of a layer.
        focal_gamma: Exponent of the focal loss; the larger, the less a well-predicted
            cluster counts.
        offset_weight: Weight of the offset's error; the cluster's error has weight 1.
    """

    horizons: Horizons = field(default_factory=lambda: Horizons(5, 1, 5))
    clusters: int = 64
    width: int = 120
    heads: int = 6
    layers: int = 6
    dropout: float = 0.1
    focal_gamma: float = 2.0
    offset_weight: float = 1000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        horizons = self.horizons
        if horizons.action != 1 or horizons.prediction != horizons.obs:
            raise BadInput(
                "BET gives one action for each observation: horizons.action must be 1 "
                f"and horizons.prediction equal to horizons.obs, got {horizons}"
            )
        self.refuse_without_older(self.horizons.obs)
        check_transformer(self.width, self.heads, self.layers)
        if self.clusters < 1:
            raise BadInput(f"clusters must be at least 1, got {self.clusters}")
        if not 0 <= self.dropout < 1:
            raise BadInput(f"dropout must be in [0, 1), got {self.dropout}")
        for name in ("focal_gamma", "offset_weight"):
            if not getattr(self, name) >= 0:
                raise BadInput(f"{name} must be 0 or above, got {getattr(self, name)}")
        if 0 < self.focal_gamma < 1:  # the slope is infinite where a probability is 1
            raise BadInput(
                f"focal_gamma must be 0 or at least 1, got {self.focal_gamma}"
            )


class BetNetwork(nn.Module):
    """A causal transformer over observations.

    Args:
        obs_dim: Do.
        outputs: Numbers per step: K logits, then an offset `(Da,)` for each cluster.
        steps: Length of the longest history.
        width: W.
        heads: Attention heads; divides W.
        layers: Number of layers.
        dropout: Dropout of tokens and layers.
    """

    def __init__(
        self,
        obs_dim: int,
        outputs: int,
        *,
        steps: int,
        width: int,
        heads: int,
        layers: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.token = nn.Linear(obs_dim, width)
        self.positions = nn.Parameter(torch.empty(steps, width))
        self.layers = nn.ModuleList(
            TransformerLayer(width, heads, dropout=dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs, bias=False)
        self.dropout = dropout
        initialise_as_gpt(self)
        nn.init.normal_(self.positions, std=0.02)
        past = torch.ones(steps, steps, dtype=torch.bool).tril()
        self.register_buffer("mask", masked(past), persistent=False)
        self.mask: Tensor

    def forward(self, obs: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Maps `(B, T, Do)` to `(B, T, outputs)`."""
        steps = obs.shape[1]
        x = self.token(obs) + self.positions[:steps]
        if self.training and self.dropout:
            x = dropout(x, self.dropout)
        for layer in self.layers:
            x = layer(x, self.mask[:steps, :steps], dtype=dtype)
        return self.head(self.norm(x))


class BetLoss(NamedTuple):
    """The two parts of BET's loss, scalars."""

    cluster: Tensor
    offset: Tensor


def nearest(actions: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Finds the nearest of `centers` `(K, Da)` to each action `(..., Da)`.

    Returns:
        The index of the center `(...)`, and the offset from it `(..., Da)`.
    """
    cluster = torch.cdist(actions.flatten(0, -2), centers).argmin(-1)
    cluster = cluster.view(actions.shape[:-1])
    return cluster, actions - centers[cluster]


def bet_loss(out: Tensor, actions: Tensor, centers: Tensor, gamma: float) -> BetLoss:
    """Computes the focal loss (Lin et al., 2017) of clusters, and the offsets' error.

    Args:
        out: Output of the network, `(B, T, K + K Da)`.
        actions: Normalised, `(B, T, Da)`.
        centers: Centers of the clusters, `(K, Da)`.
        gamma: Exponent of the focal loss.
    """
    k = len(centers)
    cluster, offset = nearest(actions, centers)
    log_share = F.log_softmax(out[..., :k], dim=-1)
    log_share = log_share.gather(-1, cluster.unsqueeze(-1)).squeeze(-1)
    focal = -((1 - log_share.exp()) ** gamma) * log_share
    return BetLoss(focal.mean(), F.mse_loss(offset_of(out, cluster, k), offset))


def offset_of(out: Tensor, cluster: Tensor, k: int) -> Tensor:
    """Selects the offset `(..., Da)` of one cluster from outputs `(..., K + K Da)`."""
    offsets = out[..., k:].unflatten(-1, (k, -1))
    index = cluster[..., None, None].expand(*cluster.shape, 1, offsets.shape[-1])
    return offsets.gather(-2, index).squeeze(-2)


class Bet(Policy):
    """Draws an action cluster, then adds the offset predicted for it."""

    config_class = BetConfig
    recordable = True
    config: BetConfig

    def __init__(self, config: BetConfig, *, obs_dim: int, action_dim: int) -> None:
        super().__init__(config, obs_dim=obs_dim, action_dim=action_dim)
        # Its memory is touched only after a loader could refuse its size.
        self.register_buffer("centers", torch.empty(config.clusters, action_dim))
        self.centers: Tensor
        self.centers.zero_()
        self.network = BetNetwork(
            obs_dim,
            config.clusters * (1 + action_dim),
            steps=config.horizons.obs,
            width=config.width,
            heads=config.heads,
            layers=config.layers,
            dropout=config.dropout,
        )

    def fit(self, obs: Tensor, actions: Tensor, generator: torch.Generator) -> None:
        """Sets the normalisers, and clusters the actions by k-means.

        Raises:
            BadInput: When the data have fewer different actions than clusters.
        """
        import numpy as np
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits

        super().fit(obs, actions, generator)
        rows = self.action_normalizer(actions).double().cpu().numpy()
        distinct = len(np.unique(rows, axis=0))
        if distinct < self.config.clusters:
            raise BadInput(
                f"{self.config.clusters} clusters need as many different actions, and "
                f"the demonstrations hold {distinct}; set policy.clusters to at most "
                f"{distinct}"
            )
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        with threadpool_limits(1):  # more threads would change the order of sums
            means = KMeans(self.config.clusters, n_init=1, random_state=seed).fit(rows)
        self.centers.copy_(torch.as_tensor(means.cluster_centers_))

    def parameter_groups(self, weight_decay: float) -> list[ParameterGroup]:
        """Lets only matrices decay."""
        return decay_matrices(self, weight_decay)

    def loss(self, obs: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """Adds the focal loss of clusters and the weighted error of offsets."""
        dtype = self.train_dtype if self.training else torch.float32
        out = self.network(self.disturbed(obs, generator), dtype)
        parts = bet_loss(out, actions, self.centers, self.config.focal_gamma)
        return parts.cluster + self.config.offset_weight * parts.offset

    def predict(self, obs: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Draws a cluster for the latest observation and adds the offset."""
        out = self.network(obs)  # (B, To, K + K Da)
        k = self.config.clusters
        draws = torch.stack([torch.rand(1, generator=g) for g in generators])
        shares = out[:, -1, :k].softmax(-1).cumsum(-1)
        cluster = (draws.to(obs.device) > shares[:, :-1]).sum(-1)  # (B,)
        action = self.centers[cluster] + offset_of(out[:, -1], cluster, k)
        return action.unsqueeze(1).expand(-1, self.horizons.prediction, -1)
