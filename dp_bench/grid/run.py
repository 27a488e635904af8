"""Training and evaluating one cell in this process; the child process of a grid.

The settings of a cell name its run folder. A finished training or evaluation that the
folder holds is not repeated, and an interrupted training resumes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.errors import BadInput
from dp_bench.grid.cell import Cell, ResolvedCell, resolve
from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.util.processes import end_with_parent, signals_stop
from dp_bench.util.text import sentence

if TYPE_CHECKING:
    from dp_bench.data.demos import Demos
    from dp_bench.data.split import Split
    from dp_bench.policies.vision.config import VisionConfig
    from dp_bench.presets import Preset
    from dp_bench.runs.folder import RunFolder
    from dp_bench.runs.info import RunInfo
    from dp_bench.task import ObsNoise
    from dp_bench.training.batches import ObsRows, Rows

# Environment variable: how many processes a cell of a grid may start to evaluate.
PROCESSES = "DP_BENCH_PROCESSES"

STOPPED = 130  # exit code of a process that a signal stopped


def stopped(place: str = "") -> str:
    """Says that a signal stopped a cell.

    Args:
        place: Where the same command goes on, "update 1,200" say; "" if not known.
    """
    return f"stopped; the same command goes on from {place or 'what is saved'}"


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
    """

    cell: ResolvedCell
    info: RunInfo
    folder: RunFolder
    settings: Preset
    train: Rows
    validation: Rows | None
    obs_noise: ObsNoise | None


def run(cell: ResolvedCell) -> Path:
    """Trains and evaluates a cell in this process; finished parts are reused.

    Returns:
        The run folder.

    Raises:
        BadInput: When something about the cell cannot be used.
    """
    with trained(cell) as folder:
        from dp_bench.evaluation.evaluate import evaluate
        from dp_bench.evaluation.starts import DECISION

        play = functools.partial(
            evaluate,
            folder,
            task=cell.task,
            processes=int(os.environ.get(PROCESSES, 0)) or None,
            device=cell.device,
        )
        play(episodes=cell.names.episodes or cell.settings.episodes)
        if number := cell.names.decision_starts:
            first = next(iter(cell.task.variants))
            play(starts=DECISION, episodes=number, variants=[first])
    return folder.path


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
            f"{kind!r} of these demonstrations are pictures, {demos.obs[kind].shape}, "
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
        order_digest=order_digest(cell.names.train_seed, len(actions)),
        train_episodes=len(split.train),
        padded_episodes=len(short_episodes(ends, settings.policy.horizons)),
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


@contextlib.contextmanager
def trained(cell: ResolvedCell) -> Iterator[RunFolder]:
    """Trains a cell unless that is done; yields its run folder, locked."""
    import torch

    # Numbers below 1e-38 slow a CPU down many times, and a transformer produces some.
    # Set before torch starts its threads, because they inherit the mode, and only
    # while training, because a simulator in this process would round differently.
    torch.set_flush_denormal(True)
    with contextlib.ExitStack() as training:
        training.callback(torch.set_flush_denormal, False)
        if cell.device.startswith("cuda"):  # a CPU might round differently, too
            # uses ten bits of an operand: eight times as fast, and precise enough
            torch.set_float32_matmul_precision("high")
        prepared = prepare(cell)
        with opened(prepared.folder):
            if not prepared.folder.weights.is_file():
                _train(prepared)
            elif not prepared.folder.trained().weights:  # killed just before its end
                prepared.folder.write_weights_digest()
            training.close()
            yield prepared.folder


@contextlib.contextmanager
def opened(folder: RunFolder) -> Iterator[None]:
    """Locks a run folder against other processes; a finished one may be read-only."""
    from dp_bench.util.files import locked_to_write, remove_parts

    trained = folder.weights.is_file()
    with locked_to_write(folder.path / ".lock", needed=not trained):
        remove_parts(folder.path)
        yield


def _train(prepared: Prepared) -> None:
    """Trains a policy with fresh weights, or resumes an interrupted training."""
    import torch

    from dp_bench.runs.folder import build_policy
    from dp_bench.seeds import Purpose, derive
    from dp_bench.training.loop import Diverged, train

    train_seed = prepared.info.train_seed
    prepared.folder.write_info(prepared.info, prepared.cell.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(Purpose.INITIAL_WEIGHTS, train_seed))
        policy = build_policy(prepared.info)
    try:
        train(
            policy,
            prepared.train,
            prepared.validation,
            prepared.settings.training,
            train_seed=train_seed,
            folder=prepared.folder,
            device=prepared.cell.device,
            obs_noise=prepared.obs_noise,
            title=f"Training {prepared.cell.title}",
        )
    except Diverged as error:
        raise BadInput(f"{error}: {_way_out(prepared)}") from None


def _way_out(prepared: Prepared) -> str:
    """Says what to type after a training that diverged."""
    method, training = prepared.info.method, prepared.settings.training
    words = [f"`{method}:training.lr={training.lr / 10:g}`"]
    if training.precision != "float32":
        words.append(f"`{method}:training.precision=float32`")
    return (
        f"type the command again with {' or '.join(words)} as the last word of --set; "
        "it makes a run of its own, from the start"
    )


def _main() -> int:
    """Runs one cell as a child process; writes progress and the folder as JSON."""
    end_with_parent()
    try:
        with signals_stop():
            (cell,) = resolve([Cell.from_json(sys.argv[1])])
            folder = run(cell)
    except BadInput as error:
        print(sentence(error), file=sys.stderr)
        return 2
    except OSError as error:
        print(sentence(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        with contextlib.suppress(OSError):  # the parent may be gone
            print(stopped(str(stop)), file=sys.stderr, flush=True)
        os._exit(STOPPED)  # at once: torch takes seconds to unload on a busy machine
    print(json.dumps({"folder": str(folder)}), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
