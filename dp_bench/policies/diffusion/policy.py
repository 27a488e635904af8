"""Diffusion Policy (Chi et al., 2023, arXiv 2303.04137) with several networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dp_bench import references, registry
from dp_bench.policies.base import Policy
from dp_bench.policies.diffusion.adaln import AdaptiveTransformer
from dp_bench.policies.diffusion.config import (
    DiffusionConfig,
    MlpDiffusionConfig,
    TransformerDiffusionConfig,
    UnetDiffusionConfig,
)
from dp_bench.policies.diffusion.denoiser import ConditionedNetwork
from dp_bench.policies.diffusion.mlp import Mlp
from dp_bench.policies.diffusion.network import Network, traced
from dp_bench.policies.diffusion.objectives import OBJECTIVES, Objective
from dp_bench.policies.diffusion.schedule import noise_schedule
from dp_bench.policies.diffusion.transformer import Transformer
from dp_bench.policies.diffusion.unet import Unet
from dp_bench.policies.layers import ParameterGroup, decay_matrices


class _Traced(NamedTuple):
    """A network, and the recording of its `denoise`."""

    network: Network
    denoise: Callable[[Tensor, Tensor], Tensor]


class Diffusion(Policy):
    """Denoises a sequence of actions, given observations.

    A subclass makes the network. The noise schedule is stored with the weights: a
    network cannot be sampled with another schedule than it was trained with, and
    sampling needs no library of schedules.
    """

    recordable = True
    config: DiffusionConfig
    network: Network

    def __init__(
        self, config: DiffusionConfig, *, obs_dim: int, action_dim: int
    ) -> None:
        super().__init__(config, obs_dim=obs_dim, action_dim=action_dim)
        references.load(registry.sampler(config.sampler).function)  # now, if it cannot
        unknown = torch.full((config.train_steps,), torch.nan)
        self.register_buffer("alphas_bar", unknown)
        self.alphas_bar: Tensor
        self.network = self.make_network()
        self._traced: _Traced | None = None

    def make_network(self) -> Network:
        """Builds the network with its initial weights."""
        raise NotImplementedError

    def fit(self, obs: Tensor, actions: Tensor, generator: torch.Generator) -> None:
        """Sets the normalisers and the noise schedule."""
        super().fit(obs, actions, generator)
        self.alphas_bar.copy_(noise_schedule(self.config.train_steps))

    @property
    def objective(self) -> Objective:
        """What the network is trained on, and how it decides."""
        return OBJECTIVES[self.config.objective](self.config, self.alphas_bar)

    def loss(self, obs: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """Computes the loss of the objective.

        With K noise draws it is the mean over K draws for each window.
        """
        draws, seen = self.config.noise_draws, obs[:, : self.horizons.obs]
        if draws > 1:
            actions = actions.repeat(draws, 1, 1)  # (K B, Tp, Da)
            seen = seen.repeat(draws, 1, 1)
        example = self.objective.example(actions, generator)
        seen = self.disturbed(seen, generator)
        passes = len(example.weights)
        if passes > 1:
            seen = seen.repeat(passes, 1, 1)
        dtype = self.train_dtype if self.training else torch.float32
        return example.error(self.network(example.x, example.t, seen, dtype))

    def predict(self, obs: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Predicts a sequence of actions."""
        shape = (self.objective.draws, self.horizons.prediction, self.action_dim)
        noise = torch.stack(
            [torch.randn(shape, generator=g) for g in generators], dim=1
        ).to(obs.device)  # (draws, B, Tp, Da)
        return self.sample(obs, noise)

    def predict_from(
        self,
        obs: Tensor,
        generators: Sequence[torch.Generator],
        memory: list[object],
    ) -> Tensor:
        """Predicts a sequence of actions; of several, the one that fits the past best.

        The memory of a lane holds its latest executed actions, `(To - 1, Da)` at most.
        """
        draws, past_steps = self.config.past_samples, self.horizons.obs - 1
        if draws == 1:
            return self.predict(obs, generators)
        # Nothing was executed yet where an episode begins, so one draw is enough.
        counts = [1 if kept is None else draws for kept in memory]
        repeats = torch.tensor(counts, device=obs.device)
        of_draws = [
            g for g, n in zip(generators, counts, strict=True) for _ in range(n)
        ]
        drawn = self.predict(obs.repeat_interleave(repeats, dim=0), of_draws)
        chosen = []
        for lane, sequences in enumerate(drawn.split(counts)):  # (draws, Tp, Da)
            kept = memory[lane]
            past = kept if isinstance(kept, Tensor) else sequences[0, :0]
            past_of_draws = sequences[:, past_steps - len(past) : past_steps]
            errors = (past_of_draws - past).square().sum((1, 2))
            best = sequences[int(errors.argmin())]
            executed = torch.cat([past, best[self.horizons.executed]])
            memory[lane] = executed[-past_steps:]
            chosen.append(best)
        return torch.stack(chosen)

    def sample(self, obs: Tensor, noise: Tensor) -> Tensor:
        """Predicts with the given noise.

        Args:
            obs: Normalised, `(B, To, Do)`.
            noise: Standard normal, `(draws, B, Tp, Da)`; see `Objective`.

        Returns:
            Normalised actions, `(B, Tp, Da)`.
        """
        shape = (self.horizons.prediction, self.action_dim)
        network = ConditionedNetwork(self.network, obs, shape, self._denoise)
        return self.objective.decide(network, iter(noise))

    def _denoise(self, x: Tensor, condition: Tensor) -> Tensor:
        """Asks the network, or for one lane on a CPU its recording."""
        many = len(x) > 1 or x.device.type != "cpu"
        if many or self.training or torch.is_grad_enabled():
            return self.network.denoise(x, condition)
        if self._traced is None or self._traced.network is not self.network:
            self._traced = _Traced(self.network, traced(self.network, x, condition))
        return self._traced.denoise(x, condition)

    def __getstate__(self) -> dict[str, object]:
        """Leaves the recording out of a copy, which makes its own."""
        return self.__dict__ | {"_traced": None}


