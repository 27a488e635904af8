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
from dp_bench.evaluation.records import Record
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.runs.info import check_identity
from dp_bench.util import jsonl, settings

FILE = "encoders.jsonl"


@dataclass(frozen=True)
class EncoderTraining:
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
    def table(self) -> tuple[str, ...]:
        """What trainings of one table share: plan, demonstrations, number of starts."""
        first = self.records[0]
        starts = str(len(self.records))
        return self.plan, first.demos_digest, first.frames_digest, starts


def merge(path: Path, trainings: Iterable[EncoderTraining]) -> None:
    """Adds trainings of one plan; a failed write leaves the old file in place.

    Repeated trainings are replaced, all others stay. The trainings of a plan are sorted
    by name and seed, so the file does not depend on which ended first. Call it only
    while no other process writes the file.
    """
    new = list(trainings)
    earlier = read(path) if path.is_file() else []
    others, same = [], {}
    for one in [*earlier, *new]:
        if one.table == new[-1].table:
            same[one.name, one.train_seed] = one
        else:
            others.append(one)
    jsonl.write(path, [*others, *(same[key] for key in sorted(same))])


def last_study(trainings: Sequence[EncoderTraining]) -> list[EncoderTraining]:
    """Leaves out the trainings of other plans than the last one."""
    return [one for one in trainings if one.table == trainings[-1].table]


def read(path: Path) -> list[EncoderTraining]:
    """Reads the trainings of all studies of a file.

    Raises:
        BadInput: When the file is empty, or when a line is not a training; the message
            names the file and the line.
    """
    again = "delete it, and `dp-bench study encoders` makes it again"
    try:
        trainings = jsonl.read(path, EncoderTraining)
    except BadInput as error:
        raise BadInput(f"{error}; {again}") from None
    if not trainings:
        raise BadInput(f"{path} is empty; {again}")
    for training in trainings:
        for record in training.records:
            check_identity(record, str(path))
    return trainings
