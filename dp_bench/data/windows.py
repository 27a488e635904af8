"""Cutting demonstrations into fixed-length training windows, and their order."""

from __future__ import annotations

import hashlib

import numpy as np

from dp_bench.horizons import Horizons
from dp_bench.seeds import Purpose, derive


def window_index(episode_ends: np.ndarray, horizons: Horizons) -> np.ndarray:
    """Lists the dataset row behind every step of every training window.

    A window may hang over either end of its episode: by `To - 1` steps at the start,
    as the first observation is repeated when a rollout begins, and by `Ta - 1` at the
    end. Steps that hang over point at the nearest row of the same episode. A shorter
    episode gives one window: its present is the first row, and it hangs over the end
    as far as it must.

    Args:
        episode_ends: One past the last row of each episode, `(E,)`, increasing.
        horizons: The window is `Tp` steps long.

    Returns:
        Row numbers, `(W, Tp)`.
    """
    steps = np.arange(horizons.prediction)
    starts = np.concatenate([[0], episode_ends[:-1]])
    windows = [np.empty((0, horizons.prediction), np.int64)]
    for start, end in zip(starts, episode_ends, strict=True):
        first = start - (horizons.obs - 1)
        last = max(first, end - horizons.prediction + (horizons.action - 1))
        rows = np.arange(first, last + 1)[:, None] + steps
        windows.append(np.clip(rows, start, end - 1))
    return np.concatenate(windows)


def short_episodes(episode_ends: np.ndarray, horizons: Horizons) -> np.ndarray:
    """Lists the episodes whose one window is padded beyond the usual, in order."""
    lengths = np.diff(episode_ends, prepend=0)
    return np.flatnonzero(lengths < horizons.least_steps)


def row_order(train_seed: int, epoch: int, rows: int) -> np.ndarray:
    """Returns the order in which an epoch visits the rows of the demonstrations.

    Returns:
        A permutation of the row numbers, `(rows,)`; the same for every method.
    """
    seed = derive(Purpose.BATCH_ORDER, train_seed, epoch)
    return np.random.default_rng(seed).permutation(rows)


def order_digest(train_seed: int, rows: int, draw_settings: str = "") -> str:
    """Returns a short hash of the row orders of the first two epochs, 12 hex digits.

    Args:
        train_seed: Seed of the order.
        rows: Number of rows.
        draw_settings: Text of the settings that weight the draws; "" if all are equal.
    """
    digest = hashlib.sha256(draw_settings.encode())
    for epoch in range(2):
        digest.update(row_order(train_seed, epoch, rows).astype("<i8").tobytes())
    return digest.hexdigest()[:12]