class UnetDiffusion(Diffusion):
    """DP-C: Diffusion Policy with a temporal U-Net."""

    config_class = UnetDiffusionConfig
    config: UnetDiffusionConfig

    def make_network(self) -> Unet:
        """Builds a U-Net."""
        config = self.config
        return Unet(
            self.action_dim,
            config.horizons.obs * self.obs_dim,
            channels=config.channels,
            kernel_size=config.kernel_size,
            groups=config.groups,
            step_dim=config.step_dim,
        )


class TransformerDiffusion(Diffusion):
    """DP-T: Diffusion Policy with a time-series transformer."""

    config_class = TransformerDiffusionConfig
    config: TransformerDiffusionConfig

    def make_network(self) -> Network:
        """Builds a transformer."""
        config = self.config
        if config.conditioning == "adaln":
            return AdaptiveTransformer(
                self.action_dim,
                config.horizons.obs * self.obs_dim,
                steps=config.horizons.prediction,
                width=config.width,
                heads=config.heads,
                layers=config.layers,
                dropout=config.dropout,
            )
        return Transformer(
            self.action_dim,
            self.obs_dim,
            obs_steps=config.horizons.obs,
            steps=config.horizons.prediction,
            width=config.width,
            heads=config.heads,
            layers=config.layers,
            condition_layers=config.condition_layers,
            causal=config.causal,
            dropout=config.dropout,
            embedding_dropout=config.embedding_dropout,
        )

    def parameter_groups(self, weight_decay: float) -> list[ParameterGroup]:
        """Lets only matrices decay."""
        return decay_matrices(self, weight_decay)


class MlpDiffusion(Diffusion):
    """DP-MLP: Diffusion Policy with a residual MLP."""

    config_class = MlpDiffusionConfig
    config: MlpDiffusionConfig

    def make_network(self) -> Mlp:
        """Builds an MLP."""
        config = self.config
        return Mlp(
            self.action_dim,
            config.horizons.obs * self.obs_dim,
            steps=config.horizons.prediction,
            width=config.width,
            blocks=config.blocks,
            step_dim=config.step_dim,
        )

    def parameter_groups(self, weight_decay: float) -> list[ParameterGroup]:
        """Lets only matrices decay."""
        return decay_matrices(self, weight_decay)
