"""The one training loop: schedule, moving average of the weights, resume."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from dp_bench.data.windows import row_order, window_index
from dp_bench.errors import BadInput
from dp_bench.policies.base import Policy
from dp_bench.runs.folder import RunFolder
from dp_bench.seeds import Purpose, derive
from dp_bench.task import ObsNoise
from dp_bench.training.obs_noise import AddObsNoise
from dp_bench.util import progress, settings
from dp_bench.util.files import atomic_write
from dp_bench.util.tensors import load_tensors, save_tensors


@dataclass(frozen=True)
class Training:
    """Settings of a training.

    Attributes:
        updates: Optimiser steps.
        batch_size: Windows in a step.
        lr: Highest learning rate.
        betas: Of AdamW.
        weight_decay: Of AdamW.
        warmup: Updates over which the learning rate rises.
        schedule: How the rate goes on from there: "cosine" to 0, or "constant".
        grad_clip: Largest norm of the gradient; none for no clipping.
        ema: Whether a moving average of the weights is what is evaluated.
        sensor_noise: How much noise of the task's sensors is added to observations,
            another in each batch, times that of the tests; 0 for none. Actions that are
            counted from what is seen change with it.
        precision: Arithmetic of the loss; "auto" is bfloat16 on a processor that
            multiplies it natively, else float32. Weights are float32 always.
        log_every: Updates between lines of the log.
        validate_every: Updates between validations.
        keep_every: Updates between weights kept for learning curves; 0 for none.
        save_seconds: Seconds between states to resume from.
    """

    updates: int = 8000
    batch_size: int = 128
    lr: float = 3e-4
    betas: tuple[float, float] = (0.95, 0.999)
    weight_decay: float = 1e-6
    warmup: int = 500
    schedule: Literal["cosine", "constant"] = "cosine"
    grad_clip: float | None = None
    ema: bool = True
    sensor_noise: float = 0.0
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    log_every: int = 50
    validate_every: int = 500
    keep_every: int = 0
    save_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("updates", "batch_size", "log_every", "validate_every"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("lr", "save_seconds"):
            if not getattr(self, name) > 0:
                raise BadInput(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("weight_decay", "warmup", "keep_every"):
            if getattr(self, name) < 0:
                raise BadInput(f"{name} must be 0 or above, got {getattr(self, name)}")
        if not 0 <= self.sensor_noise < math.inf:
            raise BadInput(f"sensor_noise must be 0 or above, got {self.sensor_noise}")
        if self.grad_clip is not None and not self.grad_clip > 0:
            raise BadInput(f"grad_clip must be above 0 or none, got {self.grad_clip}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise BadInput(f"betas must be in [0, 1), got {self.betas}")


def ema_decay(step: int) -> float:
    """Decay of the moving average at update `step`, counted from 1.

    `1 - n^(-3/4)` with `n = step`, at most 0.9999: a short memory at first, a long one
    later.
    """
    return min(max(0.0, 1 - max(step, 1) ** -0.75), 0.9999)


def lr_factor(step: int, training: Training) -> float:
    """Share of the highest learning rate at update `step`, counted from 0."""
    if step < training.warmup:
        return step / training.warmup
    if training.schedule == "constant":
        return 1.0
    done = (step - training.warmup) / max(1, training.updates - training.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


class Batches:
    """Draws batches of windows; which, is a function of train seed and update alone.

    An epoch goes through the rows of the demonstrations in an order that the train seed
    draws, and takes the window whose present (step To - 1) is that row; rows without
    one are passed over. So methods with other horizons meet the same moments in the
    same order. The rows lie normalised on the training device; a batch is one gather.

    Args:
        policy: Fitted; gives units and horizons.
        obs: `(N, Do)`, in units of the environment.
        actions: `(N, Da)`, in units of the environment.
        episode_ends: `(E,)`.
        batch_size: At most this many; fewer where there are fewer windows.
        train_seed: Seed of the order.
        device: Where the data shall lie.
        noise: What training adds to them; none for nothing.
    """

    def __init__(
        self,
        policy: Policy,
        obs: np.ndarray,
        actions: np.ndarray,
        episode_ends: np.ndarray,
        *,
        batch_size: int,
        train_seed: int,
        device: torch.device,
        noise: AddObsNoise | None = None,
    ) -> None:
        index = window_index(episode_ends, policy.horizons)
        if not len(index):
            raise BadInput(
                f"no episode is long enough for a window of {policy.horizons}: "
                f"the longest has {np.diff(episode_ends, prepend=0).max()} steps"
            )
        self.obs = policy.obs_normalizer(
            torch.as_tensor(obs, dtype=torch.float32).to(device)
        )
        given = torch.as_tensor(actions, dtype=torch.float32).to(device)
        self.actions = policy.action_normalizer(given)
        self.index = torch.as_tensor(index, device=device)
        self.size = min(batch_size, len(index))
        self.per_epoch = len(index) // self.size
        self.noise = noise
        self._seed, self._epoch, self._order = train_seed, -1, torch.empty(0)
        self._window_at = np.full(len(obs), -1)  # of a row, the window it is present in
        self._window_at[index[:, policy.horizons.obs - 1]] = np.arange(len(index))

    def __len__(self) -> int:
        return len(self.index)

    def at(self, update: int) -> tuple[Tensor, Tensor]:
        """The batch of one update: `(B, Tp, Do)` and `(B, Tp, Da)`, normalised."""
        return self.rows(self.windows(update))

    def windows(self, update: int) -> Tensor:
        """The numbers of the windows of one update, `(B,)`."""
        epoch, k = divmod(update, self.per_epoch)
        if epoch != self._epoch:
            rows = row_order(self._seed, epoch, len(self._window_at))
            windows = self._window_at[rows]
            order = torch.as_tensor(windows[windows >= 0], device=self.index.device)
            self._epoch, self._order = epoch, order
        return self._order[k * self.size : (k + 1) * self.size]

    def rows(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """The windows of these numbers."""
        rows = self.index[windows]
        return self.obs[rows], self.actions[rows]

    def noisy(
        self, windows: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """The windows of these numbers, as training sees them."""
        obs, actions = self.rows(windows)
        return self.noise(obs, actions, generator) if self.noise else (obs, actions)


def train(
    policy: Policy,
    train_data: tuple[np.ndarray, np.ndarray, np.ndarray],
    validation_data: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
    training: Training,
    *,
    train_seed: int,
    folder: RunFolder,
    device: str = "cpu",
    obs_noise: ObsNoise | None = None,
    what: str = "Training",
) -> Policy:
    """Trains a policy, or goes on where an interrupted training stopped.

    Same policy, data, settings and seed give the same weights on the CPU of one kind of
    machine, however often training was killed and resumed. The global generators are
    left as they were.

    A first Ctrl-C, or SIGTERM, lets training go on to the next line of its log and
    save its state there; a second Ctrl-C stops it at once.

    Args:
        policy: With its initial weights, not yet fitted.
        train_data: obs `(N, Do)`, actions `(N, Da)`, episode ends `(E,)`.
        validation_data: The same for the episodes held back.
        training: Settings.
        train_seed: Seed of batch order and noise.
        folder: Where state, log and weights go.
        device: Where to compute.
        obs_noise: Of the task; needed where the settings add their noise.
        what: What the progress bar says.

    Returns:
        The policy with the weights that are to be evaluated, which are also saved.

    Raises:
        BadInput: When the loss is no longer finite, or the data have no window.
        KeyboardInterrupt: When it was asked to stop, and what it had is saved.
    """
    place = torch.device(device)
    policy = policy.to(place)
    policy.train_dtype = resolve_precision(training.precision, place)
    obs, actions, ends = train_data
    fit_seed = derive(Purpose.FIT, train_seed)
    fit_generator = torch.Generator().manual_seed(fit_seed)
    rows = [torch.as_tensor(a, dtype=torch.float32) for a in (obs, actions)]
    policy.fit(rows[0].to(place), rows[1].to(place), fit_generator)

    shape: dict[str, Any] = {
        "batch_size": training.batch_size,
        "train_seed": train_seed,
    }
    noise = _noise(training, obs_noise, policy)
    batches = Batches(policy, obs, actions, ends, **shape, device=place, noise=noise)
    held_back = None
    if validation_data is not None:
        held_back = Batches(policy, *validation_data, **shape, device=place)

    devices = [place] if place.type == "cuda" else []
    with _wish_to_stop() as wished, torch.random.fork_rng(devices=devices):
        loop = _Loop(policy, training, train_seed, place)
        seconds = loop.restore(folder)
        log = _Log(folder, loop.update)
        _run(loop, batches, held_back, log, folder, seconds, what, wished)
        loop.finish(folder)
        if wished():
            raise KeyboardInterrupt
    return policy.eval()


def _noise(
    training: Training, obs_noise: ObsNoise | None, policy: Policy
) -> AddObsNoise | None:
    if not training.sensor_noise:
        return None
    if obs_noise is None:
        raise BadInput(
            f"training.sensor_noise is {training.sensor_noise}, and must be 0: the "
            "sensors of this task are not known to have noise"
        )
    return AddObsNoise(obs_noise, training.sensor_noise, policy)


@contextlib.contextmanager
def _wish_to_stop() -> Iterator[Callable[[], bool]]:
    """Turns Ctrl-C and SIGTERM into a wish that the loop grants when it suits.

    A second Ctrl-C raises at once. Signals that are ignored stay so, and outside the
    main thread, where Python has none, nobody can wish.
    """
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        if number == signal.SIGINT and number in asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, ask)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Flat:
    """Parameters of one group, laid one after the other in one vector `values`.

    What is done to all of them (clipping, the optimiser, the average) is then one
    operation on a processor, where each has a price, and not one per parameter.

    Args:
        params: Of any shapes, all float32; from now on they are views of `values`.
    """

    def __init__(self, params: list[Tensor]) -> None:
        self.params = params
        self.values = torch.nn.Parameter(
            torch.cat([p.detach().flatten() for p in self.params])
        )
        sizes = [p.numel() for p in self.params]
        parts = self.values.detach().split(sizes)
        for p, part in zip(self.params, parts, strict=True):
            p.data = part.view(p.shape)

    def apart(self, vector: Tensor) -> list[Tensor]:
        """The piece of each parameter of a vector like `values`."""
        parts = vector.split([p.numel() for p in self.params])
        return [part.view(p.shape) for p, part in zip(self.params, parts, strict=True)]

    def gather(self) -> None:
        """Moves the gradients of the parameters to that of `values`."""
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.params]
        self.values.grad = torch.cat([g.flatten() for g in grads])
        for p in self.params:
            p.grad = None


class _Loop:
    """The state of a training: all of it is in `tensors`, for an exact resume."""

    def __init__(
        self, policy: Policy, training: Training, train_seed: int, device: torch.device
    ) -> None:
        self.policy, self.training, self.train_seed = policy, training, train_seed
        self.device = device
        self.generator = torch.Generator(device)
        # what dropout draws from; torch.manual_seed, without a GPU, keeps a note of
        # every call for the day that one appears, and memory grows
        self.ambient = torch.default_generator
        if device.type == "cuda":
            number = (
                torch.cuda.current_device() if device.index is None else device.index
            )
            self.ambient = torch.cuda.default_generators[number]
        groups = policy.parameter_groups(training.weight_decay)
        for group in groups:
            group["params"] = [p for p in group["params"] if p.requires_grad]
        groups = [group for group in groups if group["params"]]
        self.flat: list[_Flat] = []
        if device.type == "cpu":  # a GPU takes many at once; its LSTM orders its own
            self.flat = [_Flat(group["params"]) for group in groups]
            for group, flat in zip(groups, self.flat, strict=True):
                group["params"] = [flat.values]
        self.recorded = device.type == "cuda" and policy.recordable
        self.recording: _Recording | None = None
        # what changes from update to update; a recording reads it where it lies
        self.lr: Tensor | float = training.lr
        self.weight: Tensor | float = 1.0
        if self.recorded:
            self.lr, self.weight = torch.zeros(2, device=device)
        self.optimizer = torch.optim.AdamW(
            [dict(group) for group in groups],
            lr=self.lr,
            betas=training.betas,
            fused=True,
            capturable=self.recorded,
        )
        self.values: list[Tensor] = [v for group in groups for v in group["params"]]
        self.average = [v.detach().clone() for v in self.values] if training.ema else []
        self.update = 0
        self.seconds = 0.0
        self._done_here = 0

    def step(self, batches: Batches) -> Tensor:
        """One update; returns the loss, which the next one may overwrite."""
        training = self.training
        windows = batches.windows(self.update)
        self.generator.manual_seed(
            derive(Purpose.LOSS_NOISE, self.train_seed, self.update)
        )
        self.ambient.manual_seed(derive(Purpose.DROPOUT, self.train_seed, self.update))
        lr = training.lr * lr_factor(self.update, training)
        self.update += 1
        weight = 1 - ema_decay(self.update)
        if isinstance(self.lr, Tensor) and isinstance(self.weight, Tensor):
            self.lr.fill_(lr)
            self.weight.fill_(weight)
        else:
            self.weight = weight
            for group in self.optimizer.param_groups:
                group["lr"] = lr
        if self.recorded and self._done_here == _Recording.AFTER:
            self.recording = _Recording(self, batches)
        self._done_here += 1
        if self.recording is not None:
            return self.recording(windows)
        return self.compute(batches, windows)

    def compute(self, batches: Batches, windows: Tensor) -> Tensor:
        """The arithmetic of one update; a GPU can record it."""
        rows = batches.noisy(windows, self.generator)
        loss = self.policy.loss(*rows, self.generator)
        loss.backward()
        for flat in self.flat:
            flat.gather()
        if self.training.grad_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.values, self.training.grad_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            with torch.no_grad():  # or the average would remember all its updates
                self._move_average()
        return loss.detach()

    def _move_average(self) -> None:
        if not isinstance(self.weight, Tensor):
            torch._foreach_lerp_(self.average, self.values, self.weight)
            return
        ways = torch._foreach_sub(self.values, self.average)
        torch._foreach_mul_(ways, self.weight)
        torch._foreach_add_(self.average, ways)

    def finite(self) -> bool:
        """Whether the weights are; a finite loss tells so of those before it only."""
        return math.isfinite(sum(v.detach().double().sum() for v in self.values))

    def averaged(self) -> Policy:
        """A policy with the averaged weights, for evaluation."""
        if not self.average:
            return copy.deepcopy(self.policy).eval()
        with torch.no_grad():
            now = [v.clone() for v in self.values]
            torch._foreach_copy_(self.values, self.average)
            policy = copy.deepcopy(self.policy).eval()
            torch._foreach_copy_(self.values, now)
        return policy

    def _apart(self, vectors: Sequence[Tensor]) -> list[Tensor]:
        """What lies beside `values`, by parameter, however parameters lie."""
        if not self.flat:
            return list(vectors)
        pairs = zip(self.flat, vectors, strict=False)  # there may be no average
        return [part for flat, vector in pairs for part in flat.apart(vector)]

    def save(self, folder: RunFolder, seconds: float) -> None:
        """Writes the state, whole or not at all; another device can go on from it."""
        tensors = {f"policy.{k}": v for k, v in self.policy.state_dict().items()}
        tensors |= {f"average.{i}": a for i, a in enumerate(self._apart(self.average))}
        states = [self.optimizer.state[values] for values in self.values]
        for name in ("exp_avg", "exp_avg_sq"):
            parts = self._apart([state[name] for state in states])
            tensors |= {f"optimizer.{i}.{name}": part for i, part in enumerate(parts)}
        tensors["optimizer.step"] = states[0]["step"]  # the same for all
        facts = {"update": self.update, "seconds": seconds}
        save_tensors(folder.resume, tensors, facts)

    def restore(self, folder: RunFolder) -> float:
        """Takes up a saved state, if there is one; returns the seconds spent on it."""
        if not folder.resume.is_file():
            return 0.0
        tensors, facts = load_tensors(folder.resume)
        try:
            state = {
                name.removeprefix("policy."): t
                for name, t in tensors.items()
                if name.startswith("policy.")
            }
            self.policy.load_state_dict(state)
            for i, average in enumerate(self._apart(self.average)):
                average.copy_(tensors[f"average.{i}"])
            for values in self.values:
                self.optimizer.state[values] = {
                    "step": tensors["optimizer.step"].to(self.device, copy=True),
                    "exp_avg": torch.zeros_like(values),
                    "exp_avg_sq": torch.zeros_like(values),
                }
            states = [self.optimizer.state[values] for values in self.values]
            for name in ("exp_avg", "exp_avg_sq"):
                parts = self._apart([state[name] for state in states])
                for i, part in enumerate(parts):
                    part.detach().copy_(tensors[f"optimizer.{i}.{name}"])
            self.update, seconds = int(facts["update"]), float(facts["seconds"])
        except (RuntimeError, KeyError, TypeError) as error:
            raise BadInput(
                f"{folder.resume} is not a state of this training "
                f"({' '.join(str(error).split())[:200]}); "
                "delete it to train from the start"
            ) from None
        return seconds

    def finish(self, folder: RunFolder) -> None:
        """Gives the policy the weights to be evaluated, and saves them."""
        if self.average:
            with torch.no_grad():
                torch._foreach_copy_(self.values, self.average)
        facts = {"update": self.update, "seconds": self.seconds}
        save_tensors(folder.weights, self.policy.state_dict(), facts)
        folder.resume.unlink(missing_ok=True)


class _Recording:
    """The arithmetic of an update as one CUDA graph.

    Small networks are hundreds of short operations, and a GPU waits longer to be told
    of each than it computes. Recorded, it is told once. Noise, learning rate and batch
    are read where they lie when the recording is played, so that it computes what the
    loop would.

    Args:
        loop: Of a policy that is `recordable`, after a few updates, in which libraries
            set themselves up.
        batches: Where the rows lie.
    """

    AFTER = 3  # updates

    def __init__(self, loop: _Loop, batches: Batches) -> None:
        self.windows = torch.zeros(batches.size, dtype=torch.int64, device=loop.device)
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(loop.generator)
        with torch.cuda.graph(
            self.graph,
            stream=torch.cuda.Stream(loop.device),
            capture_error_mode="thread_local",
        ):
            self.loss = loop.compute(batches, self.windows)

    def __call__(self, windows: Tensor) -> Tensor:
        self.windows.copy_(windows)
        self.graph.replay()
        return self.loss


class _Log:
    """`log.jsonl`, cut back to the update at which training goes on."""

    def __init__(self, folder: RunFolder, update: int) -> None:
        self.file = folder.log
        lines = [line for line in read_log(folder) if line["update"] <= update]
        with atomic_write(self.file) as aside:
            aside.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def write(self, **line: Any) -> None:
        with open(self.file, "a") as file:
            file.write(json.dumps(line) + "\n")


def read_log(folder: RunFolder) -> list[dict[str, Any]]:
    """The lines of a run's log: update, loss, lr, seconds, and val_loss at times."""
    if not folder.log.is_file():
        return []
    lines = []
    for text in folder.log.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:  # the last line of a killed process
            continue
    return lines


