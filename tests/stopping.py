"""Simulated comparisons that stop when they are decided.

`python tests/stopping.py` prints the tables of the manual.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from dp_bench.statistics.comparisons import all_pairs
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

    def scores(self, rng: np.random.Generator, runs: int) -> list[np.ndarray]:
        """Draws the successes of A and of B, `(runs, MOST, STARTS)` each."""
        size = (runs, MOST, STARTS)
        of_starts = size if self.fresh else (runs, 1, STARTS)
        starts = rng.normal(0, self.starts, of_starts)
        both = []
        for mean, spread in zip(self.means, self.trainings, strict=True):
            total = np.sqrt(spread**2 + self.starts**2 + self.interaction**2)
            logits = intercept(mean, total) + starts
            logits = logits + rng.normal(0, spread, (runs, MOST, 1))
            logits = logits + rng.normal(0, self.interaction, of_starts)
            both.append((rng.random(size) < expit(logits)).astype(float))
        return both

    def differences(self, rng: np.random.Generator, runs: int) -> np.ndarray:
        """Draws the difference of each training, `(runs, MOST)`."""
        a, b = self.scores(rng, runs)
        return (a - b).mean(axis=2)


def intercept(mean: float, spread: float) -> float:
    """Finds the logit around which normal logits have this mean success."""

    def excess(logit: float) -> float:
        successes = WEIGHTS @ expit(logit + spread * NODES) / WEIGHTS.sum()
        return float(successes) - mean

    return float(brentq(excess, -20, 20))


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
    return [look(d, MOST) for d in study.differences(rng, runs)]


def fixed_power(study: Study, runs: int, seed: int) -> float:
    """The share that the test of the tables decides, with MOST trainings on 50 starts.

    All trainings meet the same starts there.
    """
    rng = np.random.default_rng(seed)
    a, b = dataclasses.replace(study, fresh=False).scores(rng, runs)
    return float(
        np.mean([all_pairs(pair)[0].decided for pair in zip(a, b, strict=True)])
    )


def detectable(study: Study, runs: int = 1000, seed: int = 0) -> float:
    """Finds the difference that the test of the tables decides with 80 % power."""

    def excess(difference: float) -> float:
        return fixed_power(apart(study, difference), runs, seed) - 0.8

    return float(brentq(excess, 0.02, 0.9 - study.means[1], xtol=0.002))


def apart(study: Study, difference: float) -> Study:
    """The same study, with A so much better than B."""
    low = study.means[1]
    return dataclasses.replace(study, means=(low + difference, low))


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
    print("\n| spread | times detectable | difference | fixed | decided | trainings |")
    print("|---|---|---|---|---|---|")
    for spread in (0.3, 0.5, 1.0):
        study = Study((0.3, 0.3), (spread, spread), interaction=0.5)
        smallest = detectable(study)
        for times in (1.0, 1.5, 2.0):
            better = apart(study, times * smallest)
            looks = simulate(better, 2000, seed=1)
            print(
                f"| {spread} | {times} | {times * smallest:.3f} "
                f"| {fixed_power(better, 1000, seed=2):.2f} | {decided(looks):.2f} "
                f"| {trainings(looks):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    _main()
