"""Where the keypoints of a spatial softmax lie."""

import pytest
import torch

from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.policies.vision.encoder import Encoder
from dp_bench.policies.vision.pooling import Average, SpatialSoftmax


def one_keypoint(size):
    """A spatial softmax whose only map is the channel it is given."""
    pooling = SpatialSoftmax(1, 1, size)
    torch.nn.init.ones_(pooling.maps.weight)
    torch.nn.init.zeros_(pooling.maps.bias)
    return pooling


@pytest.mark.parametrize(
    ("row", "column", "x", "y"),
    [(0, 0, -1, -1), (0, 6, 1, -1), (4, 0, -1, 1), (2, 3, 0, 0), (2, 4, 1 / 3, 0)],
)
def test_a_sharp_peak_is_found_where_it_is(row, column, x, y):
    maps = torch.zeros(1, 1, 5, 7)
    maps[0, 0, row, column] = 50.0
    found = one_keypoint((5, 7))(maps)
    torch.testing.assert_close(found, torch.tensor([[x, y]]).float())


def test_a_flat_map_has_its_keypoint_in_the_centre():
    found = one_keypoint((5, 7))(torch.full((1, 1, 5, 7), 3.0))
    torch.testing.assert_close(found, torch.zeros(1, 2), atol=1e-6, rtol=0)


def test_each_keypoint_gives_x_and_then_y():
    pooling = SpatialSoftmax(2, 2, (4, 4))
    with torch.no_grad():
        pooling.maps.weight.copy_(torch.eye(2)[..., None, None])
    maps = torch.zeros(1, 2, 4, 4)
    maps[0, 0, 0, 3] = maps[0, 1, 3, 0] = 50.0
    expected = torch.tensor([[1.0, -1.0, -1.0, 1.0]])
    torch.testing.assert_close(pooling(maps), expected)


def spot(left, top):
    """A bright square on black, of 6 x 6 pixels."""
    images = torch.zeros(1, 60, 60, 3, dtype=torch.uint8)
    images[:, top : top + 6, left : left + 6] = 255
    return images


def test_keypoints_follow_an_image_that_moves_by_one_pixel():
    spec = ObsSpec({"camera": (60, 60, 3)})
    network = Encoder(VisionConfig(encoder="cnn", crop=1.0), spec).networks[0].eval()
    for module in (*network.backbone.convs, network.pooling.maps):
        torch.nn.init.constant_(module.weight, 0.1)  # bright pixels score high
    points = []
    network.pooling.register_forward_hook(lambda *call: points.append(call[-1]))
    for left, top in ((30, 30), (31, 30), (30, 31)):
        network(spot(left, top), torch.float32)
    start, right, down = (p[0, :2] for p in points)
    for moved, axis in ((right, 0), (down, 1)):
        along, across = moved[axis] - start[axis], moved[1 - axis] - start[1 - axis]
        assert along > 0.3 * 2 / 59  # a pixel is 2 / 59; padding attracts keypoints
        assert abs(across) < along / 10


def test_the_average_forgets_where_things_are():
    maps = torch.randn(2, 3, 4, 5)
    mixed = maps.flatten(2)[..., torch.randperm(20)].view(maps.shape)
    torch.testing.assert_close(Average(3)(maps), Average(3)(mixed))
    assert Average(3)(torch.ones(1, 3, 4, 5)).tolist() == [[1, 1, 1]]
