"""Training and evaluating one cell in this process; the child process of a grid.

The settings of a cell name its run folder. A finished training or evaluation that the
folder holds is not repeated, and an interrupted training resumes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.errors import BadInput
from dp_bench.grid.cell import Cell, ResolvedCell, resolve
from dp_bench.grid.prepare import Prepared, prepare
from dp_bench.util import progress
from dp_bench.util.files import Busy
from dp_bench.util.memory import keep_freed_memory
from dp_bench.util.processes import end_with_parent, signals_stop
from dp_bench.util.text import sentence
from dp_bench.util.threads import torch_threads

if TYPE_CHECKING:
    from dp_bench.evaluation.records import Record
    from dp_bench.runs.folder import RunFolder
    from dp_bench.training.loop import MeasureCopying

# Environment variable: how many processes a cell of a grid may start to evaluate.
PROCESSES = "DP_BENCH_PROCESSES"

STOPPED = 130  # exit code of a process that a signal stopped
BUSY = 75  # exit code of a process whose run folder another one uses


def stopped(place: str = "") -> str:
    """Says that a signal stopped a cell.

    Args:
        place: Where the same command goes on, "update 1,200" say; "" if not known.
    """
    return f"stopped; the same command goes on from {place or 'what is saved'}"


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

        before = _size(folder.records)
        play = functools.partial(
            evaluate,
            folder,
            task=cell.task,
            processes=int(os.environ.get(PROCESSES, 0)) or None,
            device=cell.device,
            step=cell.names.until or None,
        )
        first = next(iter(cell.task.variants))
        evaluated = play(
            starts=cell.names.starts,
            episodes=cell.names.episodes or cell.settings.episodes,
            variants=None if cell.names.starts == "test" else [first],
        )
        is_new = _size(folder.records) != before
        if number := cell.names.decision_starts:
            play(starts=DECISION, episodes=number, variants=[first])
        if cell.names.log and is_new:
            _show(cell, folder, evaluated)
    return folder.path


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _show(cell: ResolvedCell, folder: RunFolder, evaluated: Sequence[Record]) -> None:
    """Shows new scores, and a film of the first start, where the user follows the run.

    What cannot be shown is left out with a note: the run itself is complete.
    """
    from dp_bench.evaluation import films
    from dp_bench.grid import live

    first = evaluated[0]
    scene = films.Scene(
        run=folder.path.name,
        weights=first.trained.weights if first.trained else "",
        step=first.step,
        variant=first.variant,
        env_seed=first.env_seed,
        train_seed=first.train_seed,
    )
    try:
        with live.opened(cell.names.log, folder) as shown:
            assert shown is not None
            shown.scores(evaluated)
            made = films.make(folder.path, [scene], {scene.run: folder.path})
            film = next(film for film in made if film.scene == scene)
            shown.film(first.step, folder.path / films.FOLDER / film.film)
    except Exception as error:  # each simulator and each package raises its own
        progress.note(f"{cell.title}: --log could not show everything: {error}")


@contextlib.contextmanager
def trained(cell: ResolvedCell) -> Iterator[RunFolder]:
    """Trains a cell unless that is done; yields its run folder, locked."""
    import torch

    # Numbers below 1e-38 slow a CPU down many times, and a transformer produces some.
    # Set before torch starts its threads, because they inherit the mode, and only
    # while training: evaluation must not depend on whether it runs in this process.
    torch.set_flush_denormal(True)
    with contextlib.ExitStack() as training:
        training.callback(torch.set_flush_denormal, False)
        if cell.device.startswith("cuda"):  # a CPU might round differently, too
            # uses ten bits of an operand: eight times as fast, and precise enough
            usual = torch.get_float32_matmul_precision()
            training.callback(torch.set_float32_matmul_precision, usual)
            torch.set_float32_matmul_precision("high")
        training.enter_context(torch_threads(cell.settings.training.threads))
        prepared = prepare(cell)
        with opened(prepared.folder):
            until = cell.names.until
            if until and prepared.folder.kept(until).is_file():
                pass
            elif not prepared.folder.weights.is_file():
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

    from dp_bench.grid import live
    from dp_bench.runs.folder import build_policy
    from dp_bench.seeds import Purpose, derive
    from dp_bench.training.loop import train

    train_seed = prepared.info.train_seed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(Purpose.INITIAL_WEIGHTS, train_seed))
        policy = build_policy(prepared.info)
    prepared.folder.write_info(prepared.info, prepared.cell.device)
    with (
        _explained(prepared),
        live.opened(prepared.cell.names.log, prepared.folder) as shown,
    ):
        train(
            policy,
            prepared.train,
            prepared.validation,
            prepared.settings.training,
            train_seed=train_seed,
            folder=prepared.folder,
            device=prepared.cell.device,
            obs_noise=prepared.obs_noise,
            copying=_copying(prepared),
            title=f"Training {prepared.cell.title}",
            until=prepared.cell.names.until or None,
            on_line=shown.line if shown else lambda _: None,
        )


@contextlib.contextmanager
def _explained(prepared: Prepared) -> Iterator[None]:
    """Adds to the error of a training that diverged what to type."""
    from dp_bench.training.loop import Diverged

    try:
        yield
    except Diverged as error:
        raise BadInput(f"{error}: {_way_out(prepared)}") from None


def _copying(prepared: Prepared) -> MeasureCopying | None:
    """Binds the measure of copying to the task and the validation data of a cell."""
    from dp_bench.training.copying import measure_copying

    if prepared.motion is None or prepared.validation is None:
        return None
    return functools.partial(
        measure_copying,
        obs=prepared.validation[0],
        motion=prepared.motion,
        control=prepared.cell.control,
    )


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
    keep_freed_memory()
    try:
        with signals_stop():
            (cell,) = resolve([Cell.from_json(sys.argv[1])])
            folder = run(cell)
    except BadInput as error:
        print(sentence(error), file=sys.stderr)
        return BUSY if isinstance(error, Busy) else 2
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
