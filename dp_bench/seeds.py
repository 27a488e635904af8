"""Seeds derived from seeds.

Every random draw depends only on its purpose and its keys, never on earlier draws. So
work can be resumed, split up and repeated.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a derived seed is for; two purposes never share draws."""

    SPLIT = 0
    INITIAL_WEIGHTS = 1
    BATCH_ORDER = 2
    LOSS_NOISE = 3
    VALIDATION_NOISE = 4
    DECISIONS = 5
    DROPOUT = 6
    FIT = 7


def derive(purpose: Purpose, *keys: int) -> int:
    """Derives a seed in [0, 2^63) from a purpose and keys that are 0 or above.

    A last key of 0 gives the same seed as no such key, so a purpose may get one more.
    """
    state = np.random.SeedSequence([int(purpose), *map(int, keys)])
    return int(state.generate_state(1, np.uint64)[0] >> np.uint64(1))
