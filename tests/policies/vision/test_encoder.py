"""Laws that every encoder obeys."""

import copy
import importlib.util
import itertools

import pytest
import torch

from dp_bench.errors import BadInput
from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.policies.observations import Observation
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.policies.vision.encoder import Encoder
from dp_bench.policies.vision.sizes import STRIDES, check_images, map_size

NEEDS_PACKAGE = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite_pytorch") is None,
    reason="efficientnet-lite-pytorch (extra vision) is not installed",
)
ENCODERS = [
    pytest.param(name, marks=NEEDS_PACKAGE) if "efficient" in name else name
    for name in STRIDES
]
SPEC = ObsSpec({"front": (40, 48, 3), "wrist": (44, 40, 3)}, {"arm": 3, "grip": 2})


def build(spec=SPEC, seed=0, **settings):
    torch.manual_seed(seed)
    return Encoder(VisionConfig(**{"features": 8, **settings}), spec)


def observe(spec=SPEC, lanes=3, steps=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = {
        key: torch.randint(
            256, (lanes, steps, *shape), dtype=torch.uint8, generator=generator
        )
        for key, shape in spec.images.items()
    }
    vectors = torch.randn(lanes, steps, spec.vector_dim, generator=generator)
    return Observation(images, vectors)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    ("pooling", "norm", "frozen"),
    list(
        itertools.product(
            ("spatial_softmax", "average"), ("group", "batch"), (False, True)
        )
    ),
)
def test_gradients_reach_what_is_trained_and_nothing_else(
    encoder, pooling, norm, frozen
):
    network = build(encoder=encoder, pooling=pooling, norm=norm, frozen=frozen)
    before = copy.deepcopy(network.state_dict())
    features = network(observe(), torch.Generator().manual_seed(0))
    assert features.shape == (3, 2, network.features) == (3, 2, 8 + 8 + 5)
    assert features.dtype == torch.float32
    # A ReLU may hide a feature: no weight may hide behind all of them.
    (features**2).sum().backward()
    for name, p in network.named_parameters():
        backbone = ".backbone." in name
        assert p.requires_grad == (not (frozen and backbone)), name
        if p.requires_grad:
            assert p.grad is not None, name
            assert p.grad.isfinite().all(), name
            # Scores that move all alike leave a softmax as it is.
            bias_of_maps = name.endswith("maps.bias")
            assert bias_of_maps or p.grad.abs().sum() > 0, name
        else:
            assert p.grad is None, name
    if frozen:  # nothing moves, statistics included
        for name, x in network.state_dict().items():
            assert torch.equal(x, before[name]), name


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("norm", ["group", "batch"])
def test_weights_restore_an_encoder_bit_for_bit(encoder, norm):
    first = build(encoder=encoder, norm=norm)
    first(observe(seed=1), None)  # moves the statistics of a BatchNorm
    second = build(encoder=encoder, norm=norm, seed=9).eval()
    second.load_state_dict(first.eval().state_dict())
    with torch.inference_mode():
        expected = first(observe(), None)
        assert torch.equal(expected, second(observe(), None))
        assert torch.equal(expected, first(observe(), None))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_training_repeats_bit_for_bit(encoder):
    def gradients():
        network = build(encoder=encoder)
        features = network(observe(), torch.Generator().manual_seed(4))
        (features**2).sum().backward()
        return [p.grad for p in network.parameters()]

    assert all(map(torch.equal, gradients(), gradients()))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_lane_does_not_depend_on_the_others(encoder):
    network = build(encoder=encoder).eval()
    seen = observe(lanes=5)
    alone = Observation({k: x[3:4] for k, x in seen.images.items()}, seen.vectors[3:4])
    with torch.inference_mode():
        torch.testing.assert_close(
            network(alone, None), network(seen, None)[3:4], atol=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize("encoder", ENCODERS)
def test_bfloat16_changes_features_only_a_little(encoder):
    network = build(encoder=encoder).eval()
    exact = network(observe(), None)
    rounded = network(observe(), None, torch.bfloat16)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("sides", [(40, 64), (65, 84), (96, 71)])
def test_the_map_of_features_has_the_size_that_is_declared(encoder, sides):
    spec = ObsSpec({"front": (*sides, 3)})
    network = build(spec, encoder=encoder, crop=1.0).networks[0].eval()
    maps = network.backbone(torch.zeros(1, 3, *sides))
    assert maps.shape[1] == network.backbone.channels
    assert maps.shape[2:] == map_size(VisionConfig(encoder=encoder, crop=1.0), *sides)


def test_vectors_follow_the_images_unchanged():
    seen = observe()
    assert torch.equal(build(encoder="cnn")(seen, None)[..., -5:], seen.vectors)
    vectors_only = ObsSpec(vectors={"arm": 3})
    bare = build(vectors_only, encoder="cnn")
    seen = observe(vectors_only)
    assert bare.features == 3
    assert bare(seen, None) is seen.vectors


def test_each_camera_has_its_own_weights_and_place():
    network = build(encoder="cnn").eval()
    seen = observe()
    before = network(seen, None)
    blanked = seen.images | {"wrist": torch.zeros_like(seen.images["wrist"])}
    after = network(Observation(blanked, seen.vectors), None)
    assert torch.equal(after[..., :8], before[..., :8])
    assert not torch.equal(after[..., 8:16], before[..., 8:16])
    front, wrist = (n.backbone.convs[0].weight for n in network.networks)
    assert not torch.equal(front, wrist)


def test_a_shared_encoder_has_one_set_of_weights():
    shape = (44, 40, 3)
    spec = ObsSpec({"left": shape, "right": shape}, {"arm": 3})
    both = build(spec, encoder="cnn", shared=True).eval()
    one = build(ObsSpec({"right": shape}, {"arm": 3}), encoder="cnn", seed=5).eval()
    one.load_state_dict(both.state_dict())  # so it has no more weights
    seen = observe(spec)
    right = Observation({"right": seen.images["right"]}, seen.vectors)
    torch.testing.assert_close(one(right, None), both(seen, None)[..., 8:])


def test_a_random_crop_is_one_for_each_window_and_camera():
    shape = (40, 40, 3)
    spec = ObsSpec({"left": shape, "right": shape})
    network = build(spec, encoder="cnn", shared=True, crop=0.7)  # in training
    image = torch.randint(256, (1, 1, *shape), dtype=torch.uint8)
    same = image.expand(6, 2, *shape)
    seen = Observation({"left": same, "right": same}, torch.zeros(6, 2, 0))
    features = network(seen, torch.Generator().manual_seed(0))
    torch.testing.assert_close(features[:, 0], features[:, 1])
    assert len(features[:, 0].reshape(12, 8).unique(dim=0)) >= 10
    centred = network(seen, None)
    torch.testing.assert_close(centred, centred[:1, :1].expand_as(centred))


@pytest.mark.parametrize("zero", [0.0, 0.5, 1.0])
def test_the_grey_level_of_zero_adds_nothing_to_a_convolution(zero):
    network = build(encoder="cnn", zero=zero).networks[0]
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 3, 1, 1)
    scaled = network.scaled(levels.expand(1, 3, 1, 3)).flatten(2)
    expected = 2 * (torch.tensor([0.0, 0.2, 1.0]) - zero)
    torch.testing.assert_close(scaled, expected.expand(1, 3, 3))


