"""How the weights of a run were trained: device, precision, versions; their digest."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dp_bench.errors import BadInput
from dp_bench.runs.provenance import commit, machine, versions
from dp_bench.util import settings
from dp_bench.util.types import JsonObject

DIGEST = 12  # hex digits of a digest of weights
TF32 = "TF32"  # float32 whose products round their operands to ten bits, on a GPU


@dataclass(frozen=True)
class Stage:
    """A part of a training on one machine; a resumed training may have several.

    Attributes:
        update: Updates that had been made when the stage began.
        device: "cpu" or "cuda"; "" if unknown.
        processor: Model of the CPU.
        gpu: Model of the GPU; "" for a training on the CPU.
        precision: "float32", "TF32" or "bfloat16"; "" if unknown.
        threads: Threads of torch; 0 if unknown.
        torch: Version of torch; "" if unknown.
        commit: Commit of this project; "" outside a checkout.
    """

    update: int = 0
    device: str = ""
    processor: str = ""
    gpu: str = ""
    precision: str = ""
    threads: int = 0
    torch: str = ""
    commit: str = ""

    def __post_init__(self) -> None:
        settings.check_at_least(self, {"update": 0, "threads": 0})

    @property
    def conditions(self) -> str:
        """Device, precision and version of torch in words; "" if unknown."""
        if not self.device:
            return ""
        return f"{self.gpu or 'CPU'}, {self.precision}, torch {self.torch}"


@dataclass(frozen=True)
class Trained:
    """How the weights of a run were trained.

    Attributes:
        stages: One for each machine, device, precision, thread count, version and
            commit, in their order.
        weights: First 12 hex digits of the SHA-256 of the weights; "" before training
            has finished, and for runs from before dp-bench wrote it.
    """

    stages: tuple[Stage, ...] = ()
    weights: str = ""

    def __post_init__(self) -> None:
        if self.weights and not re.fullmatch(f"[0-9a-f]{{{DIGEST}}}", self.weights):
            raise BadInput(
                f"weights {self.weights[:80]!r} is not a digest, which is {DIGEST} hex "
                "digits"
            )
        updates = [stage.update for stage in self.stages]
        if updates != sorted(updates):
            raise BadInput(f"stages must be in the order of their updates: {updates}")

    @property
    def conditions(self) -> str:
        """Device, precision and version of torch of all stages; "" if unknown."""
        words = [stage.conditions for stage in self.stages]
        return " then ".join(dict.fromkeys(words)) if all(words) else ""

    def until(self, update: int) -> Trained:
        """Leaves out the stages that began when these weights existed."""
        kept = [stage for stage in self.stages if stage.update < max(update, 1)]
        return dataclasses.replace(self, stages=tuple(kept))

    def resumed(self, stage: Stage) -> Trained:
        """Adds a stage, unless it has the conditions of the last one."""
        if self.stages:
            last = self.stages[-1]
            if dataclasses.replace(stage, update=last.update) == last:
                return dataclasses.replace(self, weights="")
        return Trained((*self.stages, stage))


def stage_here(device: str, training: JsonObject, update: int = 0) -> Stage:
    """Describes a training in this process.

    Args:
        device: "cpu" or "cuda:1", say.
        training: Settings of the training, as JSON.
        update: Updates that have been made.
    """
    import torch

    here, on_gpu = machine(), device.startswith("cuda")
    gpu = torch.cuda.get_device_name(device) if on_gpu else ""
    precision = _precision(training)
    rounds = on_gpu and torch.get_float32_matmul_precision() != "highest"
    return Stage(
        update=update,
        device="cuda" if on_gpu else "cpu",
        processor=str(here["processor"]),
        gpu=gpu,
        precision=TF32 if rounds and precision == "float32" else precision,
        threads=int(here["threads"]),
        torch=versions().get("torch", ""),
        commit=commit(),
    )


def trained_of(data: Mapping[str, object], where: str) -> Trained:
    """Reads how a run was trained from the content of its run.json.

    Older files name the machine, and whether it has a GPU, which training then used.
    Such trainings rounded float32 products to TF32 on a GPU.

    Raises:
        BadInput: When that part of the file is damaged.
    """
    if "trained" in data:
        return settings.from_json(Trained, data["trained"], f"{where}, trained")
    facts, known = data.get("machine"), data.get("versions")
    training = data.get("training")
    if not (isinstance(facts, dict) and isinstance(known, dict)):
        return Trained()
    gpu = facts.get("gpu")
    precision = _precision(training if isinstance(training, dict) else {})
    stage = {
        "device": "cuda" if gpu else "cpu",
        "processor": facts.get("processor", ""),
        "gpu": gpu or "",
        "precision": TF32 if gpu and precision == "float32" else precision,
        "threads": facts.get("threads", 0),
        "torch": known.get("torch", ""),
        "commit": data.get("commit", ""),
    }
    return Trained((settings.from_json(Stage, stage, f"{where}, machine"),))


def _precision(training: Mapping[str, object]) -> str:
    """Names the precision; older runs say "auto" where it was float32."""
    precision = str(training.get("precision", "auto"))
    return "float32" if precision == "auto" else precision


def check_weights(weights: str, trained: Trained, file: Path) -> None:
    """Refuses weights that are not those with which the training ended.

    Args:
        weights: Digest of the weights in the file.
        trained: What run.json says.
        file: The file of weights, for errors.

    Raises:
        BadInput: When run.json knows another digest.
    """
    if trained.weights and weights != trained.weights:
        raise BadInput(
            f"{file} has weights {weights}, and run.json says {trained.weights}: one "
            "of the two files is of another run; copy both from one run folder"
        )
