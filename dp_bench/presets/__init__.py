"""The settings of every method on every task, one file a method.

Each file has a table `PRESETS` with a row for each task and tier:

- `smoke` runs in seconds and shows that everything works.
- `laptop` is made for two CPU cores.
- `gpu` is made for one GPU of a data centre.
- `paper` has the published settings, for a GPU.

A row for observations with images has a third part, `"image"` or the name of the kind
of observation: `("pusht", "laptop", "image")`.

A row under the name of a group serves the group's tasks that have no row of their own.
A row under "*" serves all other tasks, those of other packages too. The comment above a
row names the source of its values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from dp_bench.errors import BadInput
from dp_bench.method import Method
from dp_bench.policies.base import PolicyConfig
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.references import load
from dp_bench.registry import tasks
from dp_bench.task import IMAGE
from dp_bench.training.config import Training
from dp_bench.util import settings


@dataclass(frozen=True)
class Preset:
    """Settings of one method on one task.

    Attributes:
        policy: Settings of the policy.
        training: Settings of the training.
        control: What actions mean, "position" or "velocity"; None for the task's
            default. The default also applies to a task that lacks this control.
        episodes: How many test starts are played; None for the 50 of the protocol.
        vision: Settings of the encoders of images; None without images.
    """

    policy: PolicyConfig
    training: Training
    control: str | None = None
    episodes: int | None = None
    vision: VisionConfig | None = None


def preset(method: Method, task: str, tier: str, obs_kind: str | None = None) -> Preset:
    """Finds the settings of a method on a task.

    Args:
        method: Holds the table of its presets.
        task: Name of the task.
        tier: "smoke", "laptop", "gpu" or "paper".
        obs_kind: Kind of observation. Without rows for its images, a method has the
            settings for numbers and the default encoder.

    Raises:
        BadInput: When the method has no such preset; the error lists its tiers.
    """
    given = method.presets
    table = load(given) if isinstance(given, str) else given
    known = tasks().get(task)
    rows = (task, known.group if known else "", "*")
    kinds = [(obs_kind,)] if obs_kind else []
    shows_images = obs_kind in (known.image_kinds if known else (IMAGE,))
    kinds += [(IMAGE,)] if shows_images else []
    for key in ((row, tier, *kind) for kind in (*kinds, ()) for row in rows):
        if key in table:
            found = cast(Preset, table[key])
            if shows_images:
                found = replace(found, vision=found.vision or VisionConfig())
            return settings.override_all(found, dict(method.changes))
    usable = [key for key in table if key[0] in rows and key[2:] in (*kinds, ())]
    tiers = sorted({key[1] for key in usable})
    seen = f" with {obs_kind} observations" if obs_kind else ""
    raise BadInput(
        f"no preset {tier!r} for {method.name} on {task}{seen}; "
        f"there is {', '.join(tiers) or 'none'}"
    )
