"""The numbers of a study of samplers, before anybody decides how they look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dp_bench import registry
from dp_bench.evaluation.samplers import SamplerEvaluation
from dp_bench.reports.table import LEVEL
from dp_bench.statistics.comparisons import paired_difference
from dp_bench.statistics.estimates import Estimate, estimate_mean


@dataclass(frozen=True)
class SamplerRow:
    """One sampler with one number of calls.

    Attributes:
        evaluation: Its episodes.
        score: The mean score.
        success: The share of solved episodes.
        difference: Score minus that of the run's own sampler on the same starts; None
            for that sampler itself, and where it was not played.
    """

    evaluation: SamplerEvaluation
    score: Estimate
    success: Estimate
    difference: Estimate | None

    @property
    def name(self) -> str:
        """Names the sampler, and its spacing if that is not the published one."""
        quadratic = self.evaluation.spacing == "quadratic"
        return f"{self.evaluation.sampler}{', quadratic' if quadratic else ''}"

    @property
    def decision_seconds(self) -> float:
        """Median time of one decision [s]."""
        return float(np.median([r.decision_latency for r in self.evaluation.records]))


def rows_of(evaluations: Sequence[SamplerEvaluation]) -> list[SamplerRow]:
    """Reduces the evaluations of one run to rows, by sampler and number of calls."""
    scores = [_matrix(evaluation, "score") for evaluation in evaluations]
    both = list(zip(evaluations, scores, strict=True))
    usual = next((own for each, own in both if each.is_runs_own), None)
    return [
        SamplerRow(
            each,
            estimate_mean(own, level=LEVEL),
            estimate_mean(_matrix(each, "success"), level=LEVEL),
            None
            if usual is None or each.is_runs_own
            else paired_difference(own, usual, level=LEVEL),
        )
        for each, own in both
    ]


def title_of(rows: Sequence[SamplerRow]) -> str:
    """Names the study."""
    record = rows[0].evaluation.records[0]
    return f"{record.task}: samplers of {registry.title_of(record.method)}"


def constant_of(rows: Sequence[SamplerRow]) -> str:
    """Says what all rows share."""
    record = rows[0].evaluation.records[0]
    return (
        f"variant {record.variant}, observation {record.obs_kind}, control "
        f"{record.control}, train seed {record.train_seed}, update {record.step:,}, "
        f"{len(rows[0].evaluation.records)} {record.starts} starts"
    )


def _matrix(evaluation: SamplerEvaluation, name: str) -> np.ndarray:
    """Lays one number of each episode out as `(1, E)`."""
    return np.array([[float(getattr(record, name)) for record in evaluation.records]])
