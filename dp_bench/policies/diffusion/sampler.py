"""The noise schedule of Diffusion Policy and its samplers, DDPM and DDIM."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from torch import Tensor

from dp_bench.policies.diffusion.config import DiffusionConfig


class Step(NamedTuple):
    """One denoising step, as coefficients.

    Let eps be the noise that the network predicts in `x` at diffusion step `t`. Then
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
    """Returns alpha-bar, the signal's share of the variance, `(train_steps,)`.

    The betas follow a squared cosine (Nichol and Dhariwal, 2021), as in `diffusers`.
    """
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    scheduler = DDPMScheduler(train_steps, beta_schedule="squaredcos_cap_v2")
    return scheduler.alphas_cumprod.float()


def diffusion_times(sample_steps: int, train_steps: int) -> list[int]:
    """Chooses the diffusion steps that a sampler visits, noisiest first.

    A count that divides `train_steps` is spaced as published ("leading"): the last
    step is 0. Other counts would leave out the noisiest steps, and sampling would begin
    from pure noise where the network expects part of the signal. They count down from
    the noisiest step instead ("trailing"; Lin et al., 2024, arXiv 2305.08891), and so
    does a single step. The published spacing stays where it begins in the noisiest
    tenth, at 16 of 100 steps for example.

    Returns:
        `sample_steps` different steps in `[0, train_steps)`.
    """
    stride = train_steps // sample_steps
    leading = [k * stride for k in reversed(range(sample_steps))]
    divides = train_steps % sample_steps == 0 and sample_steps > 1
    if divides or 10 * leading[0] >= 9 * train_steps:
        return leading
    spacing = train_steps / sample_steps
    return [round(train_steps - k * spacing) - 1 for k in range(sample_steps)]


def denoising_steps(
    config: DiffusionConfig, alphas_bar: Sequence[float]
) -> Iterator[Step]:
    """Yields the steps of the sampler, noisiest first.

    Args:
        config: Names the sampler and the number of steps.
        alphas_bar: From `noise_schedule`, `(train_steps,)`.
    """
    times = diffusion_times(config.sample_steps, config.train_steps)
    for t, following in itertools.zip_longest(times, times[1:]):
        a = alphas_bar[t]
        b = 1.0 if following is None else alphas_bar[following]
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
            to_noise=0.0
            if following is None
            else max((1 - b) / (1 - a) * beta, 1e-20) ** 0.5,
        )


def sample(
    denoise: Callable[[Tensor, Tensor], Tensor],
    steps: Sequence[Step],
    conditions: Iterable[Tensor],
    noise: Iterable[Tensor],
    *,
    predicts: Literal["noise", "sample"],
) -> Tensor:
    """Turns noise into a sequence of actions.

    Args:
        denoise: Maps noisy actions `(B, Tp, Da)` and a condition to what the network
            `predicts`.
        steps: From `denoising_steps`.
        conditions: One for each step.
        noise: Standard normal tensors `(B, Tp, Da)`. Denoising starts from the first;
            each DDPM step but the last adds one of the others.
        predicts: What `denoise` returns, the "noise" or the "sample".

    Returns:
        Normalised actions, `(B, Tp, Da)`.
    """
    fresh = iter(noise)
    x = next(fresh)
    for step, condition in zip(steps, conditions, strict=True):
        out = denoise(x, condition)
        if predicts == "noise":
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
