"""Measures how much a policy copies its last movement.

A policy that copies goes on as before, whatever else it sees, and its validation loss
is low nevertheless, because demonstrations mostly go on as before (de Haan et al.,
2019, arXiv 1905.11979).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from dp_bench.policies.base import Policy
from dp_bench.policies.observations import Observation
from dp_bench.seeds import Purpose, derive
from dp_bench.task import MotionColumns
from dp_bench.training.batches import Batches, ObsRows, vectors_of

TURN = 0.25  # of the last movement [rad]
MAX_WINDOWS = 256
TOGETHER = 64  # windows in one decision, as IBC needs much memory for each
EXTREMES = 0.05  # share left out at either end: decisions for another mode, say
MOVES = 0.1  # shorter movements, as a share of the median, have no direction


@torch.no_grad()  # IBC needs gradients, so inference mode cannot be used
def measure_copying(
    policy: Policy,
    batches: Batches,
    *,
    obs: ObsRows,
    motion: MotionColumns,
    control: str,
) -> float | None:
    """Returns how far the next action turns, divided by how far the last movement does.

    In windows of validation episodes, the earlier positions of the robot turn about the
    latest one, and the policy decides again with the same random draws. 0 is a policy
    that ignores where it came from, and 1 one that goes straight on. Each window counts
    as the first decision of an episode, so `past_samples` changes nothing.

    Args:
        policy: With averaged weights, in evaluation mode.
        batches: Validation data; at most `MAX_WINDOWS` windows are used, evenly spread.
        obs: Observations of its rows, `(N, Do)` or by key, in units of the
            environment.
        motion: Columns that hold the robot's position.
        control: Control mode of the actions.

    Returns:
        The mean over windows, without the twentieth at either end; None for a policy
        that sees one observation or has just reset its memory, or where the robot does
        not move.
    """
    from scipy.stats import trim_mean

    steps = policy.rows_seen
    if steps == 1:
        return None
    count = min(MAX_WINDOWS, len(batches))
    spread = torch.linspace(0, len(batches) - 1, count).long()
    rows = batches.index[spread.to(batches.index.device), :steps]
    numbers = vectors_of(policy, obs)[rows.cpu().numpy()].astype(np.float64)
    first = slice(*motion.positions[0])
    now = numbers[:, -1, first]  # (B, P)
    last = now - numbers[:, -2, first]
    across = _orthogonal_to(last)
    turned = _turned(numbers, motion, last, across)

    before = _moves(policy, batches, rows, numbers, motion)
    after = _moves(policy, batches, rows, turned, motion)
    if before is None or after is None:
        return None
    if control in motion.absolute:
        before, after = before - now, after - now
    turn = _angle(after, last, across) - _angle(before, last, across)
    turn = (turn + math.pi) % (2 * math.pi) - math.pi
    moving = _is_moving(last) & _is_moving(before)
    if not moving.any():
        return None
    return float(trim_mean(turn[moving], EXTREMES) / TURN)


def _turned(
    numbers: np.ndarray, motion: MotionColumns, last: np.ndarray, across: np.ndarray
) -> np.ndarray:
    """Turns the earlier positions about the latest ones, `(B, T, Do)`."""
    norms = np.linalg.norm(last, axis=-1, keepdims=True)
    along = last / np.where(norms > 0, norms, 1.0)

    def outer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        product: np.ndarray = a[:, :, None] * b[:, None, :]
        return product

    plane = outer(along, along) + outer(across, across)
    swap = outer(across, along) - outer(along, across)
    rotation = (math.cos(TURN) - 1) * plane + math.sin(
        TURN
    ) * swap  # minus the identity
    turned = numbers.copy()
    for start, stop in motion.positions:
        back = numbers[..., start:stop] - numbers[:, -1:, start:stop]
        turned[..., start:stop] += np.einsum("bij,btj->bti", rotation, back)
    return turned


def _moves(
    policy: Policy,
    batches: Batches,
    rows: Tensor,
    numbers: np.ndarray,
    motion: MotionColumns,
) -> np.ndarray | None:
    """Decides in every window; returns the columns that move the robot, `(B, P)`."""
    moves = []
    for first in range(0, len(rows), TOGETHER):
        part = slice(first, first + TOGETHER)
        decided = _decide(policy, batches, rows[part], numbers[part])
        if decided is None:
            return None
        moves.append(decided)
    return np.concatenate(moves)[:, slice(*motion.actions)].astype(np.float64)


def _decide(
    policy: Policy, batches: Batches, rows: Tensor, numbers: np.ndarray
) -> np.ndarray | None:
    """Returns the next action in some windows, `(B, Da)`, in units of the environment.

    A recurrent policy sees one observation after the other, and its last decision
    counts. Returns None if it has just reset its memory.
    """
    given = policy.obs_normalizer.from_numpy(numbers, batches.obs.device)
    normalized: Tensor = policy.obs_normalizer(given)
    seen: Tensor | Observation = normalized
    if batches.frames is not None:
        seen = Observation(batches.frames.rows(rows), normalized)
    features = policy.encode(seen)
    generators = [
        torch.Generator().manual_seed(derive(Purpose.VALIDATION_NOISE, 2, int(row)))
        for row in rows[:, 0]
    ]
    memory: list[object] = [None] * len(rows)
    observed, last = policy.horizons.obs, rows.shape[1]
    for stop in range(observed, last + 1):
        if observed < stop == last and all(kept is None for kept in memory):
            return None
        part = features[:, stop - observed : stop]
        decided = policy.decide(part, generators, memory)[:, 0]
    actions: np.ndarray = policy.action_normalizer.inverse(decided).cpu().numpy()
    return actions


def _orthogonal_to(directions: np.ndarray) -> np.ndarray:
    """Draws a unit vector orthogonal to each direction, `(B, P)`."""
    rng = np.random.default_rng(derive(Purpose.VALIDATION_NOISE, 3))
    drawn = rng.normal(size=directions.shape)
    squares = (directions**2).sum(-1, keepdims=True)
    along = (drawn * directions).sum(-1, keepdims=True)
    drawn -= directions * (along / np.where(squares > 0, squares, 1.0))
    unit: np.ndarray = drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)
    return unit


def _angle(moves: np.ndarray, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Returns the angle of each move in the plane of the turn, from `along` [rad]."""
    length = np.linalg.norm(along, axis=-1)
    forward = (moves * along).sum(-1) / np.where(length > 0, length, 1.0)
    angle: np.ndarray = np.arctan2((moves * across).sum(-1), forward)
    return angle


def _is_moving(moves: np.ndarray) -> np.ndarray:
    """Tells which moves are long enough to have a direction, `(B,)`."""
    lengths = np.linalg.norm(moves, axis=-1)
    moving: np.ndarray = lengths > MOVES * np.median(lengths)
    return moving
