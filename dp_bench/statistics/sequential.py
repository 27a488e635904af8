"""Stopping a comparison as soon as it is decided, with few false decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from dp_bench.errors import BadInput

LEVEL = 0.05  # largest share of false decisions
NEEDED = 1 / LEVEL  # evidence that decides
BOLDNESS = 2.0  # of the bets; tuned on simulations of 6 to 20 trainings
FEWEST = 6  # trainings that can decide: 2^5 / 2 is below NEEDED, 2^6 / 2 is not

Verdict = Literal["A", "B", "open", "undecidable"]


class Look(NamedTuple):
    """What the trainings so far say about the pair (A, B).

    Attributes:
        verdict: "A" or "B" is better; "undecidable" when no results of the trainings
            that are left could decide; otherwise "open".
        evidence: e-value after each training, `(n,)`.
        trainings: n, number of trainings of each method that the verdict rests on.
        difference: Mean of the differences of these trainings.
        more: Smallest number of further trainings after which the pair could be
            decided; 0 with a verdict for A or B.
    """

    verdict: Verdict
    evidence: tuple[float, ...]
    trainings: int
    difference: float
    more: int


def look(differences: Sequence[float] | np.ndarray, most: int) -> Look:
    """Looks at the differences of the trainings so far; allowed after every training.

    It looks after each training in turn, so trainings after a verdict change nothing.

    Difference k is the mean score of training k of A minus that of training k of B, on
    the same starts. No other training may have met these starts. Otherwise differences
    share the luck of the starts, and are not independent.

    The evidence is a test martingale, the capital of a gambler who starts with 1
    (Shafer, 2021; Waudby-Smith & Ramdas, 2023). Half of it bets on A, half on B. Before
    the sign of difference k is shown, each half stakes the share `w` of its capital:

        evidence(n) = (prod(1 + sign d_k w_k) + prod(1 - sign d_k w_k)) / 2
        w_k = tanh(BOLDNESS |d_k| / s_k),   s_k^2 = (d_1^2 + ... + d_k^2) / k

    If trainings of A and B score alike, both signs of a difference are equally likely,
    whatever its size. Then no bet gains on average, and the evidence ever reaches 20
    with a probability of at most 1/20 (Ville, 1939), however often one looks. For
    methods with equal means and unlike spreads the differences are only nearly
    symmetric; simulations in `tests/statistics` hold this case to the level, too.

    A martingale for any distribution in [-1, 1] with mean 0 multiplies its capital by
    at most 1 + |d|, so ten trainings that all differ by .44 would not decide. The
    symmetry buys the power that few trainings need.

    Args:
        differences: `(n,)` in [-1, 1], in the order of the trainings.
        most: Largest number of trainings of each method. It only says when to give
            up, so a larger number may be chosen later.

    Raises:
        BadInput: When a difference is not in [-1, 1], or `most` cannot decide.
    """
    d = _checked(differences, most)
    on_a, on_b = _capitals(d)
    evidence = (on_a + on_b) / 2
    more = _soonest(np.maximum(on_a, on_b))
    decided = evidence >= NEEDED
    given_up = np.arange(1, len(d) + 1) + more > most
    ends = np.flatnonzero(decided | given_up)
    n = int(ends[0]) + 1 if len(ends) else len(d)
    verdict: Verdict = "open"
    if len(ends) and decided[n - 1]:
        verdict = "A" if on_a[n - 1] > on_b[n - 1] else "B"
    elif len(ends):
        verdict = "undecidable"
    return Look(
        verdict,
        evidence=tuple(evidence[:n].tolist()),
        trainings=n,
        difference=float(d[:n].mean()) if n else 0.0,
        more=0 if verdict in "AB" else int(more[n - 1]) if n else FEWEST,
    )


def _checked(differences: Sequence[float] | np.ndarray, most: int) -> np.ndarray:
    if most < FEWEST:
        raise BadInput(
            f"{most} trainings cannot decide, however they end; {FEWEST} can: choose "
            f"{FEWEST} or more"
        )
    d = np.asarray(differences, dtype=np.float64)
    wrong = d[~(np.abs(d) <= 1)]
    if d.ndim != 1 or len(wrong):
        raise BadInput(
            f"differences must be a row of numbers in [-1, 1], got "
            f"{wrong[0] if len(wrong) else f'shape {d.shape}'}"
        )
    return d


def _capitals(d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the capital of the gambler on A and of the one on B, `(n,)` each."""
    spread = np.sqrt(np.cumsum(d**2) / np.arange(1, len(d) + 1))
    relative = np.divide(d, spread, out=np.zeros_like(d), where=spread > 0)
    stakes = np.tanh(BOLDNESS * relative)
    return np.cumprod(1 + stakes), np.cumprod(1 - stakes)


def _soonest(capital: np.ndarray) -> np.ndarray:
    """Counts the trainings after which the evidence could decide, `(n,)`.

    A bet at most doubles the larger capital, and then ruins the other one.
    """
    capital = np.maximum(capital, np.finfo(float).tiny)  # many bets can lose it all
    doublings = np.ceil(np.log2(2 * NEEDED) - np.log2(capital))
    return np.maximum(1, doublings).astype(int)