def _run(
    loop: _Loop,
    batches: Batches,
    held_back: Batches | None,
    log: _Log,
    folder: RunFolder,
    seconds: float,
    what: str,
    wished: Callable[[], bool],
) -> None:
    training, policy = loop.training, loop.policy
    began = saved = time.monotonic()
    total = torch.zeros((), device=loop.device)
    counted = 0
    text = ""
    policy.train()
    with progress.bar(what, training.updates, loop.update) as bar:
        while loop.update < training.updates:
            total += loop.step(batches)
            counted += 1
            u, last = loop.update, loop.update == training.updates
            if u % training.log_every == 0 or last:
                now = time.monotonic()
                loop.seconds = seconds + now - began
                mean = float(total) / counted
                total, counted = torch.zeros_like(total), 0
                if not (math.isfinite(mean) and loop.finite()):
                    raise BadInput(
                        f"training diverged around update {u} (loss {mean:.3g}, "
                        f"weights or loss not finite): it stopped, and the last good "
                        f"state, if one was saved, is kept in {folder.path}; "
                        "a lower learning rate (training.lr) or float32 "
                        "(training.precision) is the usual remedy"
                    )
                line: dict[str, Any] = {
                    "update": u,
                    "loss": mean,
                    "lr": training.lr * lr_factor(u - 1, training),
                    "seconds": round(loop.seconds, 2),
                }
                text = f"loss {mean:.4f}"
                if held_back is not None and (u % training.validate_every == 0 or last):
                    line["val_loss"] = validation_loss(loop, held_back)
                    line["val_action_error"] = action_error(loop, held_back)
                    text += f", validation {line['val_loss']:.4f}"
                log.write(**line)
                if training.keep_every and u % training.keep_every == 0:
                    facts = {"update": u, "seconds": loop.seconds}
                    state = loop.averaged().state_dict()
                    save_tensors(folder.kept(u), state, facts)
                stop = wished() and not last
                if stop or (now - saved > training.save_seconds and not last):
                    loop.save(folder, loop.seconds)
                    saved = now
                if stop:
                    raise KeyboardInterrupt
            bar.advance(1, text)


