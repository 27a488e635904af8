"""The training loop that all methods share; it resumes interrupted runs exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NoReturn, TypeAlias

import torch

from dp_bench.errors import BadInput
from dp_bench.policies.base import Policy
from dp_bench.policies.observations import as_rows
from dp_bench.runs.folder import RunFolder
from dp_bench.seeds import Purpose, derive
from dp_bench.task import ObsNoise
from dp_bench.training.batches import Batches, Rows, vectors_of
from dp_bench.training.config import Training, lr_factor
from dp_bench.training.cuda_graph import CudaGraph
from dp_bench.training.device import resolve_precision
from dp_bench.training.facts import constant_dimensions, padded_episodes
from dp_bench.training.log import Log, LogLine
from dp_bench.training.obs_noise import AddObsNoise
from dp_bench.training.signals import deferred_signals
from dp_bench.training.state import TrainingState
from dp_bench.training.update import Updater
from dp_bench.training.validation import action_error, validation_loss
from dp_bench.util import progress
from dp_bench.util.devices import available_device

# The averaged policy and validation data -> number for the log.
MeasureCopying: TypeAlias = Callable[[Policy, Batches], "float | None"]

HELP = "a lower learning rate (training.lr) or float32 (training.precision)"


class Diverged(BadInput):
    """A training whose loss or weights are no longer finite."""


def train(
    policy: Policy,
    train_data: Rows,
    validation_data: Rows | None,
    training: Training,
    *,
    train_seed: int,
    folder: RunFolder,
    device: str = "cpu",
    obs_noise: ObsNoise | None = None,
    copying: MeasureCopying | None = None,
    title: str = "Training",
    until: int | None = None,
    on_line: Callable[[LogLine], None] = lambda _: None,
) -> Policy:
    """Trains a policy, or resumes an interrupted training.

    Equal policy, data, settings and seed give equal weights on the same CPU model,
    however often training was killed and resumed. The global generators keep their
    states.

    After a first SIGINT (Ctrl-C), SIGTERM or SIGHUP, training finishes its update,
    saves its state and stops. A second SIGINT stops it at once.

    Args:
        policy: With its initial weights, not yet fitted.
        train_data: obs `(N, Do)` or by key, actions `(N, Da)`, episode ends `(E,)`.
        validation_data: The same for the validation episodes; None for none.
        training: Settings.
        train_seed: Seed of batch order and noise.
        folder: Receives state, log and weights.
        device: Device that computes: "auto", "cpu", "cuda", "cuda:1", ...
        obs_noise: The task's observation noise; required where the settings use it.
        copying: Measures on the validation data, at a pause and at the end, how much
            the policy copies its last movement; None for no such number.
        title: Title of the progress bar.
        until: Update at which the training pauses and saves its state; None for the
            end. Pauses change nothing in the weights.
        on_line: Called with each new line of the log.

    Returns:
        The policy with the weights to evaluate, which are also saved at the end.

    Raises:
        Diverged: When the loss or the weights are no longer finite.
        BadInput: When this machine lacks the device.
        KeyboardInterrupt: When a signal stopped the training; its state is saved, and
            the message names the update from which it goes on.
    """
    updater = prepare(
        policy,
        train_data,
        training,
        train_seed=train_seed,
        device=device,
        obs_noise=obs_noise,
    )
    padded = padded_episodes(train_data[2], policy.horizons)
    for text in [*constant_dimensions(policy), *padded]:
        progress.note(f"{title}: {text}")
    state = updater.state
    held_back = None
    if validation_data is not None:
        held_back = Batches(
            policy,
            *validation_data,
            batch_size=training.batch_size,
            train_seed=train_seed,
            device=state.device,
            frames=training.frames,
        )
    devices = [state.device] if state.device.type == "cuda" else []
    with deferred_signals() as stop_requested, torch.random.fork_rng(devices=devices):
        if folder.resume.is_file():
            state.restore(folder.resume)
            _refuse_later(state, training, folder)
            progress.note(
                f"{title} resumes after update {state.update:,} of {training.updates:,}"
            )
        run = _Run(updater, held_back, folder, stop_requested, copying, on_line)
        if not run.train_until(until or training.updates, title):
            if stop_requested():
                raise KeyboardInterrupt(f"update {state.update:,}")
            return state.averaged_policy().eval()
        state.finish(folder.weights)
        folder.write_weights_digest()
        folder.resume.unlink(missing_ok=True)
        if stop_requested():
            raise KeyboardInterrupt
    return policy.eval()


def update_seconds(
    policy: Policy,
    train_data: Rows,
    training: Training,
    *,
    device: str = "cpu",
    obs_noise: ObsNoise | None = None,
    at_least: float = 2.0,
    at_most: int | None = None,
) -> float:
    """Measures how long one update takes on this machine [s]; it changes the policy.

    Args:
        policy: With its initial weights, not yet fitted.
        train_data: As for `train`.
        training: Settings.
        device: Device that computes.
        obs_noise: As for `train`.
        at_least: How long to measure [s], after a few updates that do not count.
        at_most: Number of updates after which to end sooner.
    """
    updater = prepare(
        policy, train_data, training, train_seed=0, device=device, obs_noise=obs_noise
    )
    for _ in range(CudaGraph.WARMUP + 1):  # the last one records the graph
        float(updater.step())
    updates, start = 0, time.perf_counter()
    while not updates or (
        time.perf_counter() - start < at_least and updates != at_most
    ):
        float(updater.step())
        updates += 1
    return (time.perf_counter() - start) / updates


def prepare(
    policy: Policy,
    train_data: Rows,
    training: Training,
    *,
    train_seed: int,
    device: str,
    obs_noise: ObsNoise | None = None,
) -> Updater:
    """Moves a policy to its device, fits it, and sets up batches, state and updates.

    Args:
        policy: With its initial weights.
        train_data: As for `train`.
        training: Settings.
        train_seed: Seed of the fit, of batch order and of noise.
        device: Device that computes.
        obs_noise: As for `train`.
    """
    place = torch.device(available_device(device))
    policy = policy.to(place)
    policy.train_dtype = resolve_precision(training.precision, place)
    obs = as_rows(vectors_of(policy, train_data[0]))
    actions = as_rows(train_data[1])
    fit_generator = torch.Generator().manual_seed(derive(Purpose.FIT, train_seed))
    policy.fit(obs.to(place), actions.to(place), fit_generator)
    batches = Batches(
        policy,
        *train_data,
        batch_size=training.batch_size,
        train_seed=train_seed,
        device=place,
        noise=_noise(training, obs_noise, policy),
        frames=training.frames,
        keyframe_weight=training.keyframe_weight,
    )
    state = TrainingState(policy.train(), training, place, streams=batches.streams)
    return Updater(state, batches, training, train_seed)


def _noise(
    training: Training, obs_noise: ObsNoise | None, policy: Policy
) -> AddObsNoise | None:
    if not training.sensor_noise:
        return None
    if policy.encoder is not None:
        raise BadInput(
            f"training.sensor_noise is {training.sensor_noise}, but it can be added "
            "only to observations that are one vector; set it to 0"
        )
    if obs_noise is None:
        raise BadInput(
            f"training.sensor_noise is {training.sensor_noise}, but the observation "
            "noise of this task is not known; set it to 0"
        )
    return AddObsNoise(obs_noise, training.sensor_noise, policy)


class _Run:
    """Updates to the end of a training, with log, validation and checkpoints.

    Args:
        updater: Prepared, and restored where training resumes.
        held_back: Validation data; None for none.
        folder: Receives log, kept weights and states.
        stop_requested: Whether to stop after this update.
        copying: Measures copying; None for no such number.
        on_line: Called with each new line of the log.
    """

    def __init__(
        self,
        updater: Updater,
        held_back: Batches | None,
        folder: RunFolder,
        stop_requested: Callable[[], bool],
        copying: MeasureCopying | None = None,
        on_line: Callable[[LogLine], None] = lambda _: None,
    ) -> None:
        self.on_line = on_line
        self.updater, self.held_back, self.folder = updater, held_back, folder
        self.measure_copying, self.until = copying, updater.training.updates
        self.state, self.training = updater.state, updater.training
        self.stop_requested = stop_requested
        self.log = Log(folder.log, self.state.update)
        self._saved = time.monotonic()
        self._start = self._saved - self.state.seconds  # as if training never paused

    @property
    def _is_last(self) -> bool:
        return self.state.update == self.training.updates

    def train_until(self, until: int, title: str) -> bool:
        """Trains up to an update; tells whether the training is complete."""
        state, training = self.state, self.training
        self.until = until
        total, text = torch.full((), state.loss_sum, device=state.device), ""
        count = state.loss_count
        with progress.bar(title, until, min(state.update, until)) as bar:
            while state.update < until:
                total += self.updater.step()
                count += 1
                if state.update % training.log_every == 0 or self._is_last:
                    text = self._checkpoint(float(total) / count)
                    total, count = torch.zeros_like(total), 0
                elif self.stop_requested():
                    self._stop(float(total), count)
                elif self._save_is_due:
                    self._save(float(total), count)
                bar.advance(1, text)
            if not self._is_last:
                self._save(float(total), count)
        return self._is_last

    def _checkpoint(self, loss: float) -> str:
        """Logs, validates, keeps weights and saves the state, each when it is due.

        Returns:
            The text for the progress bar.
        """
        state, training = self.state, self.training
        state.seconds = time.monotonic() - self._start
        self._refuse_divergence(loss)
        line = self._line(loss)
        self.log.append(line)
        before = time.monotonic()
        self.on_line(line)
        self._start += time.monotonic() - before  # not a time of the training
        if training.keep_every and state.update % training.keep_every == 0:
            state.save_weights(self.folder.kept(state.update))
        if not self._is_last:
            if self.stop_requested():
                self._stop()
            if self._save_is_due:
                self._save()
        if line.val_loss is None:
            return f"loss {loss:.4f}"
        return f"loss {loss:.4f}, validation {line.val_loss:.4f}"

    @property
    def _save_is_due(self) -> bool:
        return time.monotonic() - self._saved > self.training.save_seconds

    def _save(self, loss_sum: float = 0.0, loss_count: int = 0) -> None:
        """Saves the state, with the losses that no line of the log has."""
        if loss_count:
            self._refuse_divergence(loss_sum / loss_count)
        self.state.loss_sum, self.state.loss_count = loss_sum, loss_count
        self.state.seconds = time.monotonic() - self._start
        self.state.save(self.folder.resume)
        self._saved = time.monotonic()

    def _stop(self, loss_sum: float = 0.0, loss_count: int = 0) -> NoReturn:
        """Saves the state and stops."""
        self._save(loss_sum, loss_count)
        raise KeyboardInterrupt(f"update {self.state.update:,}")

    def _refuse_divergence(self, loss: float) -> None:
        """Stops a training whose loss or weights are not finite."""
        state = self.state
        if not (math.isfinite(loss) and state.is_finite()):
            raise Diverged(
                f"training diverged around update {state.update} (loss {loss:.3g}, "
                "loss or weights not finite) and stopped, as these settings would "
                f"again; {HELP} usually helps"
            )

    def _line(self, loss: float) -> LogLine:
        """Makes a line of the log, with validation when it is due."""
        state, training = self.state, self.training
        val_loss = val_error = copying = None
        due = state.update % training.validate_every == 0 or self._is_last
        if self.held_back is not None and due:
            policy = state.averaged_policy()
            val_loss = validation_loss(policy, self.held_back)
            val_error = action_error(policy, self.held_back)
        measure = self.measure_copying if state.update == self.until else None
        if self.held_back is not None and measure is not None:
            copying = measure(state.averaged_policy(), self.held_back)
        return LogLine(
            update=state.update,
            loss=loss,
            lr=training.lr * lr_factor(state.update - 1, training),
            seconds=round(state.seconds, 2),
            val_loss=_finite(val_loss),
            val_action_error=_finite(val_error),
            copying=_finite(copying),
        )


def _refuse_later(state: TrainingState, training: Training, folder: RunFolder) -> None:
    """Refuses a state of a longer training."""
    if state.update > training.updates:
        raise BadInput(
            f"{folder.resume} is a state after update {state.update}, and this "
            f"training has {training.updates}; delete it to train from the start"
        )


def _finite(value: float | None) -> float | None:
    """Drops a number that is not finite, because JSON cannot hold it."""
    return value if value is not None and math.isfinite(value) else None
