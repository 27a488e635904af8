"""Fixtures of the tests of the grid."""

import pytest

from dp_bench.grid.cell import Cell

CHANGES = (
    ("policy.channels", "8,16"),
    ("policy.step_dim", "8"),
    ("policy.sample_steps", "2"),
    ("training.updates", "6"),
    ("training.batch_size", "8"),
    ("training.log_every", "2"),
)


@pytest.fixture
def cell(demos_file, tmp_path):
    """A tiny training of DP-C on made-up demonstrations of PushT."""
    return Cell(
        task="pusht",
        method="dp_c",
        train_seed=0,
        preset="smoke",
        demos=str(demos_file),
        changes=CHANGES,
        episodes=1,
        runs=str(tmp_path / "runs"),
    )
