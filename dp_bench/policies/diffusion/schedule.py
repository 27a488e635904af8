"""The noise schedule of Diffusion Policy, and the diffusion steps a sampler visits."""

from __future__ import annotations

from typing import Literal

from torch import Tensor


def noise_schedule(train_steps: int) -> Tensor:
    """Returns alpha-bar, the signal's share of the variance, `(train_steps,)`.

    The betas follow a squared cosine (Nichol and Dhariwal, 2021), as in `diffusers`.
    """
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    scheduler = DDPMScheduler(train_steps, beta_schedule="squaredcos_cap_v2")
    return scheduler.alphas_cumprod.float()


def diffusion_times(
    sample_steps: int,
    train_steps: int,
    spacing: Literal["uniform", "quadratic"] = "uniform",
) -> list[int]:
    """Chooses the diffusion steps that a sampler visits, noisiest first.

    "quadratic" spacing has most steps where little noise is left (Song et al., 2021).
    In "uniform" spacing, a count that divides `train_steps` is spaced as published
    ("leading"): the last step is 0. Other counts would leave out the noisiest steps,
    and sampling would begin from pure noise where the network expects part of the
    signal. They count down from the noisiest step instead ("trailing"; Lin et al.,
    2024, arXiv 2305.08891), and so does a single step. The published spacing stays
    where it begins in the noisiest tenth, at 16 of 100 steps for example.

    Returns:
        `sample_steps` different steps in `[0, train_steps)`.
    """
    if spacing == "quadratic":
        last = sample_steps - 1
        left = [1 - k / max(last, 1) for k in range(sample_steps)]
        ideal = [round((train_steps - 1) * share**2) for share in left]
        return [max(t, last - k) for k, t in enumerate(ideal)]  # no step twice
    stride = train_steps // sample_steps
    leading = [k * stride for k in reversed(range(sample_steps))]
    divides = train_steps % sample_steps == 0 and sample_steps > 1
    if divides or 10 * leading[0] >= 9 * train_steps:
        return leading
    gap = train_steps / sample_steps
    return [round(train_steps - k * gap) - 1 for k in range(sample_steps)]
