"""Following a training while it runs, in TensorBoard or Weights & Biases.

The numbers are those of `log.jsonl` and of the records, which stay the truth. Nothing
else imports these packages.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dp_bench.errors import BadInput
from dp_bench.training.log import LogLine
from dp_bench.util import progress
from dp_bench.util.files import atomic_write_text

if TYPE_CHECKING:
    from dp_bench.evaluation.records import Record
    from dp_bench.runs.folder import RunFolder

TENSORBOARD, WANDB = "tensorboard", "wandb"
FOLDER = "tensorboard"  # in the run folder
ID_FILE = "wandb_id.txt"  # in the run folder
PROJECT = "dp-bench"


class Live(Protocol):
    """Where the numbers of a run are shown."""

    def line(self, line: LogLine) -> None:
        """Shows a line of the log."""

    def scores(self, records: Sequence[Record]) -> None:
        """Shows the mean scores of an evaluation, by variant."""

    def film(self, update: int, path: Path) -> None:
        """Shows a film of an episode, played with the weights of an update."""

    def close(self, *, failed: bool) -> None:
        """Sends what is left; says whether the run failed or was stopped."""


@contextlib.contextmanager
def opened(kind: str, folder: RunFolder) -> Iterator[Live | None]:
    """Sends a run's numbers to TensorBoard or W&B while the block runs.

    Args:
        kind: "tensorboard", "wandb", or "" for nowhere.
        folder: The run, whose `run.json` is written.

    Raises:
        BadInput: When the package is missing, or cannot begin.
    """
    if not kind:
        yield None
        return
    live = _Patient(_TensorBoard(folder) if kind == TENSORBOARD else _Wandb(folder))
    try:
        yield live
    except BaseException:
        live.close(failed=True)
        raise
    live.close(failed=False)


class _Patient:
    """Shows numbers until that fails once; a training must not end for it."""

    def __init__(self, live: Live) -> None:
        self._live: Live | None = live

    def line(self, line: LogLine) -> None:
        self._try(lambda live: live.line(line))

    def scores(self, records: Sequence[Record]) -> None:
        self._try(lambda live: live.scores(records))

    def film(self, update: int, path: Path) -> None:
        self._try(lambda live: live.film(update, path))

    def close(self, *, failed: bool) -> None:
        self._try(lambda live: live.close(failed=failed))

    def _try(self, show: Callable[[Live], None]) -> None:
        if self._live is None:
            return
        try:
            show(self._live)
        except Exception as error:  # of any kind: the packages raise their own
            self._live = None
            progress.note(f"--log fails ({error}); the run goes on without it")


def check(kind: str | None) -> None:
    """Refuses a kind whose package is missing, before any work begins.

    Raises:
        BadInput: With what to install.
    """
    if kind:
        _import(kind)


def means_of(records: Sequence[Record]) -> dict[tuple[int, str], dict[str, float]]:
    """Averages score and success by update, kind of starts and variant.

    Returns:
        Numbers, by update and `<starts>/<variant>`.
    """
    groups: dict[tuple[int, str], list[Record]] = {}
    for record in records:
        place = f"{record.starts}/{record.variant}"
        groups.setdefault((record.step, place), []).append(record)
    return {
        key: {
            "score": sum(r.score for r in members) / len(members),
            "success": sum(r.success for r in members) / len(members),
        }
        for key, members in groups.items()
    }


def numbers_of(line: LogLine) -> dict[str, float]:
    """Returns the known numbers of a line of the log, by name."""
    named = {
        "loss/training": line.loss,
        "loss/validation": line.val_loss,
        "validation/action_error": line.val_action_error,
        "validation/copying": line.copying,
        "training/lr": line.lr,
        "training/seconds": line.seconds,
    }
    return {name: value for name, value in named.items() if value is not None}


class _TensorBoard:
    """Event files in the run folder, readable after every line."""

    def __init__(self, folder: RunFolder) -> None:
        _import("tensorboard")
        self._folder = str(folder.path / FOLDER)
        self._writer: Any = None

    def line(self, line: LogLine) -> None:
        # A training that was killed goes on from its saved state, which can lie before
        # its last events. TensorBoard then hides its older events from here on.
        self._show(line.update, numbers_of(line), purge=line.update)

    def scores(self, records: Sequence[Record]) -> None:
        for (update, place), means in means_of(records).items():
            self._show(update, {f"{name}/{place}": v for name, v in means.items()})

    def film(self, update: int, path: Path) -> None:
        import numpy as np
        from imageio.v2 import mimread

        frames = mimread(path, memtest=False)
        stills = [frames[0], frames[len(frames) // 2], frames[-1]]
        writer = self._opened(None)
        image = np.concatenate(stills, axis=1)
        writer.add_image("episode", image, update, dataformats="HWC")
        writer.flush()

    def close(self, *, failed: bool) -> None:
        if self._writer is not None:
            self._writer.close()

    def _show(
        self, update: int, numbers: Mapping[str, float], purge: int | None = None
    ) -> None:
        writer = self._opened(purge)
        for name, value in numbers.items():
            writer.add_scalar(name, value, update)
        writer.flush()

    def _opened(self, purge: int | None) -> Any:
        from torch.utils.tensorboard.writer import SummaryWriter

        if self._writer is None:
            self._writer = SummaryWriter(self._folder, purge_step=purge)  # type: ignore[no-untyped-call]
        return self._writer


class _Wandb:
    """A run of Weights & Biases. WANDB_MODE and its other variables work as usual."""

    def __init__(self, folder: RunFolder) -> None:
        wandb = _import("wandb")
        info = folder.info()
        try:
            self._run = wandb.init(
                project=PROJECT,
                id=_id_of(folder.path),
                name=folder.path.name,
                group=f"{info.task}, {info.obs_kind}",
                dir=str(folder.path),
                resume="allow",
                config={
                    "task": info.task,
                    "method": info.method,
                    "preset": info.preset,
                    "obs_kind": info.obs_kind,
                    "control": info.control,
                    "train_seed": info.train_seed,
                    "demos": info.demos_source,
                    "policy": info.policy,
                    "training": info.training,
                    "vision": info.vision and dataclasses.asdict(info.vision),
                },
            )
        except Exception as error:  # of any kind: the network, the account, the disk
            raise BadInput(
                f"Weights & Biases cannot begin a run: {error}; log in with `wandb "
                "login`, or set WANDB_MODE=offline and send the run later with `wandb "
                "sync`"
            ) from error

        # Steps of W&B only ever grow, and go on where a run was left. So updates are a
        # number of their own, against which everything is drawn.
        self._run.define_metric("update")
        self._run.define_metric("*", step_metric="update")

    def line(self, line: LogLine) -> None:
        self._run.log({"update": line.update, **numbers_of(line)})

    def scores(self, records: Sequence[Record]) -> None:
        for (update, place), means in means_of(records).items():
            named = {f"{name}/{place}": value for name, value in means.items()}
            self._run.log({"update": update, **named})
            self._run.summary.update(named)

    def film(self, update: int, path: Path) -> None:
        video = _import("wandb").Video(str(path), format="mp4")
        self._run.log({"update": update, "episode": video})

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


def _id_of(folder: Path) -> str:
    """Gives a run the id that it has kept since it began, or a new one."""
    file = folder / ID_FILE
    if not file.is_file():
        atomic_write_text(file, secrets.token_hex(8) + "\n")
    return file.read_text(encoding="utf-8").strip()


def _import(package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError:
        raise BadInput(
            f"--log {package} needs {package}: pip install 'dp-bench[{package}]'"
        ) from None
