"""Samplers: functions that turn noise into a sequence of actions.

A sampler takes a path from noise to actions, noise and a number of network calls, and
returns normalised actions `(B, Tp, Da)`. The noise is an iterator over standard normal
tensors `(B, Tp, Da)`; the sampler starts from the first. The registry names the
samplers, and those of installed packages.

In `ddpm`, `ddim` and `dpmsolver`, `a` is alpha-bar at a point (the signal's share of
the variance), and `b` is alpha-bar at the next point.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

from dp_bench.policies.diffusion.denoiser import Denoiser, Point


class ProbabilityPath(Protocol):
    """The way from noise to actions, as `euler` and `heun` follow it."""

    def points(self, count: int) -> list[Point]:
        """Lists `count` points at which the network is called, and the end."""
        ...

    def prediction(self, x: Tensor, point: Point) -> Tensor:
        """Predicts the actions or the velocity at a point."""
        ...

    def step(self, x: Tensor, here: Point, there: Point, prediction: Tensor) -> Tensor:
        """Goes from one point to another with a prediction."""
        ...


def ddpm(denoiser: Denoiser, noise: Iterator[Tensor], steps: int) -> Tensor:
    """Ho et al. (2020), algorithm 2, with the small fixed variance."""
    x = next(noise)
    for here, there in itertools.pairwise(denoiser.points(steps)):
        a, b = here.place, there.place
        beta = 1 - a / b
        x0 = denoiser(x, here).x0
        x = x0.mul_(b**0.5 * beta / (1 - a)).add_(
            x, alpha=(a / b) ** 0.5 * (1 - b) / (1 - a)
        )
        if there.t is not None:
            variance = max((1 - b) / (1 - a) * beta, 1e-20)
            x.add_(next(noise), alpha=variance**0.5)
    return x


def ddim(
    denoiser: Denoiser, noise: Iterator[Tensor], steps: int, eta: float = 0.0
) -> Tensor:
    """Song et al. (2021), equation 12; `eta` 0 adds no noise, and 1 as much as DDPM."""
    x = next(noise)
    for here, there in itertools.pairwise(denoiser.points(steps)):
        a, b = here.place, there.place
        variance = eta**2 * (1 - b) / (1 - a) * (1 - a / b)
        x0, eps = denoiser(x, here)
        x = x0.mul_(b**0.5).add_(eps, alpha=(1 - b - variance) ** 0.5)
        if variance:
            x.add_(next(noise), alpha=variance**0.5)
    return x


def dpmsolver(denoiser: Denoiser, noise: Iterator[Tensor], steps: int) -> Tensor:
    """Lu et al. (2022, arXiv 2211.01095), algorithm 2: DPM-Solver++ (2M).

    It extrapolates from the actions that it predicted at the last two points, over
    lambda, half the logarithm of the ratio of signal and noise.
    """
    x = next(noise)
    before: Tensor | None = None  # the actions predicted at the point before
    h_before = 0.0
    for here, there in itertools.pairwise(denoiser.points(steps)):
        a, b = here.place, there.place
        x0 = denoiser(x, here).x0
        if there.t is None:
            return x0
        h = _half_log_ratio(b) - _half_log_ratio(a)
        ahead = x0 if before is None else x0 + (x0 - before) * (0.5 * h / h_before)
        x = ((1 - b) / (1 - a)) ** 0.5 * x - b**0.5 * math.expm1(-h) * ahead
        before, h_before = x0, h
    return x


def euler(path: ProbabilityPath, noise: Iterator[Tensor], steps: int) -> Tensor:
    """Follows the ordinary differential equation in straight steps.

    For a denoiser these are the steps of DDIM without noise (Song et al., 2021).
    """
    x = next(noise)
    for here, there in itertools.pairwise(path.points(steps)):
        x = path.step(x, here, there, path.prediction(x, here))
    return x


def heun(path: ProbabilityPath, noise: Iterator[Tensor], steps: int) -> Tensor:
    """Takes a trial step, and repeats it with the mean of the predictions at both ends.

    Such a step costs two network calls. The last step is that of `euler`, as the
    network is never asked at the end; if the count is even, so is the one before.
    """
    x = next(noise)
    points = path.points(steps // 2 + 1)
    calls = steps
    for after, (here, there) in zip(
        range(len(points) - 2, -1, -1), itertools.pairwise(points), strict=True
    ):
        prediction = path.prediction(x, here)
        calls -= 1
        if there.t is not None and calls > after:
            trial = path.step(x, here, there, prediction)
            prediction = (prediction + path.prediction(trial, there)) / 2
            calls -= 1
        x = path.step(x, here, there, prediction)
    return x


def _half_log_ratio(share: float) -> float:
    """Returns lambda, log(signal / noise)."""
    return 0.5 * math.log(share / (1 - share))
