"""What a file of weights or a training state says about its training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dp_bench.errors import BadInput
from dp_bench.util import settings
from dp_bench.util.tensors import load_tensors
from dp_bench.util.types import JsonObject


@dataclass(frozen=True)
class Facts:
    """How far a training had come.

    Attributes:
        update: Updates made.
        seconds: Wall-clock time of the training [s].
        loss_sum: In a state, the sum of losses that no line of the log has.
        loss_count: In a state, the number of these losses.
    """

    update: int
    seconds: float
    loss_sum: float = 0.0
    loss_count: int = 0

    def __post_init__(self) -> None:
        settings.check_at_least(self, {"update": 0, "seconds": 0, "loss_count": 0})


def checked_facts(path: Path, facts: JsonObject) -> Facts:
    """Checks the facts that `load_tensors` read from a file.

    Raises:
        BadInput: When one is missing, unknown, of another type or out of range.
    """
    try:
        return settings.from_json(Facts, facts, str(path))
    except BadInput as error:
        raise BadInput(
            f"{error}; dp-bench did not write that: delete the file and train again"
        ) from None


def load_facts(path: Path) -> Facts:
    """Reads the facts of a file; raises as `load_tensors` and `checked_facts` do."""
    return checked_facts(path, load_tensors(path)[1])
