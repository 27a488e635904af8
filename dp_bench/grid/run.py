"""The grid task x method x seed: each cell in a process of its own.

A cell is trained and evaluated at most once: what it is, names its run folder, and what
is already there is taken as it is. Started again, a grid goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dp_bench.errors import BadInput
from dp_bench.task import IMAGE
from dp_bench.util import progress

if TYPE_CHECKING:
    from dp_bench.data.demos import Demos

PROCESSES = "DP_BENCH_PROCESSES"  # how many a cell of a grid may start to evaluate


@dataclass(frozen=True)
class Cell:
    """One training and its evaluation, in words that another process understands.

    Attributes:
        task: Name of the task.
        method: Name of the method.
        train_seed: Seed of the training.
        preset: Tier of the settings.
        obs_kind: Which observation; none for the task's default.
        control: What actions mean; none for the preset's choice.
        demos: File with demonstrations; none for the fetched ones.
        source: Which demonstrations of the task; none for the default.
        changes: Settings that differ from the preset, `(name, text)`.
        episodes: How many test starts; none for the preset's choice.
        runs: Folder of run folders.
        device: Where to train: "auto", "cpu", "cuda".
    """

    task: str
    method: str
    train_seed: int
    preset: str = "laptop"
    obs_kind: str | None = None
    control: str | None = None
    demos: str | None = None
    source: str | None = None
    changes: tuple[tuple[str, str], ...] = ()
    episodes: int | None = None
    runs: str = "runs"
    device: str = "auto"

    @property
    def title(self) -> str:
        """For a person."""
        return f"{self.task} {self.method} seed {self.train_seed}"


@dataclass(frozen=True)
class Finished:
    """How a cell ended: a run folder, or why there is none."""

    cell: Cell
    folder: Path | None
    error: str = ""


def settings_of(cell: Cell) -> Any:
    """The preset of a cell with its changes made.

    Raises:
        BadInput: For a name or value that is not known.
    """
    from dp_bench import registry
    from dp_bench.presets import preset
    from dp_bench.util import settings

    task, method = registry.task(cell.task), registry.method(cell.method)
    found = preset(method, task.name, cell.preset)
    for name, _ in cell.changes:
        if name.split(".")[0] not in ("policy", "training"):
            fields = ", ".join(
                n for n in settings.names(found) if n.startswith(("policy", "training"))
            )
            raise BadInput(f"no setting {name!r} of {method.name}; there are {fields}")
    found = settings.override_all(found, dict(cell.changes))
    usual = found.control if found.control in task.controls else task.controls[0]
    control = cell.control or usual
    task.check(obs_kind=cell.obs_kind, control=control)
    if (cell.obs_kind or task.obs_kinds[0]) == IMAGE:
        numbers = ", ".join(kind for kind in task.obs_kinds if kind != IMAGE) or "none"
        raise BadInput(
            f"policies that are trained here see numbers, and {IMAGE!r} observations "
            f"are pictures: choose of {numbers}"
        )
    return dataclasses.replace(found, control=control)


def moves_numbers(changes: Sequence[tuple[str, str]]) -> bool:
    """Whether changed settings make another run, and not only another log of it."""
    from dp_bench.runs.info import SAME_NUMBERS

    return any(
        name.removeprefix("training.") not in SAME_NUMBERS for name, _ in changes
    )


def run(cell: Cell) -> Path:
    """Trains and evaluates a cell in this process, or what is missing of it.

    Returns:
        The run folder.

    Raises:
        BadInput: When something about the cell cannot be used.
    """
    with opened(cell, train_it=True) as folder:
        from dp_bench.evaluation.evaluate import evaluate

        evaluate(
            folder,
            episodes=cell.episodes or settings_of(cell).episodes,
            processes=int(os.environ.get(PROCESSES, 0)) or None,
            device=_device(cell),
        )
    return folder.path


class Prepared(NamedTuple):
    """A cell with its demonstrations.

    Attributes:
        info: What the run is.
        folder: Its run folder, which need not be there yet.
        settings: Its preset with all changes made.
        train: obs `(N, Do)`, actions `(N, Da)`, episode ends `(E,)`.
        validation: The same for the episodes held back; None where there are none.
        obs_noise: Noise of what is seen in tests; None where none is added.
    """

    info: Any
    folder: Any
    settings: Any
    train: tuple[Any, Any, Any]
    validation: tuple[Any, Any, Any] | None
    obs_noise: Any


def prepared(cell: Cell, demos: Demos | None = None) -> Prepared:
    """Loads what a cell is trained on.

    Args:
        cell: What is wanted.
        demos: Its demonstrations, where they have been loaded before.

    Raises:
        BadInput: When something about the cell cannot be used.
    """
    import numpy as np

    from dp_bench import registry
    from dp_bench.data import store as fetch
    from dp_bench.data.actions import actions_of
    from dp_bench.data.split import split_episodes
    from dp_bench.data.windows import order_digest
    from dp_bench.runs.folder import RunFolder
    from dp_bench.runs.info import RunInfo
    from dp_bench.seeds import Purpose, derive
    from dp_bench.training.device import resolved
    from dp_bench.util import settings as fields

    chosen = settings_of(cell)
    training = resolved(chosen.training, _device(cell))
    chosen = dataclasses.replace(chosen, training=training)
    task = registry.task(cell.task)
    obs_kind = cell.obs_kind or task.obs_kinds[0]
    demos = demos or fetch.load_demos(task.name, cell.source, cell.demos)
    if obs_kind not in demos.obs:
        raise BadInput(
            f"these demonstrations hold no {obs_kind!r} observations; "
            f"they hold {', '.join(demos.obs)}"
        )
    split = split_episodes(
        demos,
        np.random.default_rng(derive(Purpose.SPLIT)),
        validation_share=task.validation_share,
        train_episodes=task.train_episodes,
    )
    actions = actions_of(task, demos, chosen.control)
    learned = dataclasses.replace(demos, actions=actions)
    data = [
        (part.obs[obs_kind], part.actions, part.episode_ends)
        for part in (
            learned.select(episodes)
            for episodes in (split.train, split.validation)
            if len(episodes)
        )
    ]
    info = RunInfo(
        task=task.name,
        obs_kind=obs_kind,
        control=chosen.control,
        method=cell.method,
        preset="custom" if moves_numbers(cell.changes) else cell.preset,
        policy=fields.to_json(chosen.policy),
        training=fields.to_json(chosen.training),
        demos_source=demos.source,
        demos_digest=demos.digest,
        split_digest=split.digest,
        order_digest=order_digest(cell.train_seed, len(data[0][1])),
        train_episodes=len(split.train),
        train_seed=cell.train_seed,
        obs_dim=data[0][0].shape[1],
        action_dim=actions.shape[1],
    )
    folder = RunFolder(Path(cell.runs) / task.name / info.name)
    held_back = data[1] if len(data) > 1 else None
    obs_noise = None
    if training.sensor_noise:
        obs_noise = task.obs_noise_of(obs_kind, chosen.control)
    return Prepared(info, folder, chosen, data[0], held_back, obs_noise)


@contextlib.contextmanager
def opened(cell: Cell, *, train_it: bool) -> Iterator[Any]:
    """The run folder of a cell, trained, and locked against other processes."""
    import torch

    from dp_bench.runs.folder import build_policy
    from dp_bench.seeds import Purpose, derive
    from dp_bench.training.loop import train
    from dp_bench.util.files import ASIDE, locked

    # Before any thread of torch begins, as they inherit it. Numbers below 1e-38 take
    # processors many times as long, and a transformer comes to have some.
    # Only here, or a simulator in this process would round otherwise than elsewhere.
    torch.set_flush_denormal(True)
    flushing = contextlib.ExitStack()
    flushing.callback(torch.set_flush_denormal, False)
    if _device(cell).startswith("cuda"):  # some processors would round, too
        # ten bits of an operand: eight times as fast, and enough to train with
        torch.set_float32_matmul_precision("high")
    with flushing:
        found = prepared(cell)
        folder, info = found.folder, found.info
        with locked(folder.path / ".lock"):
            # what a process left that was killed while writing
            for left in folder.path.rglob(f"{ASIDE}*"):
                left.unlink(missing_ok=True)
            if train_it and not folder.weights.is_file():
                folder.write_info(info)
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(derive(Purpose.INITIAL_WEIGHTS, cell.train_seed))
                    policy = build_policy(info)
                train(
                    policy,
                    found.train,
                    found.validation,
                    found.settings.training,
                    train_seed=cell.train_seed,
                    folder=folder,
                    device=_device(cell),
                    obs_noise=found.obs_noise,
                    title=f"Training {cell.title}",
                )
            flushing.close()
            yield folder


def grid(
    cells: Sequence[Cell],
    *,
    jobs: int = 1,
    finished: Callable[[Finished], None] = lambda _: None,
) -> list[Finished]:
    """Runs every cell in a process of its own, going on when one fails.

    Args:
        cells: What to run.
        jobs: How many at a time; each gets its share of the cores.
        finished: Called after each cell.

    Returns:
        How each ended, in the order of `cells`.
    """
    ends: dict[int, Finished] = {}
    todo = list(enumerate(cells))
    lock = threading.Lock()
    children: list[subprocess.Popen[str]] = []
    environment = child_environment(jobs)
    with _shown_together(len(cells)) as show:

        def work() -> None:
            while True:
                with lock:
                    if not todo:
                        return
                    k, cell = todo.pop(0)
                try:
                    end = _run_child(cell, environment, children, show)
                    with lock:
                        finished(end)
                except Exception as error:  # whatever it is, the other cells go on
                    end = Finished(cell, None, " ".join(str(error).split()))
                with lock:
                    ends[k] = end
                    show.cell_done(end)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(jobs)]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                time.sleep(0.1)
        except KeyboardInterrupt:
            with lock:
                todo.clear()
            _end(children)
            raise
    return [ends[k] for k in range(len(cells))]


def child_environment(jobs: int) -> dict[str, str]:
    """What a process of the grid is told: its share of the cores, to report as JSON."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    told = {"DP_BENCH_PROGRESS": "json", "OMP_NUM_THREADS": threads, PROCESSES: threads}
    return os.environ | told


