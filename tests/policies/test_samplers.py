"""Samplers against the schedulers of diffusers, and against a known distribution."""

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import (
    DPMSolverMultistepScheduler,
)
from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
    FlowMatchEulerDiscreteScheduler,
)
from diffusers.schedulers.scheduling_flow_match_heun_discrete import (
    FlowMatchHeunDiscreteScheduler,
)

from dp_bench import references, registry
from dp_bench.policies.diffusion.denoiser import Denoiser, FlowDenoiser, Point
from dp_bench.policies.diffusion.samplers import ddim, ddpm, dpmsolver, euler, heun
from dp_bench.policies.diffusion.schedule import diffusion_times, noise_schedule

SAMPLERS = {
    name: references.load(sampler.function)
    for name, sampler in registry.SAMPLERS.items()
}
SHARES = noise_schedule(100).tolist()
SHAPE = (4, 16, 2)


class Wavy:
    """A made-up network: smooth in the actions and in the time."""

    def __init__(self):
        self.calls = 0

    def prepare(self, times):
        pass

    def __call__(self, x, t):
        self.calls += 1
        return 0.4 * torch.sin(2 * x + 0.05 * t) + 0.3 * x


class Normal:
    """The best answers for actions that are normal, in closed form."""

    mean, deviation = 0.3, 0.1

    def prepare(self, times):
        pass

    def actions(self, x, signal, noise):
        """The mean of the actions, given `x = signal * actions + noise * eps`."""
        variance = self.deviation**2
        precision = signal**2 * variance + noise**2
        return self.mean + signal * variance / precision * (x - signal * self.mean)


class NormalSample(Normal):
    def __call__(self, x, t):
        return self.actions(x, SHARES[t] ** 0.5, (1 - SHARES[t]) ** 0.5)


class NormalVelocity(Normal):
    def __call__(self, x, t):
        share = t / 100
        a = self.actions(x, share, 1 - share)
        return a - (x - share * a) / (1 - share)


def draws(count, shape=SHAPE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for _ in range(count)]


def schedule(kind, predicts, **settings):
    return kind(
        num_train_timesteps=100,
        beta_schedule="squaredcos_cap_v2",
        prediction_type={"noise": "epsilon", "sample": "sample"}[predicts],
        **settings,
    )


def follow(scheduler, noise, monkeypatch=None, **settings):
    """Samples with a scheduler of diffusers."""
    fresh, ask = iter(noise), Wavy()
    x = next(fresh)
    if monkeypatch:
        for name in ("ddpm", "ddim"):
            monkeypatch.setattr(
                f"diffusers.schedulers.scheduling_{name}.randn_tensor",
                lambda *_, **__: next(fresh),
            )
    for t in scheduler.timesteps:
        x = scheduler.step(ask(x, int(t)), t, x, **settings).prev_sample
    return x


@pytest.mark.parametrize("predicts", ["noise", "sample"])
@pytest.mark.parametrize("steps", [4, 10, 16, 20, 100])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, None])
def test_ddim_and_ddpm_equal_those_of_diffusers(eta, steps, predicts, monkeypatch):
    noise = draws(1 + steps)
    denoiser = Denoiser(Wavy(), SHARES, predicts)
    if eta is None:
        scheduler = schedule(DDPMScheduler, predicts)
        scheduler.set_timesteps(steps)
        theirs = follow(scheduler, noise, monkeypatch)
        ours = ddpm(denoiser, iter(noise), steps)
    else:
        scheduler = schedule(DDIMScheduler, predicts)
        scheduler.set_timesteps(steps)
        theirs = follow(scheduler, noise, monkeypatch, eta=eta)
        ours = ddim(denoiser, iter(noise), steps, eta)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("spacing", ["uniform", "quadratic"])
