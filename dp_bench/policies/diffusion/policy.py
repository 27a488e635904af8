"""Diffusion Policy (Chi et al., 2023, arXiv 2303.04137): its loss and its samplers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.base import ObsConfig, Policy
from dp_bench.policies.diffusion.transformer import Transformer
from dp_bench.policies.diffusion.unet import Unet
from dp_bench.policies.layers import check_transformer, decay_matrices


@dataclass(frozen=True)
class DiffusionConfig(ObsConfig):
    """Settings that every network of Diffusion Policy shares.

    Attributes:
        horizons: To, Ta, Tp.
        train_steps: Diffusion steps that the network is trained on.
        predicts: What the network gives: the "noise" in a sequence, as published, or
            the "sample", the sequence without it. A small transformer learns the
            second much faster.
        sampler: "ddpm" (Ho et al., 2020) or "ddim" (Song et al., 2021), from the same
            weights.
        sample_steps: Denoising steps of one decision.
    """

    horizons: Horizons = field(default_factory=Horizons)
    train_steps: int = 100
    predicts: Literal["noise", "sample"] = "noise"
    sampler: Literal["ddim", "ddpm"] = "ddim"
    sample_steps: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.sample_steps <= self.train_steps:
            raise BadInput(
                f"sample_steps must be in 1..train_steps = {self.train_steps}, "
                f"got {self.sample_steps}"
            )


@dataclass(frozen=True)
class UnetDiffusionConfig(DiffusionConfig):
    """Settings of DP-C.

    Attributes:
        channels: Channels of the U-Net's levels, outermost first.
        kernel_size: Of its convolutions along time.
        groups: Of its group norms.
        step_dim: Size of the embedding of a diffusion step.
    """

    channels: tuple[int, ...] = (256, 512, 1024)
    kernel_size: int = 5
    groups: int = 8
    step_dim: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels or min(self.groups, *self.channels) < 1:
            raise BadInput(
                f"channels and groups must be at least 1, "
                f"got {self.channels} and {self.groups}"
            )
        if any(c % self.groups for c in self.channels):
            raise BadInput(
                f"channels {self.channels} must be multiples of groups {self.groups}"
            )
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise BadInput(f"kernel_size must be odd, got {self.kernel_size}")
        if self.step_dim < 4 or self.step_dim % 2:
            raise BadInput(f"step_dim must be even and at least 4, got {self.step_dim}")
        multiple = 2 ** (len(self.channels) - 1)
        if self.horizons.prediction % multiple:
            raise BadInput(
                f"a U-Net of {len(self.channels)} levels needs a prediction horizon "
                f"that is a multiple of {multiple}, got {self.horizons.prediction}"
            )


@dataclass(frozen=True)
class TransformerDiffusionConfig(DiffusionConfig):
    """Settings of DP-T.

    Attributes:
        width: Of the tokens.
        heads: Of attention; divides `width`.
        layers: Of the decoder.
        condition_layers: Of an encoder of step and observations; with 0 an MLP.
        causal: Whether that encoder shows an observation those before it only. As
            published it shows all, and the action before the last observation can be
            read off that.
        dropout: Of attention, and of what each layer adds.
        embedding_dropout: Of tokens.
    """

    width: int = 256
    heads: int = 4
    layers: int = 8
    condition_layers: int = 0
    causal: bool = False
    dropout: float = 0.01
    embedding_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_transformer(self.width, self.heads, self.layers)
        if self.width % 2 or self.width < 4:  # sines and cosines of diffusion steps
            raise BadInput(f"width must be even and at least 4, got {self.width}")
        for name in ("dropout", "embedding_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise BadInput(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if self.condition_layers < 0:
            raise BadInput(
                f"condition_layers must be 0 or above, got {self.condition_layers}"
            )
        if self.causal and not self.condition_layers:
            raise BadInput(
                "causal is of the encoder: it needs condition_layers above 0"
            )


class Step(NamedTuple):
    """One denoising step, as coefficients.

    With the noise eps that the network sees at diffusion step `t` in `x`:
    `x0 = clip(from_x * x - from_eps * eps, -1, 1)`, and
    `x <- to_x0 * x0 + to_x * x + to_eps * eps + to_noise * N(0, I)`.
    """

    t: int
    from_x: float
    from_eps: float
    to_x0: float
    to_x: float
    to_eps: float
    to_noise: float


def noise_schedule(train_steps: int) -> Tensor:
    """The share of the signal's variance left at each diffusion step, `(train_steps,)`.

    Squared-cosine betas (Nichol and Dhariwal, 2021), as `diffusers` computes them.
    """
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    scheduler = DDPMScheduler(train_steps, beta_schedule="squaredcos_cap_v2")
    return scheduler.alphas_cumprod.float()


def denoising_steps(
    config: DiffusionConfig, alphas_bar: Sequence[float]
) -> Iterator[Step]:
    """The steps of the sampler, noisiest first; equally spaced from diffusion step 0.

    Args:
        config: Which sampler, and how many steps.
        alphas_bar: `(train_steps,)`, of `noise_schedule`.
    """
    stride = config.train_steps // config.sample_steps
    for t in range((config.sample_steps - 1) * stride, -1, -stride):
        a = alphas_bar[t]
        b = alphas_bar[t - stride] if t >= stride else 1.0
        known = {"t": t, "from_x": a**-0.5, "from_eps": ((1 - a) / a) ** 0.5}
        if config.sampler == "ddim":  # eta = 0
            yield Step(
                **known, to_x0=b**0.5, to_x=0.0, to_eps=(1 - b) ** 0.5, to_noise=0.0
            )
            continue
        beta = 1 - a / b
        yield Step(
            **known,
            to_x0=b**0.5 * beta / (1 - a),
            to_x=(a / b) ** 0.5 * (1 - b) / (1 - a),
            to_eps=0.0,
            to_noise=max((1 - b) / (1 - a) * beta, 1e-20) ** 0.5 if t > 0 else 0.0,
        )


class Diffusion(Policy):
    """Denoises a sequence of actions, given observations.

    A subclass makes the network: a module with

    - `forward(x (B, Tp, Da), t (B,), obs (B, To, Do), dtype) -> noise (B, Tp, Da)`, for
      training;
    - `conditions(t (K,), obs) -> (K, ...)`, what depends on observations or on
      diffusion steps alone, computed once a decision;
    - `denoise(x, condition) -> noise`, with one of these conditions.

    The noise schedule is fitted, and so belongs to the weights: what was trained with
    one cannot be sampled with another, and sampling needs no library of schedules.
    """

    recordable = True
    config: DiffusionConfig

    def __init__(
        self, config: DiffusionConfig, *, obs_dim: int, action_dim: int
    ) -> None:
        super().__init__(config, obs_dim=obs_dim, action_dim=action_dim)
        unknown = torch.full((config.train_steps,), torch.nan)
        self.register_buffer("alphas_bar", unknown)
        self.alphas_bar: Tensor
        self.network = self.make_network()
        self._one_lane: list[Any] = []  # a network, and its recording

    def make_network(self) -> Any:
        """The network of these settings, with its initial weights."""
        raise NotImplementedError

    def fit(self, obs: Tensor, actions: Tensor, generator: torch.Generator) -> None:
        """Learns the units, and takes the noise schedule."""
        super().fit(obs, actions, generator)
        self.alphas_bar.copy_(noise_schedule(self.config.train_steps))

    def loss(self, obs: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error of the predicted noise (Ho et al., 2020, eq. 14).

        Of the predicted sequence, if the network gives that.
        """
        device = actions.device
        t = torch.randint(
            self.config.train_steps, (len(actions),), generator=generator, device=device
        )
        eps = torch.randn(actions.shape, generator=generator, device=device)
        share = self.alphas_bar[t, None, None]
        noisy = share.sqrt() * actions + (1 - share).sqrt() * eps
        seen = self.blurred(obs[:, : self.horizons.obs], generator)
        dtype = self.train_dtype if self.training else torch.float32
        target = eps if self.config.predicts == "noise" else actions
        return F.mse_loss(self.network(noisy, t, seen, dtype), target)

    def predict(self, obs: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Draws a sequence of actions by denoising."""
        shape = (self.horizons.prediction, self.action_dim)
        draws = self.config.sample_steps if self.config.sampler == "ddpm" else 1
        noise = torch.stack(
            [torch.randn((draws, *shape), generator=g) for g in generators], dim=1
        ).to(obs.device)  # (draws, B, Tp, Da)
        return self.sample(obs, noise)

    def sample(self, obs: Tensor, noise: Tensor) -> Tensor:
        """Denoises.

        Args:
            obs: Normalised, `(B, To, Do)`.
            noise: Standard normal, `(draws, B, Tp, Da)`; the first is where denoising
                starts, the others are added on the way (DDPM only).

        Returns:
            Normalised actions, `(B, Tp, Da)`.
        """
        steps = list(denoising_steps(self.config, self.alphas_bar.tolist()))
        times = torch.tensor([step.t for step in steps], device=obs.device)
        conditions = self.network.conditions(times, obs)
        fresh = iter(noise)
        x = next(fresh)
        for step, condition in zip(steps, conditions, strict=True):
            out = self._denoise(x, condition)
            if self.config.predicts == "noise":
                eps, x0 = out, step.from_x * x - step.from_eps * out
            else:
                eps, x0 = (step.from_x * x - out) / step.from_eps, out
            x0 = x0.clamp(-1, 1)
            if step.to_eps:
                x = x0.mul_(step.to_x0).add_(eps, alpha=step.to_eps)
            else:
                x = x0.mul_(step.to_x0).add_(x, alpha=step.to_x)
            if step.to_noise:
                x.add_(next(fresh), alpha=step.to_noise)
        return x

    def _denoise(self, x: Tensor, condition: Tensor) -> Tensor:
        """Predicts noise, for one lane by a recording of the network."""
        many = len(x) > 1 or x.device.type != "cpu"
        if many or self.training or torch.is_grad_enabled():
            return self.network.denoise(x, condition)
        if not self._one_lane or self._one_lane[0] is not self.network:
            self._one_lane = [self.network, traced(self.network, x, condition)]
        return self._one_lane[1](x, condition)

    def __getstate__(self) -> dict[str, Any]:
        """A copy makes its own recording."""
        return self.__dict__ | {"_one_lane": []}


class UnetDiffusion(Diffusion):
    """DP-C: Diffusion Policy with a temporal U-Net."""

    config_class = UnetDiffusionConfig
    config: UnetDiffusionConfig

    def make_network(self) -> Unet:
        """A U-Net."""
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

    def make_network(self) -> Transformer:
        """A transformer."""
        config = self.config
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

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Only matrices decay."""
        return decay_matrices(self, weight_decay)


class _Denoise(torch.nn.Module):
    """The `denoise` of a network as a module's `forward`."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.network.denoise(x, condition)


def traced(network: Any, x: Tensor, condition: Tensor) -> Any:
    """The denoising of one lane as a recorded list of operations.

    With one lane the network's arithmetic is so little that Python's share is half the
    time. The recording holds for inputs of these shapes; it refers to the weights, so
    that loading others into the network is seen by it.
    """
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # sizes become constants, on purpose
        shapes = (torch.zeros(x.shape), torch.zeros(condition.shape))
        return torch.jit.trace(_Denoise(network), shapes, check_trace=False)
