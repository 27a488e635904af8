"""Preparing a cell: its demonstrations, split, and the description of its run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.errors import BadInput
from dp_bench.grid.cell import ResolvedCell
from dp_bench.policies.obs_spec import ObsSpec

if TYPE_CHECKING:
    from dp_bench.data.demos import Demos
    from dp_bench.data.split import Split
    from dp_bench.policies.vision.config import VisionConfig
    from dp_bench.presets import Preset
    from dp_bench.runs.folder import RunFolder
    from dp_bench.runs.info import RunInfo
    from dp_bench.task import MotionColumns, ObsNoise
    from dp_bench.training.batches import ObsRows, Rows


@dataclass(frozen=True)
class Prepared:
    """A cell with everything that its training needs.

    Attributes:
        cell: The cell.
        info: Description of the run.
        folder: Its run folder, which need not exist yet.
        settings: Settings of the cell; those that depend on the device are resolved.
        train: Training episodes.
        validation: Validation episodes; None where none are held back.
        obs_noise: Observation noise that training adds; None for none.
        motion: Columns that hold the robot's position; None if unknown.
    """

    cell: ResolvedCell
    info: RunInfo
    folder: RunFolder
    settings: Preset
    train: Rows
    validation: Rows | None
    obs_noise: ObsNoise | None
    motion: MotionColumns | None


def prepare(cell: ResolvedCell) -> Prepared:
    """Loads and splits the demonstrations of a cell, and describes its run.

    Raises:
        BadInput: When something about the cell cannot be used.
    """
    from dp_bench.runs.folder import RunFolder
    from dp_bench.training.device import resolved

    training = resolved(cell.settings.training, cell.device)
    settings = dataclasses.replace(cell.settings, training=training)
    train, validation, split = _split(cell)
    info = _info(cell, settings, split, train)
    return Prepared(
        cell=cell,
        info=info,
        folder=RunFolder(Path(cell.names.runs) / cell.task.name / info.name),
        settings=settings,
        train=train,
        validation=validation,
        obs_noise=cell.task.obs_noise_of(cell.obs_kind, cell.control)
        if training.sensor_noise
        else None,
        motion=cell.task.motions.get(cell.obs_kind),
    )


def _split(cell: ResolvedCell) -> tuple[Rows, Rows | None, Split]:
    """Splits the demonstrations of a cell; None where no episode is held back."""
    import numpy as np

    from dp_bench.data.actions import actions_of
    from dp_bench.data.split import split_episodes
    from dp_bench.seeds import Purpose, derive

    task, demos = cell.task, cell.demos.loaded
    split = split_episodes(
        demos,
        np.random.default_rng(derive(Purpose.SPLIT)),
        validation_share=task.validation_share,
        train_episodes=task.train_episodes,
    )
    learned = dataclasses.replace(demos, actions=actions_of(task, demos, cell.control))
    parts = [
        learned.select(episodes)
        for episodes in (split.train, split.validation)
        if len(episodes)
    ]
    train, *validation = (
        (_observed(cell, part), part.actions, part.episode_ends) for part in parts
    )
    return train, validation[0] if validation else None, split


def _observed(cell: ResolvedCell, demos: Demos) -> ObsRows:
    """Returns the observations of demonstrations: one array, or arrays by key.

    Raises:
        BadInput: When they are missing, or the environment shows others.
    """
    import numpy as np

    from dp_bench.data.observed import observed

    kind, shown = cell.obs_kind, cell.demos.shown
    if shown is not None:
        by_key = observed(cell.task, demos, kind)
        shapes = {k: (a.shape[1:], np.dtype(a.dtype)) for k, a in by_key.items()}
        held = ObsSpec.of_arrays(shapes, "these demonstrations")
        for key in shown.keys:
            if held.shape_of(key) != shown.shape_of(key):
                raise BadInput(
                    f"these demonstrations hold {key!r} of shape {held.shape_of(key)}, "
                    f"and {kind!r} observations of {cell.task.name} have "
                    f"{shown.shape_of(key)}"
                )
        return by_key
    if kind not in demos.obs:
        raise BadInput(
            f"these demonstrations hold no {kind!r} observations; "
            f"they hold {', '.join(demos.obs)}"
        )
    if demos.obs[kind].ndim != 2:
        raise BadInput(
            f"{kind!r} of these demonstrations are images, {demos.obs[kind].shape}, "
            f"and {cell.task.name} names no keys of such observations: list them in "
            f"Task.obs_keys, or choose observations made of numbers with `--obs`"
        )
    return np.asarray(demos.obs[kind])


def _info(cell: ResolvedCell, settings: Preset, split: Split, train: Rows) -> RunInfo:
    """Describes the run of a cell."""
    from dp_bench.data.frames import digest_for
    from dp_bench.data.windows import order_digest, short_episodes
    from dp_bench.runs.info import RunInfo
    from dp_bench.util import settings as fields

    demos, (obs, actions, ends) = cell.demos.loaded, train
    shown, vision = cell.demos.shown, settings.vision
    keyframes, horizons = settings.training.keyframe_weight, settings.policy.horizons
    return RunInfo(
        task=cell.task.name,
        obs_kind=cell.obs_kind,
        control=cell.control,
        method=cell.method.name,
        preset="custom" if cell.names.changes_results else cell.names.preset,
        policy=fields.to_json(settings.policy),
        training=fields.to_json(settings.training),
        demos_source=demos.source,
        demos_digest=demos.digest,
        split_digest=split.digest,
        order_digest=order_digest(
            cell.names.train_seed,
            len(actions),
            f"{keyframes:g} {horizons}" if keyframes else "",
        ),
        train_episodes=len(split.train),
        padded_episodes=len(short_episodes(ends, horizons)),
        train_seed=cell.names.train_seed,
        obs_dim=obs_dim_of(shown, vision, obs),
        action_dim=actions.shape[1],
        frames_digest=digest_for(demos),
        observation=shown,
        vision=vision if shown and shown.images else None,
    )


def obs_dim_of(shown: ObsSpec | None, vision: VisionConfig | None, obs: ObsRows) -> int:
    """Counts the numbers that the network observes: Do, or F features."""
    import numpy as np

    from dp_bench.policies.vision.config import VisionConfig

    if shown is None:
        return int(np.asarray(obs).shape[1])
    return (vision or VisionConfig()).features_of(shown)
