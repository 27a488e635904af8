"""Batches of windows, drawn in an order that only the train seed decides."""

from __future__ import annotations

from typing import TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from dp_bench.data.windows import row_order, window_index
from dp_bench.policies.base import Policy
from dp_bench.policies.observations import Normalizer
from dp_bench.training.obs_noise import AddObsNoise

# Observations `(N, Do)`, actions `(N, Da)`, both in units of the environment, and
# episode ends `(E,)`.
Rows: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]


class Batches:
    """Draws batches of windows as a function of train seed and update alone.

    An epoch visits the rows of the demonstrations in an order that the train seed
    draws. Each row stands for the window whose present (step To - 1) it is; rows
    without such a window are skipped. So methods with different horizons meet the same
    moments in the same order. The rows lie normalised on the training device, and a
    batch is one gather.

    Args:
        policy: A fitted policy; its normalisers and horizons are used.
        obs: `(N, Do)`, in units of the environment.
        actions: `(N, Da)`, in units of the environment.
        episode_ends: One past the last row of each episode, `(E,)`.
        batch_size: Windows per batch; fewer where the data have fewer.
        train_seed: Seed of the order.
        device: Device that holds the data.
        noise: Observation noise that training adds; None for none.
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

        def normalized(normalizer: Normalizer, rows: np.ndarray) -> Tensor:
            return cast(Tensor, normalizer(normalizer.from_numpy(rows, device)))

        self.obs = normalized(policy.obs_normalizer, obs)
        self.actions = normalized(policy.action_normalizer, actions)
        self.index = torch.as_tensor(index, device=device)
        self.size = min(batch_size, len(index))
        self.per_epoch = len(index) // self.size
        self.noise = noise
        self._seed, self._epoch, self._order = train_seed, -1, torch.empty(0)
        # The window whose present is this row; -1 where there is none.
        self._window_at = np.full(len(obs), -1)
        self._window_at[index[:, policy.horizons.obs - 1]] = np.arange(len(index))

    def __len__(self) -> int:
        return len(self.index)

    def at(self, update: int) -> tuple[Tensor, Tensor]:
        """Returns the batch of an update, normalised: `(B, Tp, Do)`, `(B, Tp, Da)`."""
        return self.rows(self.windows(update))

    def windows(self, update: int) -> Tensor:
        """Returns the numbers of the windows in the batch of an update, `(B,)`."""
        epoch, k = divmod(update, self.per_epoch)
        if epoch != self._epoch:
            rows = row_order(self._seed, epoch, len(self._window_at))
            windows = self._window_at[rows]
            order = torch.as_tensor(windows[windows >= 0], device=self.index.device)
            self._epoch, self._order = epoch, order
        return self._order[k * self.size : (k + 1) * self.size]

    def rows(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the observations and actions of windows by number."""
        rows = self.index[windows]
        return self.obs[rows], self.actions[rows]

    def noisy(
        self, windows: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Returns windows by number, with the observation noise of the training."""
        obs, actions = self.rows(windows)
        return self.noise(obs, actions, generator) if self.noise else (obs, actions)
