"""Simulated comparisons that stop when they are decided.

`python tests/stopping.py` prints the tables of the manual.
"""

from __future__ import annotations

import collections
import itertools
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from dp_bench.statistics.sequential import Look, look

STARTS = 50  # of each training, met by no other
MOST = 10  # trainings of each method
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(61)


@dataclass(frozen=True)
class Study:
    """Two methods in a two-way model of successes, in logits.

    Attributes:
        means: Mean success of A and of B over all trainings and starts.
        trainings: Standard deviation between the trainings of A, and of B.
        starts: Standard deviation between starts, shared by both methods.
        interaction: Standard deviation of what a start is to one method only.
        fresh: Whether each training meets starts of its own, as the rule demands.
    """

    means: tuple[float, float]
    trainings: tuple[float, float]
    starts: float = 1.0
    interaction: float = 0.0
    fresh: bool = True

    def differences(
        self, rng: np.random.Generator, runs: int, trainings: int = MOST
    ) -> np.ndarray:
        """Draws the difference of each training, `(runs, trainings)`."""
        size = (runs, trainings, STARTS)
        of_starts = size if self.fresh else (runs, 1, STARTS)
        starts = rng.normal(0, self.starts, of_starts)
        means = []
        for mean, spread in zip(self.means, self.trainings, strict=True):
            total = np.sqrt(spread**2 + self.starts**2 + self.interaction**2)
            logits = intercept(mean, total) + starts
            logits = logits + rng.normal(0, spread, (runs, trainings, 1))
            logits = logits + rng.normal(0, self.interaction, of_starts)
            means.append((rng.random(size) < expit(logits)).mean(axis=2))
        return means[0] - means[1]


def intercept(mean: float, spread: float) -> float:
    """Finds the logit around which normal logits have this mean success."""

    def excess(logit: float) -> float:
        successes = WEIGHTS @ expit(logit + spread * NODES) / WEIGHTS.sum()
        return float(successes) - mean

    return float(brentq(excess, -20, 20))


def stopped(differences: np.ndarray, most: int = MOST) -> Look:
    """Looks after every training, and stops as the command does."""
    for n in range(1, len(differences) + 1):
        seen = look(differences[:n], most)
        if seen.verdict != "open":
            break
    return seen


def equal_methods() -> list[Study]:
    """Lists studies of two methods with equal means, some with unlike spreads."""
    spreads = [(0.3, 0.3), (0.5, 0.5), (1.0, 1.0), (0.3, 1.0)]
    return [
        Study((mean, mean), spread, interaction=interaction)
        for spread, mean, interaction in itertools.product(
            spreads, (0.1, 0.5, 0.9), (0.0, 0.7)
        )
    ]


def simulate(study: Study, runs: int, seed: int) -> list[Look]:
    """Simulates whole comparisons."""
    rng = np.random.default_rng(seed)
    return [stopped(d) for d in study.differences(rng, runs)]


def shares(looks: list[Look]) -> dict[str, float]:
    """Counts the shares of verdicts."""
    counts = collections.Counter(look.verdict for look in looks)
    return {name: count / len(looks) for name, count in counts.items()}


def decided(looks: list[Look]) -> float:
    """The share of comparisons with a verdict for A or B."""
    return sum(look.verdict in "AB" for look in looks) / len(looks)


def trainings(looks: list[Look]) -> float:
    """The mean number of trainings of each method."""
    return float(np.mean([look.trainings for look in looks]))


def _main() -> None:
    print("| spread of A, B | mean | interaction | decided | trainings |")
    print("|---|---|---|---|---|")
    for seed, study in enumerate(equal_methods()):
        looks = simulate(study, 2000, seed)
        spreads = ", ".join(map(str, study.trainings))
        print(
            f"| {spreads} | {study.means[0]} | {study.interaction} "
            f"| {decided(looks):.3f} | {trainings(looks):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    _main()
