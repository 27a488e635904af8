"""Evaluations of a run under several samplers, in `results/<task>/samplers.jsonl`.

Each line is one evaluation: a sampler, its number of network calls, and a record of
each episode. Tables and figures need nothing else.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation import studies
from dp_bench.evaluation.records import Record
from dp_bench.runs.info import run_name
from dp_bench.util import settings

if TYPE_CHECKING:
    from dp_bench.policies.base import Policy

FILE = "samplers.jsonl"
COMMAND = "dp-bench study samplers"
CALLS = (1, 2, 4, 8, 16, 32, 64, 100)  # by default
# By objective, samplers identical to another one, which a study leaves out by default.
EQUAL = {"ddpm": ("euler",)}
TIMED = 30  # encodings of one observation


@dataclass(frozen=True)
class SamplerEvaluation(studies.Line):
    """One sampler with one number of calls, and how the policy did.

    Attributes:
        sampler: Name of the sampler.
        calls: Network calls of one decision.
        spacing: Where the sampler asks the network; see `DiffusionConfig`.
        is_runs_own: Whether the run itself has this sampler and this number of calls.
        encoding_seconds: Time of encoding the observation of one decision [s], which no
            sampler changes; 0 where the policy sees numbers.
        records: The evaluated episodes, at least one.
    """

    sampler: str
    calls: int
    spacing: str
    is_runs_own: bool
    encoding_seconds: float
    records: tuple[Record, ...]

    def __post_init__(self) -> None:
        settings.check_at_least(self, {"calls": 1, "encoding_seconds": 0})
        if not self.records:
            raise BadInput("records must hold an episode, got none")

    @property
    def key(self) -> tuple[str | int, ...]:
        """What tells it from the others of one table."""
        return self.sampler, self.spacing, self.calls

    @property
    def table(self) -> tuple[str, ...]:
        """What evaluations of one table share: the run, the weights and the starts."""
        first = self.records[0]
        name = run_name(first).replace(first.settings, "")  # the sampler changes it
        weights = first.trained.weights if first.trained else ""
        seeds = ",".join(str(record.env_seed) for record in self.records)
        return name, weights, str(first.step), first.starts, first.variant, seeds


def combinations(
    policy: Policy, samplers: Sequence[str] = (), calls: Sequence[int] = ()
) -> list[tuple[str, int]]:
    """Lists the pairs of a sampler and a number of calls that a policy can use.

    Args:
        policy: A Diffusion Policy that samples.
        samplers: Names; none for all that suit the objective.
        calls: Numbers of network calls; none for `CALLS`.

    Raises:
        BadInput: For a policy that has no sampler, and a name or number that it cannot
            use.
    """
    config = policy.config
    objective = getattr(config, "objective", None)
    suited = registry.samplers_for(str(objective))
    if not suited:
        raise BadInput(
            f"{type(policy).__name__} has no sampler; a study needs a Diffusion Policy "
            f"with the objective ddpm or flow, got {objective or 'none'}"
        )
    own = str(getattr(config, "sampler", "")), int(getattr(config, "sample_steps", 0))
    equal = EQUAL.get(str(objective), ())
    names = samplers or [name for name in suited if name not in equal]
    for name in names:
        settings.override_all(config, _changes(name, 2))
    chosen = [] if samplers or calls else [own]
    for name in names:
        for number in calls or CALLS:
            try:
                settings.override_all(config, _changes(name, number))
            except BadInput:
                if calls:
                    raise
                continue  # one call predicts no noise, and a schedule may be short
            chosen.append((name, number))
    return sorted(set(chosen), key=lambda pair: (names.index(pair[0]), pair[1]))


def _changes(sampler: str, calls: int) -> dict[str, str]:
    """Returns the settings of a sampler; only `ddim` has an eta."""
    eta = {} if sampler == "ddim" else {"eta": "0.0"}
    return {"sampler": sampler, "sample_steps": str(calls), **eta}


def encoding_seconds(policy: Policy) -> float:
    """Measures how long it takes to encode the observation of one decision [s]."""
    import torch

    if policy.encoder is None:
        return 0.0
    from dp_bench.policies.base import threads_for
    from dp_bench.policies.observations import Observation

    spec, steps = policy.encoder.spec, policy.horizons.obs
    images = {
        key: torch.randint(256, (1, steps, *shape), dtype=torch.uint8)
        for key, shape in spec.images.items()
    }
    seen = Observation(images, torch.zeros(1, steps, spec.vector_dim))
    times = []
    with torch.inference_mode(), threads_for(1, torch.device("cpu")):
        for _ in range(TIMED):
            begun = time.perf_counter()
            policy.encode(seen)
            times.append(time.perf_counter() - begun)
    return statistics.median(times)


def merge(path: Path, evaluations: Iterable[SamplerEvaluation]) -> None:
    """Adds evaluations; see `studies.merge`."""
    studies.merge(path, SamplerEvaluation, evaluations, COMMAND)


def last_run(evaluations: Sequence[SamplerEvaluation]) -> list[SamplerEvaluation]:
    """Leaves out the evaluations of other runs than the last one."""
    return studies.last(evaluations)


def read(path: Path) -> list[SamplerEvaluation]:
    """Reads the evaluations of all runs of a file; raises as `studies.read` does."""
    return studies.read(path, SamplerEvaluation, COMMAND)
