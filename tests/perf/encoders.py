"""Speed of the encoders of images."""

import functools

import torch

from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.policies.observations import Observation
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.policies.vision.encoder import Encoder
from dp_bench.policies.vision.sizes import STRIDES
from measure import in_turn

BATCH, STEPS = 64, 2  # windows, and observations of each
SPEC = ObsSpec({"image": (96, 96, 3)}, {"agent_pos": 2})  # PushT
CROP = 84 / 96
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def encoders():
    """Frames a second of every encoder at 84 x 84, and the share of the crops in it."""
    rows = {name: _encoder(name, repeats=8) for name in STRIDES if name != "resnet18"}
    return {
        "resnet18": _encoder("resnet18", repeats=3),
        **rows,
        "goal": {"cnn share_of_crop_and_scale": 0.1},
    }


def _encoder(name, repeats):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Encoder(VisionConfig(encoder=name, crop=CROP), SPEC)
        images = torch.randint(256, (BATCH, STEPS, 96, 96, 3), dtype=torch.uint8)
    seen = Observation({"image": images}, torch.zeros(BATCH, STEPS, 2))
    generator = torch.Generator().manual_seed(0)

    @torch.inference_mode()
    def look():
        encoder(seen, None)

    def learn(dtype):
        encoder.zero_grad(set_to_none=True)
        encoder(seen, generator, dtype).square().mean().backward()

    def crop():
        encoder.networks[0].scaled(encoder.cropped(images, generator))

    learning = [functools.partial(learn, dtype) for dtype in TYPES.values()]
    forward, *gradient, cropping = in_turn(
        [look, *learning, crop], repeats=repeats, warm=1
    )
    frames = BATCH * STEPS
    return {
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "forward_frames_per_s": frames / forward,
        **{
            f"gradient_frames_per_s {kind}": frames / seconds
            for kind, seconds in zip(TYPES, gradient, strict=True)
        },
        "crop_and_scale_ms": 1e3 * cropping,
        "share_of_crop_and_scale": cropping / min(gradient),
    }
