"""A run folder: settings as JSON, weights as safetensors, nothing pickled.

run.json              what was trained: task, method, all settings, data, seed
log.jsonl             training and validation loss over the training
resume.safetensors    the state to resume from, while training lasts
weights.safetensors   the weights to evaluate, once training has finished
kept/000500.safetensors   weights kept during the training, where asked for
records.jsonl         evaluated episodes
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench import references, registry
from dp_bench.errors import BadInput
from dp_bench.runs.facts import Facts, checked_facts, load_facts
from dp_bench.runs.info import RunInfo, check_identity
from dp_bench.runs.provenance import commit, machine, versions
from dp_bench.runs.sizes import built
from dp_bench.util import settings
from dp_bench.util.devices import available_device
from dp_bench.util.files import atomic_write, read_without_links, refuse_links_in
from dp_bench.util.json_text import parsed
from dp_bench.util.tensors import load_tensors
from dp_bench.util.text import shown

if TYPE_CHECKING:
    from dp_bench.policies.base import Policy, PolicyConfig

FORMAT = 1
STEP = re.compile(r"[0-9]{6,18}")  # name of a file of kept weights


def read_info(file: Path) -> RunInfo:
    """Reads `run.json`, or a copy of it in a folder of results.

    Raises:
        BadInput: When it is damaged or of another version.
    """
    try:
        data = parsed(read_without_links(file))
    except BadInput:
        raise
    except (OSError, ValueError):
        data = None
    if not isinstance(data, dict) or "format" not in data:
        raise BadInput(f"{file} is damaged; train the run again")
    version = data.pop("format")
    if version != FORMAT:
        raise BadInput(
            f"{file} has format {shown(version)}; this version reads {FORMAT}; "
            f"{settings.UPDATE}"
        )
    for fact in ("commit", "versions", "machine"):
        data.pop(fact, None)
    info = settings.from_json(RunInfo, data, str(file))
    check_identity(info, str(file))
    return info


class RunFolder:
    """Reads and writes the files of one run.

    Args:
        path: The folder; the first file that is written creates it.

    Raises:
        BadInput: When the folder holds a link: a run folder of a stranger could lead
            reading and writing to any file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        for folder in (self.path, self.path / "kept"):
            refuse_links_in(folder)
        self.log = self.path / "log.jsonl"
        self.resume = self.path / "resume.safetensors"
        self.weights = self.path / "weights.safetensors"
        self.records = self.path / "records.jsonl"

    def write_info(self, info: RunInfo) -> None:
        """Writes `run.json`, and adds commit, versions and machine to it."""
        facts = {"commit": commit(), "versions": versions(), "machine": machine()}
        data = {"format": FORMAT, **dataclasses.asdict(info), **facts}
        with atomic_write(self.path / "run.json") as part:
            part.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")

    def info(self) -> RunInfo:
        """Reads `run.json`.

        Raises:
            BadInput: When it is missing, damaged or of another version.
        """
        file = self.path / "run.json"
        if not file.is_file():
            raise BadInput(
                f"{self.path} is not a run folder: it has no run.json; "
                "`dp-bench train` makes run folders, under runs/ by default"
            )
        return read_info(file)

    def steps(self) -> list[int]:
        """Lists the updates after which training kept weights, in increasing order."""
        files = (self.path / "kept").glob("*.safetensors")  # temporary ones, too
        return sorted(int(f.stem) for f in files if STEP.fullmatch(f.stem))

    def last_step(self) -> int:
        """Reads the number of updates of the finished training."""
        return load_facts(self.weights).update

    def kept(self, step: int) -> Path:
        """Names the file for the weights after `step` updates."""
        return self.path / "kept" / f"{step:06d}.safetensors"

    def load_policy(
        self, step: int | None = None, device: str = "cpu", info: RunInfo | None = None
    ) -> Policy:
        """Builds the policy and loads the weights of the run; see `load`."""
        return self.load(step, device, info)[0]

    def load(
        self, step: int | None = None, device: str = "cpu", info: RunInfo | None = None
    ) -> tuple[Policy, Facts]:
        """Reads weights once, for the policy and for the facts beside them.

        Args:
            step: Number of updates after which the weights were kept; None for the
                final weights.
            device: Device on which the policy computes; see `available_device`.
            info: Settings to build it with; None for those in `run.json`.

        Returns:
            The policy, and how far its training had come.

        Raises:
            BadInput: When these weights are missing or do not fit the settings, or
                when this machine lacks the device.
        """
        device = available_device(device)
        info = info or self.info()
        file = self.weights if step is None else self.kept(step)
        if not file.is_file():
            kept = ", ".join(map(str, self.steps())) or "none"
            raise BadInput(
                f"{self.path} has no {file.name} (weights were kept at updates: "
                f"{kept}); training has not come that far"
            )
        tensors, facts = load_tensors(file)
        checked = checked_facts(file, facts)
        where = str(self.path / "run.json")
        policy = built(functools.partial(build_policy, info, where), tensors, file)
        try:
            policy.load_state_dict(tensors)
        except RuntimeError as error:
            raise BadInput(
                f"{file} does not fit the settings in run.json: "
                f"{' '.join(str(error).split())[:200]}"
            ) from None
        policy.train_seed = info.train_seed
        return policy.to(device).eval(), checked


def build_policy(info: RunInfo, where: str = "this run") -> Policy:
    """Builds the policy that `info` describes, with new weights.

    Args:
        info: Settings of the run.
        where: Where they come from, for errors.

    Raises:
        BadInput: When there is no such method, or a setting does not fit it.
    """
    config = policy_config(info, where)
    cls = references.load(registry.method(info.method).policy)
    return cls(config, obs_dim=info.obs_dim, action_dim=info.action_dim)


def policy_config(info: RunInfo, where: str = "this run") -> PolicyConfig:
    """Builds the settings of the policy that `info` describes, and no network.

    Args:
        info: Settings of the run.
        where: Where they come from, for errors.

    Raises:
        BadInput: When there is no such method, or a setting does not fit it.
    """
    try:
        method = registry.method(info.method)
    except BadInput as error:
        raise BadInput(f"{where}: {error}; {settings.UPDATE}") from None
    cls = references.load(method.policy)
    return settings.from_json(cls.config_class, info.policy, f"{where}, policy")
