"""Speed of decisions and updates from images, and of drawing them."""

import dataclasses
import functools
import time

import numpy as np
import torch

from dp_bench import references, registry
from dp_bench.errors import BadInput
from dp_bench.policies.base import threads_for
from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.policies.observations import Observation
from dp_bench.presets import preset
from dp_bench.runs.folder import new_policy
from dp_bench.training.device import resolve_precision
from measure import METHOD, TASK, in_turn

SPEC = ObsSpec({"image": (96, 96, 3)}, {"agent_pos": 2})  # PushT
WINDOWS = 64
DRAWS = 8


def images():
    """Decisions and updates of DP-C from images of PushT, and drawing them."""
    lanes = {f"decision, DDIM-10, lanes {n}": _decision(n) for n in (1, 50)}
    return {**lanes, "noise draws": _draws(), "rendering, ms an image": _rendering()}


def _policy(**changes):
    settings = preset(registry.method(METHOD), TASK, "laptop", "image")
    config = dataclasses.replace(settings.policy, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        policy = new_policy(
            references.load(registry.method(METHOD).policy),
            config,
            obs_dim=settings.vision.features_of(SPEC),
            action_dim=2,
            observation=SPEC,
            vision=settings.vision,
        )
    rows = torch.rand(500, 2)
    policy.fit(rows, rows, torch.Generator())
    return policy, settings


def _seen(windows, steps):
    images = torch.randint(256, (windows, steps, 96, 96, 3), dtype=torch.uint8)
    return Observation({"image": images}, torch.rand(windows, steps, 2))


def _decision(lanes):
    policy, _ = _policy(sample_steps=10)
    policy.eval().reset(range(lanes))
    steps = policy.horizons.obs
    seen = _seen(lanes, steps)
    obs = {"image": seen.images["image"].numpy(), "agent_pos": seen.vectors.numpy()}
    device = torch.device("cpu")

    @torch.inference_mode()
    def encode():
        with threads_for(lanes, device):
            return policy.encode(seen)

    features = encode()
    noise = torch.randn(1, lanes, policy.horizons.prediction, 2)

    @torch.inference_mode()
    def denoise():
        with threads_for(lanes, device):
            policy.sample(features, noise)

    parts = [functools.partial(policy.act, obs), encode, denoise]
    whole, encoder, denoiser = in_turn(parts, repeats=20)
    return {
        "decision_ms": 1e3 * whole,
        "encoder_ms": 1e3 * encoder,
        "denoiser_ms": 1e3 * denoiser,
    }


def _draws():
    """An update with eight noise draws for each window, compared with one."""
    steps, precision = [], ""
    for draws in (1, DRAWS):
        policy, settings = _policy(noise_draws=draws)
        dtype = resolve_precision(settings.training.precision, torch.device("cpu"))
        policy.train().train_dtype, precision = dtype, str(dtype)
        actions = torch.rand(WINDOWS, policy.horizons.prediction, 2)
        seen = _seen(WINDOWS, policy.horizons.obs)
        generator = torch.Generator().manual_seed(0)
        given = policy, seen, actions, generator
        steps.append(functools.partial(_gradient, *given))
    one, many = in_turn(steps, repeats=8, warm=1)
    return {
        "encoder": settings.vision.encoder,
        "precision": precision,
        "windows": WINDOWS,
        "ms with 1 draw": 1e3 * one,
        f"ms with {DRAWS} draws": 1e3 * many,
        "faster per noise draw": DRAWS * one / many,
    }


def _gradient(policy, seen, actions, generator):
    policy.zero_grad(set_to_none=True)
    policy.loss(policy.encode(seen, generator), actions, generator).backward()


def _rendering():
    """Time of one image in a step: PushT's, and one of each camera of Can."""
    return {name: _drawing(name) for name in ("pusht", "can")}


def _drawing(name, steps=40):
    try:
        env = registry.task(name).make_env(obs_kind="image")
        env.reset(seed=0)
    except BadInput as error:
        return str(error)
    action = np.zeros(env.action_space.shape, np.float32)
    seconds = []
    for draws in (False, True):
        env.unwrapped.draws_images = draws
        began = time.perf_counter()
        for _ in range(steps):
            env.step(action)
        seconds.append(time.perf_counter() - began)
    cameras = len(registry.task(name).image_keys_of("image"))
    env.close()
    return 1e3 * (seconds[1] - seconds[0]) / (steps * cameras)
