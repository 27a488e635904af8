"""Which numbers lose too much when they are rounded to float32."""

from __future__ import annotations

import numpy as np

# A dimension whose range is below this share of its values is centred in float64: in
# float32 it would lose more than a thousandth of its range.
FAR_FROM_ZERO = 1e-3


def needs_float64(rows: np.ndarray) -> bool:
    """Tells whether a dimension of rows `(N, D)` varies little and far from zero.

    Types that float32 holds exactly never need it.
    """
    if np.can_cast(rows.dtype, np.float32) or not len(rows):
        return False
    low, high = rows.min(0).astype(np.float64), rows.max(0).astype(np.float64)
    largest = np.maximum(np.abs(low), np.abs(high))
    with np.errstate(invalid="ignore", over="ignore"):  # of numbers that are not finite
        far = (high > low) & (high - low < FAR_FROM_ZERO * largest)
    return bool(far.any())
