"""The trainings of a study of encoders, one a line of `results/<task>/encoders.jsonl`.

Each line holds the encoder, the time that its training was given, and a record of each
episode, so tables and figures need nothing else. The file keeps the trainings of every
plan; those of the plan that was used last stand at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dp_bench.errors import BadInput
from dp_bench.evaluation import studies
from dp_bench.evaluation.records import Record
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.util import settings

FILE = "encoders.jsonl"
COMMAND = "dp-bench study encoders"


@dataclass(frozen=True)
class EncoderTraining(studies.Line):
    """One training of the study, and how its policy did.

    Attributes:
        name: Name of the setup, which stands in the table.
        plan: Digest of the conditions under which the trainings were planned.
        vision: Settings of the encoders.
        encoder_parameters: Number of parameters of the encoders.
        encoder_trained: Number of those that training changes.
        update_seconds: Time of one update, measured before the training [s].
        minutes: Time that each training was given [min]; None for equal updates.
        preset: Tier of all other settings.
        changes: Further settings that differ from the preset, `NAME=VALUE`.
        source: Source of the demonstrations.
        records: The evaluated episodes, at least one.
    """

    name: str
    plan: str
    vision: VisionConfig
    encoder_parameters: int
    encoder_trained: int
    update_seconds: float
    minutes: float | None
    preset: str
    changes: tuple[str, ...]
    source: str
    records: tuple[Record, ...]

    def __post_init__(self) -> None:
        settings.check_at_least(
            self, {"encoder_parameters": 0, "encoder_trained": 0, "update_seconds": 0}
        )
        if not self.records:
            raise BadInput("records must hold an episode, got none")

    @property
    def train_seed(self) -> int:
        """Seed of the training."""
        return self.records[0].train_seed

    @property
    def key(self) -> tuple[str | int, ...]:
        """What tells it from the others of one table."""
        return self.name, self.train_seed

    @property
    def table(self) -> tuple[str, ...]:
        """What trainings of one table share: plan, demonstrations, number of starts."""
        first = self.records[0]
        starts = str(len(self.records))
        return self.plan, first.demos_digest, first.frames_digest, starts


def merge(path: Path, trainings: Iterable[EncoderTraining]) -> None:
    """Adds trainings; see `studies.merge`."""
    studies.merge(path, EncoderTraining, trainings, COMMAND)


def last_study(trainings: Sequence[EncoderTraining]) -> list[EncoderTraining]:
    """Leaves out the trainings of other studies than the last one."""
    return studies.last(trainings)


def read(path: Path) -> list[EncoderTraining]:
    """Reads the trainings of all studies of a file; raises as `studies.read` does."""
    return studies.read(path, EncoderTraining, COMMAND)
