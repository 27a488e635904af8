"""Crops of windows: where they lie, and what they hold."""

import numpy as np
import pytest
import torch

from dp_bench.policies.vision import crops
from dp_bench.policies.vision.crops import centre_crop, random_crop


def maps_of_places(batch, steps, height, width):
    """Images whose pixels say where they are: y, x, and the number of the image."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    images = torch.zeros(batch, steps, height, width, 3, dtype=torch.uint8)
    images[..., 0], images[..., 1] = y, x
    numbers = torch.arange(batch * steps).view(batch, steps, 1, 1)
    images[..., 2] = numbers % 256
    return images


def test_a_random_crop_equals_a_slice_with_one_offset_for_all_steps():
    images = maps_of_places(20, 3, 12, 10)
    cut = random_crop(images, (7, 8), torch.Generator().manual_seed(0))
    assert cut.dtype == torch.uint8
    for window, part in zip(images, cut, strict=True):
        y, x = part[0, 0, 0, :2].tolist()
        torch.testing.assert_close(part, window[:, y : y + 7, x : x + 8])


def test_every_offset_is_as_frequent_as_every_other():
    images = maps_of_places(3000, 1, 6, 5)
    cut = random_crop(images, (5, 3), torch.Generator().manual_seed(0))
    offsets, counts = np.unique(cut[:, 0, 0, 0, :2], axis=0, return_counts=True)
    assert offsets.tolist() == [[y, x] for y in (0, 1) for x in (0, 1, 2)]
    assert abs(counts - 500).max() < 5 * 500**0.5


def test_a_seed_fixes_the_crops():
    images = maps_of_places(8, 2, 12, 12)
    first, again, other = (
        random_crop(images, (6, 6), torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_looking_pixels_up_gives_what_slicing_gives():
    images = maps_of_places(5, 2, 12, 10)
    tops, lefts = torch.tensor([0, 1, 2, 3, 4]), torch.tensor([3, 0, 1, 2, 3])
    by_slice = crops._sliced(images, tops, lefts, (8, 7))
    assert torch.equal(crops._gathered(images, tops, lefts, (8, 7)), by_slice)


@pytest.mark.parametrize("cut", [centre_crop, random_crop])
def test_a_crop_of_the_whole_image_changes_nothing(cut):
    images = maps_of_places(2, 2, 6, 7)
    generator = () if cut is centre_crop else (torch.Generator(),)
    assert torch.equal(cut(images, (6, 7), *generator), images)


def test_a_centre_crop_leaves_the_same_border_on_both_sides():
    part = centre_crop(maps_of_places(1, 1, 96, 84), (84, 76))
    assert part.shape == (1, 1, 84, 76, 3)
    assert part[0, 0, 0, 0, :2].tolist() == [6, 4]
    assert part[0, 0, -1, -1, :2].tolist() == [95 - 6, 83 - 4]


def test_a_random_crop_can_run_over_a_view_of_other_memory():
    images = maps_of_places(4, 3, 12, 10)
    seeds = [torch.Generator().manual_seed(3) for _ in range(2)]
    view = random_crop(images[:, 1:], (8, 8), seeds[0])
    copy = random_crop(images[:, 1:].contiguous(), (8, 8), seeds[1])
    assert torch.equal(view, copy)
