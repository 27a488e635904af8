"""Timing one update of a cell in a process of its own, with the size of its encoder."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass

from dp_bench.errors import BadInput
from dp_bench.grid.cell import Cell, resolve
from dp_bench.grid.local import child_environment
from dp_bench.util.memory import keep_freed_memory
from dp_bench.util.processes import end_with_parent, start_child
from dp_bench.util.text import sentence

SECONDS = 6.0  # how long to measure, because a plan follows from it [s]


@dataclass(frozen=True)
class UpdateTime:
    """What a probe measures.

    Attributes:
        update_seconds: Time of one update [s].
        encoder_parameters: Number of parameters of the encoders.
        encoder_trained: Number of those that training changes.
    """

    update_seconds: float
    encoder_parameters: int
    encoder_trained: int


def time_in_child(cell: Cell, jobs: int = 1) -> UpdateTime:
    """Times the updates of a cell in a child with as many threads as a training.

    Raises:
        BadInput: When the probe fails, with its last line of output.
    """
    child = start_child(__name__, cell.to_json(), child_environment(jobs))
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        output = child.stdout.read()
        errors = child.stderr.read().strip().splitlines()
        if child.wait():
            raise BadInput((errors or [f"the probe ended with {child.returncode}"])[-1])
    finally:
        if child.poll() is None:
            child.kill()
    return UpdateTime(**json.loads(output.strip().splitlines()[-1]))


def _measure(cell: Cell) -> UpdateTime:
    """Times the updates of a cell in this process."""
    import torch

    from dp_bench.grid.probe import made_up_rows, new_network, time_update

    (resolved,) = resolve([cell])
    torch.set_flush_denormal(True)  # as in training
    if resolved.device.startswith("cuda"):
        torch.set_float32_matmul_precision("high")
    env = resolved.task.make_env(obs_kind=resolved.obs_kind, control=resolved.control)
    rows = made_up_rows(resolved, env)
    env.close()
    policy = new_network(resolved, rows)
    weights = [] if policy.encoder is None else [*policy.encoder.parameters()]
    return UpdateTime(
        time_update(resolved, policy, rows, SECONDS),
        sum(weight.numel() for weight in weights),
        sum(weight.numel() for weight in weights if weight.requires_grad),
    )


def _main() -> int:
    """Probes as a child process; writes what it measured as one line of JSON."""
    end_with_parent()
    keep_freed_memory()  # as in training, which is faster with it
    try:
        measured = _measure(Cell.from_json(sys.argv[1]))
    except (BadInput, OSError) as error:
        print(sentence(error), file=sys.stderr)
        return 2
    print(json.dumps(dataclasses.asdict(measured)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