def update_seconds(
    policy: Policy,
    train_data: tuple[np.ndarray, np.ndarray, np.ndarray],
    training: Training,
    *,
    device: str = "cpu",
    obs_noise: ObsNoise | None = None,
    at_least: float = 2.0,
) -> float:
    """How long one update takes on this machine [s]; the policy is changed by it.

    Args:
        policy: With its initial weights, not yet fitted.
        train_data: As of `train`.
        training: Settings.
        device: Where to compute.
        obs_noise: As of `train`.
        at_least: Seconds to measure, after a few updates that are not counted.
    """
    place = torch.device(device)
    policy = policy.to(place)
    policy.train_dtype = resolve_precision(training.precision, place)
    rows = [torch.as_tensor(a, dtype=torch.float32).to(place) for a in train_data[:2]]
    policy.fit(rows[0], rows[1], torch.Generator().manual_seed(0))
    batches = Batches(
        policy,
        *train_data,
        batch_size=training.batch_size,
        train_seed=0,
        device=place,
        noise=_noise(training, obs_noise, policy),
    )
    loop = _Loop(policy.train(), training, 0, place)
    for _ in range(3):
        float(loop.step(batches))
    updates, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < at_least:
        float(loop.step(batches))
        updates += 1
    return spent / updates


@torch.no_grad()
def validation_loss(loop: _Loop, held_back: Batches, at_most: int = 8) -> float:
    """Loss of the averaged weights on validation windows, always the same noise."""
    policy = loop.averaged()
    losses = []
    for k in range(min(held_back.per_epoch, at_most)):
        loop.generator.manual_seed(derive(Purpose.VALIDATION_NOISE, k))
        losses.append(float(policy.loss(*held_back.at(k), loop.generator)))
    return float(np.mean(losses))


