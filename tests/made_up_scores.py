"""Made-up scores that the tests of estimates and of comparisons use."""

import numpy as np

from dp_bench.statistics.estimates import Estimate


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def width(estimate: Estimate) -> float:
    return estimate.high - estimate.low


def hard_and_easy_starts(
    num_seeds: int, num_starts: int = 50, seed: int = 1
) -> np.ndarray:
    """Draws scores that depend mostly on the start, `(S, E)`."""
    draw = np.random.default_rng(seed)
    ease = draw.uniform(0.1, 0.9, size=num_starts)
    return np.clip(ease + 0.05 * draw.normal(size=(num_seeds, num_starts)), 0, 1)
