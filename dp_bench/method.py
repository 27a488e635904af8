"""A method: a policy class and its presets, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Method:
    """A way to learn a policy from demonstrations.

    Attributes:
        name: Short name, as typed on the command line.
        title: Name in tables.
        policy: `"module:Class"` of the `Policy`. The `config_class` of that class holds
            the settings.
        about: One line that says what the method does.
        presets: `{(task, tier): Preset}`, or the `"module:attribute"` of such a table,
            which is imported only when needed. A row `(task, tier, "image")` is for
            observations with images.
    """

    name: str
    title: str
    policy: str
    about: str = ""
    presets: Mapping[tuple[str, ...], object] | str = field(default_factory=dict)
