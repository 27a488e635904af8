"""What every environment asks of its arguments."""

from __future__ import annotations

from collections.abc import Sequence
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