def _end(children: Sequence[subprocess.Popen[str]], seconds: float = 60.0) -> None:
    """Asks each to save its state and end; those that take too long are killed."""
    deadline = time.monotonic() + seconds
    try:
        for child in children:
            child.terminate()
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=max(0.0, deadline - time.monotonic()))
    finally:
        for child in children:
            child.kill()


def _run_child(
    cell: Cell,
    environment: dict[str, str],
    children: list[subprocess.Popen[str]],
    show: _Together,
) -> Finished:
    words = [sys.executable, "-W", "ignore", "-m", "dp_bench.grid.run"]
    child = subprocess.Popen(
        [*words, json.dumps(dataclasses.asdict(cell))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    children.append(child)
    said: list[str] = []
    assert child.stdout is not None
    assert child.stderr is not None
    listener = threading.Thread(target=lambda: said.extend(child.stderr or ()))
    listener.start()
    folder = None
    for line in child.stdout:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if not isinstance(message, dict):
            continue  # something that a policy printed
        if "folder" in message:
            folder = Path(message["folder"])
        elif message.keys() >= {"what", "done", "total", "text"}:
            show.progress(cell, message)
    child.wait()
    listener.join()
    if child.returncode == 0 and folder is not None:
        return Finished(cell, folder)
    log = Path(cell.runs) / "failed" / f"{cell.title.replace(' ', '-')}.log"
    last = said[-1].strip() if said else f"process ended with {child.returncode}"
    with contextlib.suppress(OSError):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(said))
        last += f" [whole output: {log}]"
    return Finished(cell, None, last)


class _Together:
    """Progress of all running cells: bars on a terminal, else a line now and then."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.bars: dict[str, Any] = {}
        self.rich = progress.rich_progress() if sys.stderr.isatty() else None
        if self.rich:
            self.rich.start()
            self.all = self.rich.add_task("All cells", total=total, text="")

    def progress(self, cell: Cell, message: dict[str, Any]) -> None:
        what, done = message["what"], message["done"]
        key = f"{cell.title} {what}"
        if self.rich:
            if key not in self.bars:
                self.bars[key] = self.rich.add_task(
                    what, total=message["total"], completed=done, text=""
                )
            self.rich.update(self.bars[key], completed=done, text=message["text"])
            if done >= message["total"]:
                self.rich.remove_task(self.bars.pop(key))
        else:
            if key not in self.bars:
                self.bars[key] = progress.Lines(what, message["total"], done)
            bar = self.bars[key]
            bar.advance(done - bar.done, message["text"])
            if done >= message["total"]:
                self.bars.pop(key).close()

    def cell_done(self, end: Finished) -> None:
        self.done += 1
        state = "failed: " + end.error if end.error else "done"
        text = f"[{self.done}/{self.total}] {end.cell.title}: {state}"
        if self.rich:
            self.rich.update(self.all, completed=self.done)
            self.rich.console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _shown_together(total: int) -> Iterator[_Together]:
    together = _Together(total)
    try:
        yield together
    finally:
        if together.rich:
            together.rich.stop()


def _device(cell: Cell) -> str:
    from dp_bench.training.device import available_device

    return available_device(cell.device)


def _main() -> int:
    """A cell as a child process: progress and the folder as JSON lines."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as by Ctrl-C
    words = json.loads(sys.argv[1])
    words["changes"] = tuple(map(tuple, words["changes"]))
    try:
        folder = run(Cell(**words))
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    print(json.dumps({"folder": str(folder)}), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
