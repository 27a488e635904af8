"""Which starts are played: the env seeds of each kind of start."""

from __future__ import annotations

from dp_bench.errors import BadInput
from dp_bench.task import (
    DECISION_STARTS,
    MOST_TEST_STARTS,
    TEST_STARTS,
    VALIDATION_STARTS,
)

DECISION = "decision"  # starts that no training of another train seed meets
USUAL = {
    "test": TEST_STARTS,
    "validation": VALIDATION_STARTS,
    DECISION: DECISION_STARTS[: len(TEST_STARTS)],
}
MOST = {
    "test": MOST_TEST_STARTS,
    "validation": VALIDATION_STARTS,
    DECISION: DECISION_STARTS,
}


def env_seeds_of(
    starts: str,
    episodes: int | None = None,
    *,
    train_seed: int = 0,
    option: str = "episodes",
) -> range:
    """Lists the env seeds of the first starts.

    Args:
        starts: "test", "validation" or "decision".
        episodes: Number of starts; None for the usual number.
        train_seed: Of the training that is evaluated; decision starts depend on it.
        option: Name of `episodes` in errors.

    Raises:
        BadInput: When there are no such starts, or not as many.
    """
    if starts not in MOST:
        raise BadInput(f"starts must be one of {', '.join(MOST)}; got {starts!r}")
    most = len(MOST[starts])
    episodes = len(USUAL[starts]) if episodes is None else episodes
    if not 1 <= episodes <= most:
        raise BadInput(
            f"{option} must be in 1..{most}, the number of {starts} starts; "
            f"got {episodes}"
        )
    first = MOST[starts].start + (most * train_seed if starts == DECISION else 0)
    return range(first, first + episodes)
