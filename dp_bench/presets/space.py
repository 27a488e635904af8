"""The settings of a method that `dp-bench tune` searches, and the values it tries.

Each file of presets has a table `SPACE`: the names of settings, and for each a
dimension, which says what values there are. A search changes these settings and leaves
all others at the preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from dp_bench.errors import BadInput
from dp_bench.method import Method
from dp_bench.references import load
from dp_bench.util import settings

if TYPE_CHECKING:
    from dp_bench.presets import Preset


@dataclass(frozen=True)
class Choice:
    """One of several values, as text."""

    values: tuple[str, ...]

    def changes(self, name: str, value: str) -> dict[str, str]:
        """Returns the settings of a value, by name."""
        return {name: value}

    def __post_init__(self) -> None:
        if not self.values:
            raise BadInput("a choice needs a value")


@dataclass(frozen=True)
class LogUniform:
    """A number from `low` to `high`, uniform in its logarithm, with two digits."""

    low: float
    high: float

    def changes(self, name: str, value: float) -> dict[str, str]:
        """Returns the settings of a value, by name."""
        return {name: f"{value:.2g}"}

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise BadInput(f"the ends must be 0 < low < high, got {self}")


@dataclass(frozen=True)
class JointChoice:
    """One of several named sets of settings that change together."""

    sets: Mapping[str, Mapping[str, str]]

    @property
    def values(self) -> tuple[str, ...]:
        """The words."""
        return tuple(self.sets)

    def changes(self, name: str, value: str) -> dict[str, str]:
        """Returns the settings of a word, by name."""
        return dict(self.sets[value])


Space = Mapping[str, "Choice | LogUniform | JointChoice"]


def one_of(*values: object) -> Choice:
    """Makes a choice between values, which are written as text."""
    return Choice(tuple(map(str, values)))


def fitting(space: Space, usual: Preset) -> Space:
    """Leaves out values that settings cannot have or have anyway.

    A dimension without any other value is left out, too.

    Args:
        space: A search space.
        usual: The settings of the preset, with the changes of the user.
    """
    kept: dict[str, Choice | LogUniform | JointChoice] = {}
    for name, dim in space.items():
        if isinstance(dim, LogUniform):
            kept[name] = dim
            continue
        good = [v for v in dim.values if _fits(usual, dim.changes(name, v))]
        if good:
            kept[name] = (
                Choice(tuple(good))
                if isinstance(dim, Choice)
                else JointChoice({word: dim.sets[word] for word in good})
            )
    return kept


def _fits(usual: Preset, changes: Mapping[str, str]) -> bool:
    try:
        return settings.override_all(usual, changes) != usual
    except BadInput:
        return False


def settings_of(name: str, dim: Choice | LogUniform | JointChoice) -> set[str]:
    """Lists the settings that a dimension of a space changes."""
    if isinstance(dim, JointChoice):
        return {setting for changes in dim.sets.values() for setting in changes}
    return {name}


# What only the objective `ddpm` uses, and no variant.
IGNORED = ("policy.predicts",)

# What every method can search.
SHARED: Space = {
    "training.lr": LogUniform(2e-4, 4e-3),
    "training.batch_size": one_of(32, 64, 128, 256),
    "policy.obs_noise": one_of(0.0, 0.003, 0.01, 0.02, 0.05),
    "policy.obs_dropout": one_of(0.0, 0.1, 0.3),
    "training.keyframe_weight": one_of(0.0, 1.0, 3.0),
}


def space_of(method: Method) -> Space:
    """Returns the search space of a method.

    Leaves out the settings that a variant fixes, and those that its objective ignores.

    Raises:
        BadInput: When the method has none.
    """
    given = method.space
    space = cast(Space, load(given) if isinstance(given, str) else given)
    fixed = {*method.changes, *(IGNORED if method.base else ())}
    space = {name: dim for name, dim in space.items() if name not in fixed}
    if not space:
        raise BadInput(
            f"{method.name} has no search space; its package can name one in "
            f"`Method.space`"
        )
    return space
