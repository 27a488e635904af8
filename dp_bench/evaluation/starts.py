"""Which starts are played: the env seeds of the test and of the validation starts."""

from __future__ import annotations

from dp_bench.errors import BadInput
from dp_bench.task import MOST_TEST_STARTS, TEST_STARTS, VALIDATION_STARTS

USUAL = {"test": TEST_STARTS, "validation": VALIDATION_STARTS}
MOST = {"test": MOST_TEST_STARTS, "validation": VALIDATION_STARTS}


def env_seeds_of(
    starts: str, episodes: int | None = None, *, option: str = "episodes"
) -> range:
    """Lists the env seeds of the first starts.

    Args:
        starts: "test" or "validation".
        episodes: Number of starts; None for the usual number.
        option: Name of `episodes` in errors.

    Raises:
        BadInput: When there are no such starts, or not as many.
    """
    if starts not in MOST:
        raise BadInput(f"starts must be one of {', '.join(MOST)}; got {starts!r}")
    most = len(MOST[starts])
    if episodes is None:
        return USUAL[starts]
    if not 1 <= episodes <= most:
        raise BadInput(
            f"{option} must be in 1..{most}, the number of {starts} starts; "
            f"got {episodes}"
        )
    return MOST[starts][:episodes]
