"""One update of the weights: batch, loss, gradient step, moving average."""

from __future__ import annotations

import torch
from torch import Tensor

from dp_bench.seeds import Purpose, derive
from dp_bench.training.batches import Batches
from dp_bench.training.config import Training, ema_decay, lr_factor
from dp_bench.training.cuda_graph import CudaGraph
from dp_bench.training.state import TrainingState


class Updater:
    """Makes the updates of a training, each a function of state and train seed alone.

    Every update seeds the generators it draws from, so that a resumed training draws
    what an uninterrupted one would. One of them is the ambient generator, which callers
    must restore.

    Args:
        state: The state to update.
        batches: Training data.
        training: Settings.
        train_seed: Seed of all noise.
    """

    def __init__(
        self,
        state: TrainingState,
        batches: Batches,
        training: Training,
        train_seed: int,
    ) -> None:
        self.state, self.batches, self.training = state, batches, training
        self.train_seed = train_seed
        self.generator = torch.Generator(state.device)
        self.graph: CudaGraph | None = None
        self._ambient = _ambient_generator(state.device)
        self._updates_here = 0

    def step(self) -> Tensor:
        """Makes one update; returns its loss, which the next one may overwrite."""
        state, training = self.state, self.training
        windows = self.batches.windows(state.update)
        for purpose, generator in (
            (Purpose.LOSS_NOISE, self.generator),
            (Purpose.DROPOUT, self._ambient),
        ):
            generator.manual_seed(derive(purpose, self.train_seed, state.update))
        lr = training.lr * lr_factor(state.update, training)
        state.update += 1
        state.set_rates(lr, 1 - ema_decay(state.update))
        if state.uses_cuda_graph and self._updates_here == CudaGraph.WARMUP:
            self.graph = CudaGraph(
                self._compute, self.batches.size, self.generator, state.device
            )
        self._updates_here += 1
        return self._compute(windows) if self.graph is None else self.graph(windows)

    def _compute(self, windows: Tensor) -> Tensor:
        """Computes one update; a CUDA graph can record it."""
        state = self.state
        obs, actions = self.batches.noisy(windows, self.generator)
        seen = state.policy.encode(obs, self.generator)
        loss = state.policy.loss(seen, actions, self.generator)
        loss.backward()
        for flat in state.flat:
            flat.gather_gradients()
        if self.training.grad_clip is not None:
            torch.nn.utils.clip_grad_norm_(state.values, self.training.grad_clip)
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        state.move_average()
        return loss.detach()


def _ambient_generator(device: torch.device) -> torch.Generator:
    """Returns the generator that dropout draws from on a device.

    `torch.manual_seed` would not do: without a GPU it remembers every call in case one
    appears later, and memory grows.
    """
    if device.type != "cuda":
        return torch.default_generator
    index = torch.cuda.current_device() if device.index is None else device.index
    return torch.cuda.default_generators[index]
