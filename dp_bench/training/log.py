"""The log of a training: `log.jsonl`, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dp_bench.util import jsonl, settings


@dataclass(frozen=True)
class LogLine:
    """One line of the log.

    Attributes:
        update: Updates made so far.
        loss: Mean training loss since the line before.
        lr: Learning rate of the last update.
        seconds: Wall-clock time of the training so far [s].
        val_loss: Validation loss of the averaged weights; None in lines without
            validation, or when it was not finite.
        val_action_error: Mean squared error of the actions that the averaged weights
            would execute, normalised; None as for `val_loss`.
        copying: Turn of the next action divided by the turn of the last movement: 0
            ignores it, 1 copies it. Only in the line of a pause or of the end, where
            it can be measured.
    """

    update: int
    loss: float
    lr: float
    seconds: float
    val_loss: float | None = None
    val_action_error: float | None = None
    copying: float | None = None

    def __post_init__(self) -> None:
        settings.check_at_least(self, {"update": 0, "lr": 0, "seconds": 0})


class Log:
    """Writes the log of a training, after cutting it back to where training resumes.

    Args:
        file: The file.
        update: Update from which training resumes; later lines are removed.
    """

    def __init__(self, file: Path, update: int) -> None:
        self.file = file
        jsonl.write(file, [line for line in read_log(file) if line.update <= update])

    def append(self, line: LogLine) -> None:
        """Adds a line."""
        jsonl.append(self.file, [line], sync=False)


def read_log(file: Path) -> list[LogLine]:
    """Reads a log; it has no lines when the file is missing.

    Raises:
        BadInput: When a line other than the last is damaged.
    """
    return jsonl.read(file, LogLine) if file.is_file() else []
