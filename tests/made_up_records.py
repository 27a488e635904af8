"""Made-up records and tables that the tests of reports share."""

import dataclasses
import hashlib
import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from dp_bench.evaluation.records import Record
from dp_bench.reports.summary import summary
from dp_bench.reports.table import Row, Table
from dp_bench.runs.info import DIGESTS
from dp_bench.task import Column, Task
from dp_bench.training.log import LogLine

REACH = Task(
    name="reach",
    env_id="test/Reach-v0",
    entry_point="",
    about="touch a point",
    max_steps=10,
    score="",
    variants={"plain": {}, "windy": {}},
    columns=(Column("p1", "1 point"),),
)


def episodes(
    method: str = "alpha_1",
    scores: Sequence[Sequence[float]] = ((0.5, 1.0),),
    **changes: Any,
) -> list[Record]:
    """Records of one row: `scores[s][e]` of train seed s and start 100000 + e."""
    facts = {
        "task": "reach",
        "obs_kind": "state",
        "control": "position",
        "method": method,
        "preset": "smoke",
        "settings": f"of {method}",
        "demos_digest": "d1",
        "split_digest": "p1",
        "order_digest": "o1",
        "step": 100,
        "starts": "test",
        "variant": "plain",
        "length": 7,
        "decision_latency": 0.004,
        "parameters": 1_250_000,
        "train_seconds": 75.0,
        "commit": "abc",
        "versions": {"numpy": "2.0", "python": "3.11"},
    }
    return [
        Record(
            **(
                facts
                | {
                    "train_seed": train_seed,
                    "env_seed": 100_000 + start,
                    "score": score,
                    "success": score >= 1,
                    "sub_scores": {"p1": score / 2},
                }
                | changes
            )
        )
        for train_seed, line in enumerate(scores)
        for start, score in enumerate(line)
    ]


def with_digests(records: Sequence[Record]) -> list[Record]:
    """The same records with real digests, as a file must have them."""

    def digest(record: Record, name: str) -> str:
        text, digits = getattr(record, name), DIGESTS[name]
        if not text or re.fullmatch(f"[0-9a-f]{{{digits}}}", text):
            return text
        return hashlib.sha256(text.encode()).hexdigest()[:digits]

    return [
        dataclasses.replace(r, **{name: digest(r, name) for name in DIGESTS})
        for r in records
    ]


def three_rows() -> list[Record]:
    """Means and intervals that two starts allow to work out by hand.

    Two methods have two trainings that agree, so only starts vary. The third has one
    training, and Wilson's interval (0.34, 1) for 2 of 2.
    """
    return [
        *episodes("alpha_1", ((0.5, 1.0), (0.5, 1.0))),
        *episodes("beta", ((0.0, 0.5), (0.0, 0.5))),
        *episodes("gamma", ((1.0, 1.0),), demos_digest="d2"),
    ]


def published() -> pd.DataFrame:
    """Published values of alpha_1, among others that must not be taken for them."""
    lines = [
        "task,demos,obs,method,metric,selection,value,source",
        "reach,ph,state,alpha_1,score,last10,0.70,A & B (2020)",
        "reach,ph,state,alpha_1,score,max,0.90,A & B (2020)",
        "reach,ph,image,alpha_1,score,max,0.11,Nobody",
        "reach,mh,state,alpha_1,score,max,0.22,Nobody",
        "other,ph,state,alpha_1,score,max,0.33,Nobody",
    ]
    return pd.read_csv(io.StringIO("\n".join(lines)))


def table(records: Sequence[Record], **options: Any) -> Table:
    """The table of records of the task that these records are of."""
    return summary(records, REACH, **options)


def by_method(table: Table) -> dict[str, Row]:
    """The rows of a table with one row for each method."""
    rows = {row.method: row for row in table.rows}
    assert len(rows) == len(table.rows)
    return rows


def random_table() -> Table:
    """Two comparable rows and an odd one, with two train seeds and eight starts."""
    draw = np.random.default_rng(0).uniform
    return summary(
        episodes("good", draw(0.5, 1, size=(2, 8)), sub_scores={})
        + episodes("bad", draw(0, 0.5, size=(2, 8)), sub_scores={})
        + episodes("odd", draw(0, 0.5, size=(2, 8)), sub_scores={}, demos_digest="d2")
    )


def log_line(update: int, loss: float, **more: float | None) -> LogLine:
    """A line of a log."""
    return LogLine(update, loss, lr=1e-3, seconds=float(update), **more)


def training(seed: int, **more: float) -> list[LogLine]:
    """The log of a training: three updates with a random loss."""
    draw = np.random.default_rng(seed).uniform
    return [log_line(i, draw(0.1, 1), **more) for i in (10, 20, 30)]


def texts(ax: Axes) -> str:
    """All notes and labels of axes."""
    notes = [text.get_text() for text in ax.texts]
    return "\n".join([*notes, ax.get_xlabel(), ax.get_ylabel()])
