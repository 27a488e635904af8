"""Objectives: what the network of Diffusion Policy is trained on, and how it decides.

The network maps a sequence, a time and observations to a sequence of the same shape; an
objective says what it is shown, what it should answer, and what a decision asks it. The
horizons, the network and the training are the same for all of them.

| objective | shown | answer | calls of a decision |
|---|---|---|---|
| `ddpm` | noisy actions at a step | the noise, or the actions | `sample_steps` |
| `flow` | a point between noise and actions | the velocity there | `sample_steps` |
| `mip` | zeros; actions with a little noise | the actions, both times | 2 |
| `regression` | zeros | the actions | 1 |
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from dp_bench import references, registry
from dp_bench.errors import BadInput
from dp_bench.policies.diffusion.config import DiffusionConfig
from dp_bench.policies.diffusion.denoiser import (
    ConditionedNetwork,
    Denoiser,
    FlowDenoiser,
)
from dp_bench.policies.diffusion.samplers import ProbabilityPath, ddim


class TrainingExample(NamedTuple):
    """What the network is shown in one update, and what it should answer.

    Attributes:
        x: Sequences, `(M B, Tp, Da)`; M passes over the B windows.
        t: Times, `(M B,)`.
        target: The right answers, `(M B, Tp, Da)`.
        weights: Factor of the squared error of each pass, `(M,)`.
    """

    x: Tensor
    t: Tensor
    target: Tensor
    weights: tuple[float, ...] = (1.0,)

    def error(self, answer: Tensor) -> Tensor:
        """Adds up the weighted mean squared errors of all passes."""
        if self.weights == (1.0,):
            return F.mse_loss(answer, self.target)
        passes = zip(
            self.weights,
            answer.chunk(len(self.weights)),
            self.target.chunk(len(self.weights)),
            strict=True,
        )
        return torch.stack([w * F.mse_loss(a, b) for w, a, b in passes]).sum()


class Objective(Protocol):
    """An example for training, and a decision afterwards.

    Attributes:
        draws: How many normal tensors `(B, Tp, Da)` a decision may use.
    """

    draws: int

    def example(self, actions: Tensor, generator: torch.Generator) -> TrainingExample:
        """Draws what the network is shown for normalised actions `(B, Tp, Da)`."""
        ...

    def decide(self, network: ConditionedNetwork, noise: Iterator[Tensor]) -> Tensor:
        """Decides on normalised actions, `(B, Tp, Da)`.

        Args:
            network: The network, with the observations of the decision.
            noise: `draws` standard normal tensors `(B, Tp, Da)`.
        """
        ...


class Ddpm:
    """Denoising (Ho et al., 2020, equation 14), as published for Diffusion Policy."""

    def __init__(self, config: DiffusionConfig, alphas_bar: Tensor) -> None:
        self.config, self.alphas_bar = config, alphas_bar
        self.draws = config.draws

    def example(self, actions: Tensor, generator: torch.Generator) -> TrainingExample:
        """Adds the noise of a random diffusion step."""
        device = actions.device
        t = torch.randint(
            self.config.train_steps, (len(actions),), generator=generator, device=device
        )
        eps = torch.randn(actions.shape, generator=generator, device=device)
        share = self.alphas_bar[t, None, None]
        noisy = share.sqrt() * actions + (1 - share).sqrt() * eps
        return TrainingExample(
            noisy, t, eps if self.config.predicts == "noise" else actions
        )

    def decide(self, network: ConditionedNetwork, noise: Iterator[Tensor]) -> Tensor:
        """Denoises by the sampler of the settings."""
        config = self.config
        denoiser = Denoiser(
            network, self.alphas_bar.tolist(), config.predicts, config.spacing
        )
        if config.eta:
            return ddim(denoiser, noise, config.sample_steps, config.eta)
        return _sampled(config, denoiser, noise)


class Flow:
    """Flow matching (Lipman et al., 2022) on straight lines from noise to actions."""

    def __init__(self, config: DiffusionConfig, alphas_bar: Tensor) -> None:
        self.config = config
        self.draws = config.draws

    def example(self, actions: Tensor, generator: torch.Generator) -> TrainingExample:
        """Draws a point between noise and actions, uniformly."""
        device = actions.device
        share = torch.rand(len(actions), generator=generator, device=device)
        z = torch.randn(actions.shape, generator=generator, device=device)
        between = torch.lerp(z, actions, share[:, None, None])
        return TrainingExample(between, share * self.config.train_steps, actions - z)

    def decide(self, network: ConditionedNetwork, noise: Iterator[Tensor]) -> Tensor:
        """Follows the velocity from noise to actions."""
        config = self.config
        path = FlowDenoiser(network, config.train_steps, config.spacing)
        return _sampled(config, path, noise)


def _sampled(
    config: DiffusionConfig, path: ProbabilityPath, noise: Iterator[Tensor]
) -> Tensor:
    """Goes from noise to actions with the sampler of the settings.

    Raises:
        BadInput: When a sampler of another package breaks its contract.
    """
    known = registry.sampler(config.sampler)
    sampler = references.load(known.function)
    first = next(noise)
    try:
        actions = sampler(path, itertools.chain([first], noise), config.sample_steps)
    except StopIteration:
        raise BadInput(
            f"the sampler {known.name!r} asks for more noise than it declares; set "
            f"draws_each_call=True if it needs some for every network call"
        ) from None
    if not isinstance(actions, Tensor) or actions.shape != first.shape:
        shape = getattr(actions, "shape", None)
        raise BadInput(
            f"the sampler {known.name!r} must return actions of shape "
            f"{tuple(first.shape)}, got {tuple(shape) if shape else type(actions)}"
        )
    return actions


class Mip:
    """The minimal iterative policy (Pan et al., 2025, arXiv 2512.01809).

    The first pass guesses the actions from nothing, the second one corrects the guess.
    In training the second pass sees the actions with noise of size 1 - t*. The error of
    each pass is divided by its share of the time, t* and 1 - t*, as in their code.
    """

    TIME = 0.9  # t*, time of the second pass
    draws = 0

    def __init__(self, config: DiffusionConfig, alphas_bar: Tensor) -> None:
        self.times = (0.0, self.TIME * config.train_steps)

    def example(self, actions: Tensor, generator: torch.Generator) -> TrainingExample:
        """Shows zeros, and the actions with a little noise."""
        eps = torch.randn(actions.shape, generator=generator, device=actions.device)
        noisy = actions + (1 - self.TIME) * eps
        times = [actions.new_full((len(actions),), t) for t in self.times]
        return TrainingExample(
            torch.cat([torch.zeros_like(actions), noisy]),
            torch.cat(times),
            actions.repeat(2, 1, 1),
            (self.TIME**-2, (1 - self.TIME) ** -2),
        )

    def decide(self, network: ConditionedNetwork, noise: Iterator[Tensor]) -> Tensor:
        """Guesses, and corrects the guess."""
        first, second = self.times
        network.prepare(self.times)
        return network(network(network.zeros(), first), second)


class Regression:
    """The same network as plain behaviour cloning: the mean squared error."""

    draws = 0

    def __init__(self, config: DiffusionConfig, alphas_bar: Tensor) -> None:
        pass

    def example(self, actions: Tensor, generator: torch.Generator) -> TrainingExample:
        """Shows zeros."""
        t = torch.zeros(len(actions), device=actions.device)
        return TrainingExample(torch.zeros_like(actions), t, actions)

    def decide(self, network: ConditionedNetwork, noise: Iterator[Tensor]) -> Tensor:
        """Asks the network once."""
        return network(network.zeros(), 0.0)


OBJECTIVES: dict[str, Callable[[DiffusionConfig, Tensor], Objective]] = {
    "ddpm": Ddpm, "flow": Flow, "mip": Mip, "regression": Regression,
}  # fmt: skip
