"""What every environment asks of its arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dp_bench.errors import BadInput


def check_choice(task: str, what: str, value: Any, choices: Sequence[Any]) -> None:
    """Refuses an argument of an environment that is none of the choices.

    Raises:
        BadInput: With the task, the value and the choices.
    """
    if value not in choices:
        raise BadInput(
            f"{task} has no {what} {value!r}; it has {', '.join(map(str, choices))}"
        )


def check_reset(
    task: str,
    seed: int | None,
    options: Mapping[str, Any] | None,
    known: Sequence[str] = ("state",),
) -> None:
    """Refuses a seed that generators cannot take, and options that nobody reads.

    Raises:
        BadInput: With the value and what is allowed.
    """
    if seed is not None and not 0 <= seed < 2**32:
        raise BadInput(f"seed {seed} must be in [0, 2**32 - 1]")
    unknown = set(options or {}) - set(known)
    if unknown:
        raise BadInput(
            f"{task} has no reset option {min(unknown)!r}; it has "
            f"{', '.join(map(repr, known))}"
        )
