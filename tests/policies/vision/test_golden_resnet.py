"""ResNet-18 with spatial softmax, compared with a second implementation.

The second one is a set of plain functions over a dictionary of weights with
torchvision's names, in float64. Only its convolutions are torch's.
"""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.policies.observations import Observation
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.policies.vision.encoder import Encoder

SIDE, CROP = 96, 86  # 0.9 of 96, rounded


def group_norm(w, name, x):
    n, c, height, width = x.shape
    groups = x.reshape(n, c // 16, 16 * height * width)  # 16 channels a group
    mean = groups.mean(-1, keepdim=True)
    variance = ((groups - mean) ** 2).mean(-1, keepdim=True)
    scaled = ((groups - mean) / (variance + 1e-5).sqrt()).reshape(x.shape)
    return scaled * w[f"{name}.weight"].view(c, 1, 1) + w[f"{name}.bias"].view(c, 1, 1)


def batch_norm(w, name, x):
    def column(key):
        return w[f"{name}.{key}"].view(-1, 1, 1)

    deviation = (column("running_var") + 1e-5).sqrt()
    return (x - column("running_mean")) / deviation * column("weight") + column("bias")


def resnet18(w, norm, x):
    x = F.conv2d(x, w["conv1.weight"], stride=2, padding=3)
    x = norm(w, "bn1", x).clamp(min=0)
    x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            at = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            y = F.conv2d(x, w[f"{at}.conv1.weight"], stride=stride, padding=1)
            y = norm(w, f"{at}.bn1", y).clamp(min=0)
            y = F.conv2d(y, w[f"{at}.conv2.weight"], padding=1)
            y = norm(w, f"{at}.bn2", y)
            if f"{at}.downsample.0.weight" in w:
                x = F.conv2d(x, w[f"{at}.downsample.0.weight"], stride=stride)
                x = norm(w, f"{at}.downsample.1", x)
            x = (x + y).clamp(min=0)
    return x


def keypoints(w, x):
    """Expected positions of one image, keypoint by keypoint, in numpy."""
    c, height, width = x.shape
    weight = w["maps.weight"].reshape(-1, c).numpy()
    maps = np.einsum("kc,cij->kij", weight, x.numpy())
    out = []
    for bias, scores in zip(w["maps.bias"].numpy(), maps, strict=True):
        shares = np.exp(scores + bias)
        shares /= shares.sum()
        columns, rows = shares.sum(0), shares.sum(1)
        out.append(sum(p * (2 * j / (width - 1) - 1) for j, p in enumerate(columns)))
        out.append(sum(p * (2 * i / (height - 1) - 1) for i, p in enumerate(rows)))
    return np.array(out)


def image_features(w, norm, image):
    """Features of one image `(96, 96, 3)`: the middle, in [-1, 1], then the rest."""
    middle = image[5 : 5 + CROP, 5 : 5 + CROP].double() / 255 * 2 - 1
    maps = resnet18(w, norm, middle.permute(2, 0, 1)[None])[0]
    linear = w["linear.weight"].numpy() @ keypoints(w, maps)
    return np.maximum(linear + w["linear.bias"].numpy(), 0)


def torchvision_name(name):
    """Translates a name in our encoder of one camera."""

    def block(match):
        index = int(match.group(1))
        return f"layer{index // 2 + 1}.{index % 2}."

    name = re.sub(r"^backbone\.conv\.", "conv1.", name)
    name = re.sub(r"^backbone\.norm\.", "bn1.", name)
    name = re.sub(r"^backbone\.blocks\.(\d)\.", block, name)
    name = re.sub(r"\.norm(\d)\.", r".bn\1.", name)
    name = name.replace("shortcut", "downsample")
    return name.removeprefix("pooling.")


def weights_of(network):
    state = network.state_dict()
    return {torchvision_name(name): x.double() for name, x in state.items()}


def randomise(encoder):
    """Gives norms and biases values that are not 0 or 1, statistics included."""
    for name, x in encoder.state_dict().items():
        if x.ndim == 1 and x.is_floating_point():
            base = 0.5 if name.endswith(("weight", "running_var")) else -0.5
            x.copy_(torch.rand_like(x) + base)
        if "maps" in name:
            x.mul_(3.0)  # keypoints off the centre


@pytest.mark.parametrize("cameras", [1, 2])
@pytest.mark.parametrize("kind", ["group", "batch"])
def test_the_encoder_equals_the_textbook(cameras, kind):
    torch.manual_seed(cameras)
    spec = ObsSpec({f"camera{i}": (SIDE, SIDE, 3) for i in range(cameras)}, {"arm": 4})
    encoder = Encoder(VisionConfig(norm=kind), spec).eval()
    randomise(encoder)
    images = {
        key: torch.randint(256, (2, 2, *shape), dtype=torch.uint8)
        for key, shape in spec.images.items()
    }
    vectors = torch.randn(2, 2, 4)
    norm = {"group": group_norm, "batch": batch_norm}[kind]
    with torch.no_grad():
        ours = encoder(Observation(images, vectors), None)
        expected = np.zeros((2, 2, 64 * cameras + 4))
        expected[..., -4:] = vectors
        for i, network in enumerate(encoder.networks):
            w = weights_of(network)
            for lane, step in np.ndindex(2, 2):
                expected[lane, step, 64 * i : 64 * (i + 1)] = image_features(
                    w, norm, images[f"camera{i}"][lane, step]
                )
    assert expected[..., :-4].std(axis=(0, 1)).max() > 1e-3  # it sees the image
    np.testing.assert_allclose(ours, expected, atol=1e-5, rtol=1e-5)


def test_every_weight_has_torchvisions_name_and_the_published_shape():
    encoder = Encoder(VisionConfig(), ObsSpec({"camera": (SIDE, SIDE, 3)}))
    w = weights_of(encoder.networks[0])
    assert w["conv1.weight"].shape == (64, 3, 7, 7)
    assert w["layer1.1.conv2.weight"].shape == (64, 64, 3, 3)
    assert w["layer4.0.conv1.weight"].shape == (512, 256, 3, 3)
    assert w["layer4.0.downsample.0.weight"].shape == (512, 256, 1, 1)
    assert not any("layer1" in name and "downsample" in name for name in w)
    backbone = encoder.networks[0].backbone
    # torchvision's resnet18 has 11,689,512 parameters, 513,000 of them in its head.
    assert sum(p.numel() for p in backbone.parameters()) == 11_689_512 - 513_000


def test_convolutions_are_drawn_as_published():
    encoder = Encoder(VisionConfig(), ObsSpec({"camera": (SIDE, SIDE, 3)}))
    w = weights_of(encoder.networks[0])
    for name, fan_out in (("conv1", 64 * 49), ("layer4.1.conv1", 512 * 9)):
        expected = (2 / fan_out) ** 0.5
        assert w[f"{name}.weight"].std() == pytest.approx(expected, rel=0.05)
