"""A method: a policy class and its presets, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Method:
    """A way of learning a policy from demonstrations.

    Attributes:
        name: Short name, as typed on the command line.
        title: Name in tables.
        policy: `"module:Class"` of the `Policy`, whose `config_class` holds its
            settings.
        about: One line for a person.
        presets: `{(task, tier): Preset}`, or `"module:attribute"` of such a table.
    """

    name: str
    title: str
    policy: str
    about: str = ""
    presets: Mapping[tuple[str, str], Any] | str = field(default_factory=dict)
