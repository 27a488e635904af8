"""Methods and samplers, as plain data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace


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
        space: `"module:attribute"` of the settings that `dp-bench tune` searches; see
            `dp_bench.presets.space`.
        variants: Changes of settings, by name. Each is a method of its own: "flow" of
            "dp_c" is "dp_c-flow", and has these values in every preset.
        changes: Settings that differ from `presets`; only a variant has some.
        base: Name of the method that this is a variant of; "" for none.
        on_request: Whether `dp-bench compare` leaves it out unless it is named.
    """

    name: str
    title: str
    policy: str
    about: str = ""
    presets: Mapping[tuple[str, ...], object] | str = field(default_factory=dict)
    space: Mapping[str, object] | str = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    changes: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    on_request: bool = False

    @property
    def short_title(self) -> str:
        """The abbreviation in the title, "DP-C" say, or the title itself."""
        abbreviation = re.search(r"\(([^()]+)\)$", self.title)
        return abbreviation[1] if abbreviation else self.title

    def all_variants(self) -> dict[str, Method]:
        """Returns the variants as methods, by their whole names."""
        return {
            f"{self.name}-{name}": replace(
                self,
                name=f"{self.name}-{name}",
                title=f"{self.short_title}, {name}",
                about=f"{self.name} with the objective {name}",
                variants={},
                changes=changes,
                base=self.name,
            )
            for name, changes in self.variants.items()
        }


@dataclass(frozen=True)
class Sampler:
    """A function that turns noise into actions with a trained network.

    Attributes:
        name: Value of `policy.sampler`.
        function: `"module:function"`, `(path, noise, calls) -> actions (B, Tp, Da)`;
            see `dp_bench/policies/diffusion/samplers.py`.
        objectives: Objectives with which the network may have been trained.
        draws_each_call: Whether it needs new noise for every network call, not only
            once a decision.
    """

    name: str
    function: str
    objectives: tuple[str, ...] = ("ddpm", "flow")
    draws_each_call: bool = False