@torch.no_grad()  # weights made in inference mode could not be climbed on
def action_error(loop: _Loop, held_back: Batches, at_most: int = 64) -> float:
    """Mean squared error of what would be executed in validation windows, normalised.

    Each window is an episode of its own that begins there, with draws of its own,
    always the same. It tells how one method changes, and is no measure between methods:
    one that keeps several ways open is further from the one that was taken.
    """
    policy = loop.averaged()
    count = min(at_most, len(held_back))
    windows = torch.linspace(0, len(held_back) - 1, count).long()
    obs, actions = held_back.rows(windows.to(loop.device))
    generators = [
        torch.Generator().manual_seed(derive(Purpose.VALIDATION_NOISE, 1, k))
        for k in range(count)
    ]
    seen = obs[:, : policy.horizons.obs]
    given = policy.predict_from(seen, generators, [None] * count)
    executed = policy.horizons.executed
    return float((given[:, executed] - actions[:, executed]).square().mean())


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The type that "auto" stands for on this device."""
    if precision == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
        check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return torch.bfloat16 if check and check() else torch.float32
    return getattr(torch, precision)


def resolved(training: Training, device: str) -> Training:
    """The same training with the precision that "auto" stands for on this device.

    So that runs of two kinds of processor are told apart by their settings.
    """
    name = str(resolve_precision(training.precision, torch.device(device)))
    return settings.override(training, "precision", name.removeprefix("torch."))


def available_device(wanted: str = "auto") -> str:
    """The device to train on: an accelerator where there is one.

    Raises:
        BadInput: When the wanted one is not there.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    choices: Sequence[str] = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    if wanted.split(":")[0] not in choices:
        raise BadInput(f"no device {wanted!r} here; there is {', '.join(choices)}")
    return wanted
