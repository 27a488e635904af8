"""Seeds derived from seeds.

Every draw is a function of what it is for, and of nothing that ran before it, so that
work can be resumed, split up and repeated.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a derived seed is for; two purposes never share their draws."""

    SPLIT = 0
    INITIAL_WEIGHTS = 1
    BATCH_ORDER = 2
    LOSS_NOISE = 3
    VALIDATION_NOISE = 4
    DECISIONS = 5
    DROPOUT = 6
    FIT = 7


def derive(purpose: Purpose, *keys: int) -> int:
    """A seed in [0, 2^63) for one purpose under some keys, each 0 or above."""
    state = np.random.SeedSequence([int(purpose), *map(int, keys)])
    return int(state.generate_state(1, np.uint64)[0] >> np.uint64(1))
