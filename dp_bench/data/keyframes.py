"""Keyframes: windows whose actions do not follow from the actions before them.

Most actions of a demonstration go on as the ones before, and a policy that copies its
last movement fits them well. Drawing the other windows more often makes copying cost
more (Wen et al., 2021, arXiv 2106.06452).
"""

from __future__ import annotations

import numpy as np

from dp_bench.seeds import Purpose, derive

PAST = 2  # actions from which the next one is predicted


def surprise(actions: np.ndarray, episode_ends: np.ndarray) -> np.ndarray:
    """Returns how far each action is from what the actions before it predict.

    The prediction is linear in the two actions before, fitted to all rows by least
    squares. So steady motion surprises little, whether actions are displacements or
    targets. The first two actions of an episode count as 0, because fewer than two
    precede them.

    Args:
        actions: `(N, Da)`, normalised.
        episode_ends: One past the last row of each episode, `(E,)`, increasing.

    Returns:
        Distances, `(N,)`.
    """
    rows = np.arange(len(actions))
    lengths = np.diff(episode_ends, prepend=0)
    starts = np.repeat(episode_ends - lengths, lengths)
    before = [actions[np.maximum(rows - k, starts)] for k in range(1, PAST + 1)]
    known = np.concatenate([*before, np.ones((len(actions), 1))], axis=1)
    weights, *_ = np.linalg.lstsq(known, actions, rcond=None)
    distances: np.ndarray = np.linalg.norm(actions - known @ weights, axis=1)
    return np.where(rows - starts < PAST, 0.0, distances)


def draw_weights(surprises: np.ndarray, index: np.ndarray, factor: float) -> np.ndarray:
    """Returns how often each window is drawn, relative to one without surprise.

    Args:
        surprises: Of each row, `(N,)`.
        index: The rows of each window, `(W, Tp)`.
        factor: What an average surprise adds to the weight of 1.

    Returns:
        Weights, `(W,)`.
    """
    of_window = surprises[index].mean(axis=1)
    average = of_window.mean()
    if not average > 0:
        return np.ones(len(index))
    weights: np.ndarray = 1 + factor * of_window / average
    return weights


def weighted_order(train_seed: int, epoch: int, weights: np.ndarray) -> np.ndarray:
    """Returns the windows of an epoch, in order; some are drawn several times.

    An epoch has as many draws as there are windows. A window is drawn as often as its
    share of the weights says, rounded up or down at random.

    Args:
        train_seed: Seed of the order.
        epoch: Counted from 0.
        weights: `(W,)`, above 0.

    Returns:
        Numbers of windows, `(W,)`.
    """
    rng = np.random.default_rng(derive(Purpose.BATCH_ORDER, train_seed, epoch))
    ends = np.cumsum(weights) * (len(weights) / weights.sum())
    points = np.arange(len(weights)) + rng.random()
    windows = np.searchsorted(ends, points, side="right").clip(max=len(weights) - 1)
    return rng.permutation(windows)
