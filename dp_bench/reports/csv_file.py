"""CSV: a table of results in raw numbers."""

from __future__ import annotations

import pandas as pd

from dp_bench.reports.escaping import for_csv
from dp_bench.reports.table import CIRCUMSTANCES, Row, Table
from dp_bench.reports.trained import mixture
from dp_bench.reports.wording import ranges
from dp_bench.statistics.estimates import Estimate

NAN = float("nan")


def to_csv(table: Table) -> str:
    """Writes numbers to ten digits, one column each, without a footer."""
    return csv_text(to_frame(table))


def csv_text(frame: pd.DataFrame) -> str:
    """Writes a data frame to ten digits, without its index."""
    return frame.map(for_csv).to_csv(
        index=False, lineterminator="\n", float_format="%.10g"
    )


def to_frame(table: Table) -> pd.DataFrame:
    """Lays a table out as a data frame, with three columns for each estimate."""
    return pd.DataFrame([_flat(row) for row in table.rows])


def estimate_columns(name: str, estimate: Estimate | None) -> dict[str, float]:
    """Lays an estimate out as columns: `name`, `name_low`, `name_high`."""
    value, low, high = estimate[:3] if estimate else (NAN, NAN, NAN)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _flat(row: Row) -> dict[str, object]:
    cells: dict[str, object] = {
        name: getattr(row, name) for name in ("task", "method", "title", *CIRCUMSTANCES)
    }
    for key, estimate in row.estimates.items():
        cells |= estimate_columns(key, estimate)
    cells |= {
        "parameters": row.parameters,
        "train_seconds": row.train_seconds,
        "decision_latency": row.decision_latency,
        "num_seeds": row.num_seeds,
        "num_starts": row.num_starts,
        "train_seeds": ranges(row.train_seeds),
        "env_seeds": ranges(row.env_seeds),
        "demos_digest": row.demos_digest,
        "differs": "; ".join(row.differs),
        "mixed": mixture(row),
    }
    cells |= estimate_columns("difference", row.difference)
    cells |= {"best": row.best, "letters": row.letters}
    for (metric, selection), value in row.published.items():
        cells[f"{metric}_published_{selection}"] = value
    return cells
