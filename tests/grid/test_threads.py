"""A training has the same number of threads wherever it runs."""

import dataclasses

import pytest
import torch

from dp_bench.grid.cell import Cell, resolve
from dp_bench.grid.run import trained

# wide enough that torch divides its sums among threads
WIDE = (
    *(("policy.hidden", "256"), ("training.batch_size", "256")),
    *(("training.updates", "4"), ("training.validate_every", "100")),
)


@pytest.fixture
def weights(demos_file, tmp_path):
    """Trains in a process with a number of threads; gives the digest of the weights."""

    def train(threads, *changes):
        cell = Cell(
            "pusht",
            "ibc",
            0,
            preset="smoke",
            demos=str(demos_file),
            changes=(*WIDE, *changes),
            runs=str(tmp_path / f"{threads}{len(changes)}"),
            device="cpu",
        )
        torch.set_num_threads(threads)
        try:
            with trained(*resolve([cell])) as folder:
                assert torch.get_num_threads() == threads  # evaluation comes next
                return folder.trained()
        finally:
            torch.set_num_threads(1)

    return train


def test_the_threads_of_the_process_do_not_move_weights(weights):
    one, three = weights(1), weights(3)
    assert one.weights == three.weights
    assert [stage.threads for stage in one.stages] == [1]


def test_the_threads_of_a_run_do(weights):
    """Otherwise the test above could not fail."""
    more = weights(1, ("training.threads", "3"))
    assert [stage.threads for stage in more.stages] == [3]
    assert more.weights != weights(1).weights


def test_runs_with_other_threads_have_other_names(demos_file):
    from dp_bench.grid.prepare import prepare

    usual = Cell("pusht", "bet", 0, preset="smoke", demos=str(demos_file))
    changed = [
        dataclasses.replace(usual, changes=(("training.threads", str(n)),))
        for n in (1, 2)
    ]
    names = [prepare(cell).info.name for cell in resolve([usual, *changed])]
    assert names[0] == names[1] != names[2]
    assert {prepare(cell).info.preset for cell in resolve(changed)} == {"smoke"}
