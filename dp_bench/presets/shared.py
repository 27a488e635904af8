"""Values that presets of several methods share."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from dp_bench.policies.vision.config import VisionConfig

# The laptop presets of BlockPush, Kitchen and Robomimic, and all those for images, name
# their precision, so that runs from different machines share a row. BlockPush needs it
# too: bfloat16 keeps eight bits, which is a millimetre in 0.3 m.
SAME_PRECISION: Final = "float32"

# A dimension of Kitchen's observations with a smaller range is sensor noise [rad, m].
KITCHEN_STILL: Final = 0.05  # as published
# Chosen on validation starts (results/kitchen/README.md). This also covers the kettle's
# orientation, which the noise would drown.
KITCHEN_NEARLY_STILL: Final = 0.2

# Observation noise in training, as a multiple of the noise in the tests. Chosen on
# validation starts (results/kitchen/README.md).
KITCHEN_NOISE: Final = 3.0

# Share of an image that a policy sees: 84 of 96 pixels on PushT, as published.
PUSHT_CROP: Final = 0.875

# An encoder for smoke tests.
SMALL_IMAGES: Final = VisionConfig(encoder="cnn", keypoints=8, features=16)

# The encoder of the laptop tier, which shows a policy as much of an image as the
# published ones see of PushT.
CNN_IMAGES: Final = VisionConfig(encoder="cnn", keypoints=64, crop=PUSHT_CROP)

# The same for PushT, whose background is white.
PUSHT_IMAGES: Final = replace(CNN_IMAGES, zero=1.0)