@pytest.mark.parametrize("steps", [1, 2, 8, 20])
def test_dpmsolver_equals_that_of_diffusers(steps, spacing):
    """Theirs does not clip, so the actions stay far from the ends."""
    scheduler = schedule(
        DPMSolverMultistepScheduler, "sample", final_sigmas_type="zero"
    )
    scheduler.set_timesteps(timesteps=diffusion_times(steps, 100, spacing))
    noise = draws(1)
    x, ask = noise[0], NormalSample()
    for t in scheduler.timesteps:
        x = scheduler.step(ask(x, int(t)), t, x).prev_sample
    ours = dpmsolver(
        Denoiser(NormalSample(), SHARES, "sample", spacing), iter(noise), steps
    )
    torch.testing.assert_close(ours, x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_euler_equals_ddim_and_that_of_diffusers_for_flow(steps):
    noise = draws(1)
    args = NormalSample(), SHARES, "sample"
    torch.testing.assert_close(
        euler(Denoiser(*args), iter(noise), steps),
        ddim(Denoiser(*args), iter(noise), steps),
        atol=1e-5,
        rtol=0,
    )
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=100)
    scheduler.set_timesteps(sigmas=[1 - k / steps for k in range(steps)])
    x, ask = noise[0], Wavy()
    for t in scheduler.timesteps:  # theirs counts the share of the noise
        x = scheduler.step(-ask(x, 100 - float(t)), t, x).prev_sample
    ours = euler(FlowDenoiser(Wavy(), 100), iter(noise), steps)
    torch.testing.assert_close(ours, x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("steps", [1, 3, 9])
def test_heun_equals_that_of_diffusers_for_flow(steps):
    scheduler = FlowMatchHeunDiscreteScheduler(num_train_timesteps=100)
    scheduler.set_timesteps((steps + 1) // 2)
    noise, ask = draws(1), Wavy()
    x, shares = noise[0], [1 - float(s) for s in scheduler.sigmas]
    for t in scheduler.timesteps:  # theirs counts the share of the noise
        x = scheduler.step(-ask(x, 100 - float(t)), t, x).prev_sample
    path = FlowDenoiser(Wavy(), 100)
    path.points = lambda count: [
        *(Point(s, 100 * s) for s in sorted(set(shares))[:-1]), Point(1.0, None)
    ]  # fmt: skip
    ours = heun(path, iter(noise), steps)
    torch.testing.assert_close(ours, x, atol=1e-5, rtol=0)


def test_heun_is_of_second_order():
    """Twice the steps make a quarter of the error, and half of it for Euler."""
    path, noise = FlowDenoiser(Wavy(), 100), draws(1)
    exact = heun(path, iter(noise), 4001)
    errors = {
        (sampler, calls): (sampler(path, iter(noise), calls) - exact).abs().mean()
        for sampler, calls in ((euler, 20), (euler, 40), (heun, 41), (heun, 81))
    }
    assert errors[euler, 20] / errors[euler, 40] == pytest.approx(2, abs=0.4)
    assert errors[heun, 41] / errors[heun, 81] == pytest.approx(4, abs=0.8)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 8, 100])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_asks_the_network_as_often_as_it_is_told(name, steps):
    ask = Wavy()
    SAMPLERS[name](Denoiser(ask, SHARES, "sample"), iter(draws(steps)), steps)
    assert ask.calls == steps
    if name in ("euler", "heun"):
        ask = Wavy()
        SAMPLERS[name](FlowDenoiser(ask, 100), iter(draws(1)), steps)
        assert ask.calls == steps


def moments(sampler, denoiser, steps):
    noise = iter(draws(steps, (100_000, 1, 1)))
    x = sampler(denoiser, noise, steps)
    return x.mean().item(), x.std().item()


@pytest.mark.parametrize("steps", [8, 11, 16, 50, 100])
@pytest.mark.parametrize("name", [*SAMPLERS, "flow euler", "flow heun"])
def test_a_perfect_denoiser_draws_a_known_distribution(name, steps):
    """Normal actions; DDPM with all of its steps is the reference."""
    reference = moments(ddpm, Denoiser(NormalSample(), SHARES, "sample"), 100)
    assert reference == pytest.approx((Normal.mean, Normal.deviation), abs=0.02)
    denoiser = Denoiser(NormalSample(), SHARES, "sample", "quadratic")
    if name.startswith("flow"):
        denoiser = FlowDenoiser(NormalVelocity(), 100, "quadratic")
    mean, deviation = moments(SAMPLERS[name.split()[-1]], denoiser, steps)
    assert mean == pytest.approx(reference[0], abs=0.02)
    assert deviation == pytest.approx(reference[1], abs=0.03)


@pytest.mark.parametrize("steps", [1, 3, 8, 40, 51, 60, 75, 90, 99, 100])
@pytest.mark.parametrize("name", SAMPLERS)
def test_any_number_of_steps_draws_the_right_mean(name, steps):
    denoiser = Denoiser(NormalSample(), SHARES, "sample")
    mean, _ = moments(SAMPLERS[name], denoiser, steps)
    assert mean == pytest.approx(Normal.mean, abs=0.015)