def test_evaluation_sees_the_centre_only():
    network = build(encoder="cnn", crop=0.5).eval()
    seen = observe()
    border = {key: x.clone() for key, x in seen.images.items()}
    for x in border.values():
        height, width = x.shape[2:4]
        middle = x[:, :, height // 4 : -height // 4, width // 4 : -width // 4].clone()
        x.zero_()
        x[:, :, height // 4 : -height // 4, width // 4 : -width // 4] = middle
    after = network(Observation(border, seen.vectors), None)
    assert torch.equal(after, network(seen, None))


@pytest.mark.parametrize("encoder", ["cnn", "vit_small"])
def test_a_frozen_encoder_still_trains_what_follows_it(encoder):
    network = build(encoder=encoder, frozen=True, norm="batch")
    before = copy.deepcopy(network.state_dict())
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    (network(observe(), None) ** 2).sum().backward()
    optimizer.step()
    moved = {
        name
        for name, x in network.state_dict().items()
        if not torch.equal(x, before[name])
    }
    assert moved
    assert not any(".backbone." in name for name in moved)


@pytest.mark.parametrize(("encoder", "stride"), STRIDES.items())
def test_an_image_that_is_too_small_is_refused(encoder, stride):
    config = VisionConfig(encoder=encoder, crop=1.0)
    check_images(config, ObsSpec({"front": (stride + 1, stride + 1, 3)}))
    small = ObsSpec({"front": (64, stride, 3)})
    with pytest.raises(
        BadInput, match=rf"'front'.*\(64, {stride}, 3\).*{stride} pixel"
    ):
        Encoder(config, small)


def test_cameras_of_two_sizes_cannot_share_an_encoder():
    with pytest.raises(BadInput, match=r"'front' \(40, 48, 3\), 'wrist' \(44, 40, 3\)"):
        build(encoder="cnn", shared=True)
