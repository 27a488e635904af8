"""The settings of a method that `dp-bench tune` searches, and the values it tries.

Each file of presets has a table `SPACE`: the names of settings, and for each a
dimension, which says what values there are. A search changes these settings and leaves
all others at the preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from dp_bench.errors import BadInput
from dp_bench.method import Method
from dp_bench.references import load


@dataclass(frozen=True)
class Choice:
    """One of some values, as text."""

    values: tuple[str, ...]

    def changes(self, name: str, value: str) -> dict[str, str]:
        """Returns the settings of a value, by name."""
        return {name: value}

    def __post_init__(self) -> None:
        if len(set(self.values)) < 2:
            raise BadInput(f"a choice needs two values or more, got {self.values}")


@dataclass(frozen=True)
class LogUniform:
    """A number between two ends; its logarithm is uniform, two digits are kept."""

    low: float
    high: float

    def changes(self, name: str, value: float) -> dict[str, str]:
        """Returns the settings of a value, by name."""
        return {name: f"{value:.2g}"}

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise BadInput(f"the ends must be 0 < low < high, got {self}")


@dataclass(frozen=True)
class Together:
    """One of some sets of settings that must change together, by a word for each."""

    sets: Mapping[str, Mapping[str, str]]

    @property
    def values(self) -> tuple[str, ...]:
        """The words."""
        return tuple(self.sets)

    def changes(self, name: str, value: str) -> dict[str, str]:
        """Returns the settings of a word, by name."""
        return dict(self.sets[value])


Space = Mapping[str, "Choice | LogUniform | Together"]


def one_of(*values: object) -> Choice:
    """Makes a choice between values, which are written as text."""
    return Choice(tuple(map(str, values)))


# What every method can search.
SHARED: Space = {
    "training.lr": LogUniform(2e-4, 4e-3),
    "training.batch_size": one_of(64, 128, 256),
    "policy.obs_noise": one_of(0.0, 0.003, 0.01, 0.02, 0.05),
}


def space_of(method: Method) -> Space:
    """Returns the search space of a method.

    A variant does not search what it decides itself.

    Raises:
        BadInput: When the method has none.
    """
    given = method.space
    space = cast(Space, load(given) if isinstance(given, str) else given)
    space = {name: dim for name, dim in space.items() if name not in method.changes}
    if not space:
        raise BadInput(
            f"{method.name} has no search space: name one in `Method.space`, as "
            f"dp_bench/presets/space.py describes"
        )
    return space
