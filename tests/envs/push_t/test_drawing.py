"""Images of PushT against recorded ones and known pixels."""

import numpy as np

from dp_bench.envs.push_t import drawing
from dp_bench.envs.push_t.env import PushT


def test_images_match_the_recorded_ones(replay):
    arrays, _ = replay
    for row, frame in zip((0, 1000, 9000), arrays["frames"], strict=True):
        ours = drawing.image_of(tuple(arrays["state"][row].astype(np.float64)))
        error = np.abs(ours.astype(np.float64) - frame)
        assert error.mean() < 0.4, f"row {row}"  # of 255
        assert (error.max(axis=-1) > 10).mean() < 0.01, f"row {row}"


def test_an_image_shows_finger_block_outline_and_walls():
    env = PushT(render_mode="rgb_array")
    env.reset(options={"state": [100, 400, 300, 100, 0]})
    image = env.render()
    assert image.shape == (512, 512, 3)
    assert image.dtype == np.uint8
    for (x, y), color in (
        ((100, 400), drawing.ROYAL_BLUE_INSIDE),
        ((300, 200), drawing.SLATE_GRAY_INSIDE),
        ((256, 256), drawing.LIGHT_GREEN),
        ((506, 300), drawing.LIGHT_GRAY),
        ((50, 50), drawing.WHITE),
    ):
        assert tuple(image[y, x]) == color, (x, y)
