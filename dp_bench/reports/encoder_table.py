"""The numbers of a study of encoders, before anybody decides how they look."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from dp_bench import registry
from dp_bench.evaluation.encoders import EncoderTraining
from dp_bench.evaluation.records import to_frame
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.reports.comparability import compared
from dp_bench.reports.footnotes import footnotes
from dp_bench.reports.summary import summary
from dp_bench.reports.table import Row
from dp_bench.reports.verdict import verdict
from dp_bench.reports.wording import NOTHING, listed, seeds_by_starts, sizes_of

POOLINGS = {"spatial_softmax": "spatial softmax", "average": "average"}
NO_NORM = ("cnn", "vit_small")  # whose normalisation no setting chooses


@dataclass(frozen=True, eq=False)
class EncoderRow:
    """One encoder in the table.

    Attributes:
        facts: Its training, or one of several under different seeds.
        row: Its scores; the name of the encoder stands in the place of the method.
    """

    facts: EncoderTraining
    row: Row

    @property
    def words(self) -> tuple[str, str, str]:
        """Names the first weights of the encoder, its pooling and its normalisation."""
        vision = self.facts.vision
        return weights_of(vision), POOLINGS[vision.pooling], norm_of(vision)


@dataclass(frozen=True, eq=False)
class EncoderTable:
    """The rows of a study, best first, and the lines below them."""

    rows: tuple[EncoderRow, ...]
    method: str
    footer: tuple[str, ...]

    @property
    def title(self) -> str:
        """Names the study."""
        first = self.rows[0]
        return (
            f"{first.row.task}: encoders of {registry.title_of(self.method)}, "
            f"{_budget(first.facts)}"
        )

    @property
    def constant(self) -> str:
        """Says what all rows share."""
        first = self.rows[0].row
        return (
            f"variant {first.variant}, observation {first.obs_kind}, control "
            f"{first.control}, {first.starts} starts"
        )

    @property
    def sizes(self) -> str:
        """Counts train seeds and starts."""
        return seeds_by_starts(sizes_of(each.row for each in self.rows))


def table_of(trainings: Sequence[EncoderTraining]) -> EncoderTable:
    """Reduces the trainings of a study to a row for each encoder."""
    facts = {training.records[0].settings: training for training in trainings}
    named = [
        dataclasses.replace(record, method=training.name)
        for training in trainings
        for record in training.records
    ]
    rows, families = compared(summary(named).rows)
    described = [
        dataclasses.replace(row, preset=_settings(facts[row.settings])) for row in rows
    ]
    footer = [
        *verdict(rows, families, "encoder"),
        *_explanations(trainings),
        *footnotes(described, (), to_frame(named), ()),
    ]
    return EncoderTable(
        tuple(EncoderRow(facts[row.settings], row) for row in rows),
        trainings[0].records[0].method,
        tuple(footer),
    )


def weights_of(vision: VisionConfig) -> str:
    """Names the weights that an encoder begins with, and says whether they stay."""
    if vision.pretrained:
        return f"ImageNet, {'frozen' if vision.frozen else 'fine-tuned'}"
    return "random, frozen" if vision.frozen else "scratch"


def norm_of(vision: VisionConfig) -> str:
    """Names the normalisation of an encoder, a dash where no setting chooses it."""
    if vision.encoder in NO_NORM:
        return NOTHING
    return "batch" if vision.pretrained else vision.norm


def _budget(facts: EncoderTraining) -> str:
    """Says what all trainings were given alike."""
    if facts.minutes is None:
        return "equal numbers of updates"
    return f"{facts.minutes:g} min of training each"


def _settings(facts: EncoderTraining) -> str:
    """Names the settings that the encoders of a study share."""
    changes = f", {' '.join(facts.changes)}" if facts.changes else ""
    return f"{facts.preset}{changes}, with the encoders and updates above"


def _explanations(trainings: Sequence[EncoderTraining]) -> list[str]:
    """Says what the study gave each encoder, and what its columns mean."""
    first = trainings[0]
    if first.minutes is None:
        given = "Budget: every training makes the same number of updates."
    else:
        given = (
            f"Budget: every training was planned to take {first.minutes:g} min on the "
            "machine named below. The time of one update, measured beforehand, gives "
            "the number of updates."
        )
    sources = listed(list(dict.fromkeys(t.source for t in trainings)))
    return [
        given,
        "The study serves to choose an encoder, so it plays validation starts of one "
        "variant of the task. The best of several scores is biased upwards: report the "
        "chosen encoder on test starts.",
        "Weights: what the encoder begins with; training does not change frozen ones. "
        "With ImageNet's weights, batch norm keeps ImageNet's statistics, and "
        "vision.zero is 0.5. Pooling and the layer after it are always trained, and "
        "count among the parameters.",
        "Training: mean wall-clock time of a training. Decision: median time of one.",
        f"Source of the demonstrations: {sources}.",
    ]
