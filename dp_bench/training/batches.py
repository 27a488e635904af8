"""Batches of windows, drawn in an order that only the train seed decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from dp_bench.data.keyframes import draw_weights, surprise, weighted_order
from dp_bench.data.windows import row_order, window_index
from dp_bench.policies.base import Policy
from dp_bench.policies.observations import Normalizer, Observation
from dp_bench.training.frames import Frames, Images, make_frames
from dp_bench.training.obs_noise import AddObsNoise

# One array `(N, Do)`, or arrays by key: vectors `(N, width)` and images.
ObsRows: TypeAlias = "np.ndarray | Mapping[str, Images]"

# Observations and actions `(N, Da)`, both in units of the environment, and episode ends
# `(E,)`.
Rows: TypeAlias = "tuple[ObsRows, np.ndarray, np.ndarray]"


def vectors_of(policy: Policy, obs: ObsRows) -> np.ndarray:
    """Returns the numbers of observed rows: `(N, Do)`, or the vectors `(N, Dv)`."""
    if policy.encoder is None:
        return np.asarray(obs)
    spec, by_key = policy.encoder.spec, cast("Mapping[str, np.ndarray]", obs)
    return spec.joined(by_key)


class Batches:
    """Draws batches of windows as a function of train seed and update alone.

    An epoch visits the rows of the demonstrations in an order that the train seed
    draws. Each row stands for the window whose present (step To - 1) it is; rows
    without such a window are skipped. So methods with different horizons meet the same
    moments in the same order, unless keyframes are drawn more often. The rows lie
    normalised on the training device, and a batch is one gather. Of a window with
    images, a batch holds the observations that the policy looks at.

    Args:
        policy: A fitted policy; its normalisers and horizons are used.
        obs: Observations, `(N, Do)` or by key, in units of the environment.
        actions: `(N, Da)`, in units of the environment.
        episode_ends: One past the last row of each episode, `(E,)`.
        batch_size: Windows per batch; fewer where the data have fewer.
        train_seed: Seed of the order.
        device: Device that holds the data.
        noise: Observation noise that training adds; None for none.
        frames: Where images lie during the training; see `make_frames`.
        keyframe_weight: See `Training.keyframe_weight`.
    """

    def __init__(
        self,
        policy: Policy,
        obs: ObsRows,
        actions: np.ndarray,
        episode_ends: np.ndarray,
        *,
        batch_size: int,
        train_seed: int,
        device: torch.device,
        noise: AddObsNoise | None = None,
        frames: Literal["auto", "memory", "file"] = "auto",
        keyframe_weight: float = 0.0,
    ) -> None:
        index = window_index(episode_ends, policy.horizons)

        def normalized(normalizer: Normalizer, rows: np.ndarray) -> Tensor:
            return cast(Tensor, normalizer(normalizer.from_numpy(rows, device)))

        self.frames: Frames | None = None
        if policy.encoder is not None:
            by_key = cast("Mapping[str, Images]", obs)
            images = {key: by_key[key] for key in policy.encoder.spec.images}
            self.frames = make_frames(images, device, frames)
        self.obs = normalized(policy.obs_normalizer, vectors_of(policy, obs))
        self.actions = normalized(policy.action_normalizer, actions)
        self.index = torch.as_tensor(index, device=device)
        self.size = min(batch_size, len(index))
        self.per_epoch = len(index) // self.size
        self.noise = noise
        self._looks_at = slice(policy.rows_seen)
        self._seed, self._epoch, self._order = train_seed, -1, torch.empty(0)
        # The window whose present is this row; -1 where there is none.
        self._window_at = np.full(len(actions), -1)
        self._window_at[index[:, policy.horizons.obs - 1]] = np.arange(len(index))
        self._weights: np.ndarray | None = None  # of each window; None for all alike
        if keyframe_weight:
            surprises = surprise(self.actions.cpu().numpy(), episode_ends)
            self._weights = draw_weights(surprises, index, keyframe_weight)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def streams(self) -> bool:
        """Whether images are read from a file during the training."""
        return self.frames is not None and self.frames.streams

    def at(self, update: int) -> tuple[Tensor | Observation, Tensor]:
        """Returns the batch of an update, normalised: observations and actions."""
        return self.rows(self.windows(update))

    def windows(self, update: int) -> Tensor:
        """Returns the numbers of the windows in the batch of an update, `(B,)`."""
        windows = self._windows(update)
        if self.frames is not None and self.frames.streams:
            later = self.index[self._windows(update + 1)]
            self.frames.read_ahead(later[:, self._looks_at])
        return windows

    def _windows(self, update: int) -> Tensor:
        epoch, k = divmod(update, self.per_epoch)
        if epoch != self._epoch:
            if self._weights is None:
                rows = row_order(self._seed, epoch, len(self._window_at))
                windows = self._window_at[rows]
                windows = windows[windows >= 0]
            else:
                windows = weighted_order(self._seed, epoch, self._weights)
            self._epoch = epoch
            self._order = torch.as_tensor(windows, device=self.index.device)
        return self._order[k * self.size : (k + 1) * self.size]

    def rows(self, windows: Tensor) -> tuple[Tensor | Observation, Tensor]:
        """Returns the observations and actions of windows by number.

        Args:
            windows: `(B,)`.

        Returns:
            Observations `(B, Tp, Do)`, or images and vectors of the first
            `rows_seen` rows; and actions `(B, Tp, Da)`.
        """
        rows = self.index[windows]
        if self.frames is None:
            return self.obs[rows], self.actions[rows]
        seen = rows[:, self._looks_at]
        return Observation(self.frames.rows(seen), self.obs[seen]), self.actions[rows]

    def noisy(
        self, windows: Tensor, generator: torch.Generator
    ) -> tuple[Tensor | Observation, Tensor]:
        """Returns windows by number, with the observation noise of the training."""
        obs, actions = self.rows(windows)
        if self.noise is None or not isinstance(obs, Tensor):
            return obs, actions
        return self.noise(obs, actions, generator)
