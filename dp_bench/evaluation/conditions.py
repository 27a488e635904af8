"""The conditions under which a study or a search compares settings."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from dp_bench.util import settings

STEP = 10  # numbers of updates are rounded down to multiples of it


@dataclass(frozen=True)
class Conditions:
    """What the number of updates depends on; another value needs other trainings.

    Attributes:
        minutes: Time of each training [min]; None where `updates` is given.
        updates: Number of updates of each training; None where `minutes` is given.
        task: Name of the task.
        method: Name of the method.
        preset: Tier of the settings.
        obs_kind: Kind of observation.
        control: Control mode.
        changes: Further settings, as `NAME=VALUE`.
        demos: Digest of the demonstrations.
        device: Device that trains.
        threads: Threads of each training on the CPU.
        processor: Model of the CPU.
        gpu: Model of the GPU; None without one.
    """

    minutes: float | None
    updates: int | None
    task: str
    method: str
    preset: str
    obs_kind: str
    control: str
    changes: tuple[str, ...]
    demos: str
    device: str
    threads: int
    processor: str
    gpu: str | None

    def updates_in(self, update_seconds: float) -> int:
        """Returns how many updates fit: a multiple of 10, or fewer than 10."""
        if self.minutes is None:
            assert self.updates is not None
            return self.updates
        fitting = int(self.minutes * 60 / update_seconds)
        return fitting // STEP * STEP if fitting >= STEP else max(1, fitting)

    @property
    def digest(self) -> str:
        """Short hash by which results name their plan."""
        return settings.short_hash(dataclasses.asdict(self))
