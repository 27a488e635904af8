"""A run folder: settings as JSON, weights as safetensors, nothing pickled.

run.json              what was trained (task, method, all settings, data, seed), and how
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
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.runs.facts import Facts, checked_facts, load_facts
from dp_bench.runs.info import RunInfo, check_identity
from dp_bench.runs.provenance import commit, machine, versions
from dp_bench.runs.sizes import built
from dp_bench.runs.trained import Trained, check_weights, stage_here, trained_of
from dp_bench.util import settings
from dp_bench.util.devices import available_device
from dp_bench.util.files import atomic_write_text, read_without_links, refuse_links_in
from dp_bench.util.json_text import parsed
from dp_bench.util.tensors import digest_of, in_full_precision, load_tensors
from dp_bench.util.text import shown
from dp_bench.util.types import JsonObject

if TYPE_CHECKING:
    from dp_bench.policies.base import Policy, PolicyConfig
    from dp_bench.policies.obs_spec import ObsSpec

FORMAT = 1
STEP = re.compile(r"[0-9]{6,18}")  # name of a file of kept weights


def read_info(file: Path) -> RunInfo:
    """Reads `run.json`, or a copy of it in a folder of results.

    Raises:
        BadInput: When it is damaged or of another version.
    """
    return read_run(file)[0]


def read_run(file: Path) -> tuple[RunInfo, Trained]:
    """Reads from `run.json`, or from a copy, what was trained and how.

    Raises:
        BadInput: When it is damaged or of another version.
    """
    data = _read_json(file)
    trained = trained_of(data, str(file))
    for fact in ("commit", "versions", "machine", "trained", "packed_from"):
        data.pop(fact, None)
    info = settings.from_json(RunInfo, data, str(file))
    check_identity(info, str(file))
    return info, trained


def _read_json(file: Path) -> JsonObject:
    """Reads `run.json` without its format, which must be this version's."""
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
    return data


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
        self._json = self.path / "run.json"
        self.log = self.path / "log.jsonl"
        self.resume = self.path / "resume.safetensors"
        self.weights = self.path / "weights.safetensors"
        self.records = self.path / "records.jsonl"

    def write_info(self, info: RunInfo, device: str | None = None) -> None:
        """Writes `run.json`, and adds commit, versions and machine to it.

        Args:
            info: Describes the run.
            device: Device on which training begins or resumes, which the file then
                names with the precision; None where nothing is trained.
        """
        facts = {"commit": commit(), "versions": versions(), "machine": machine()}
        data = {**dataclasses.asdict(info), **facts}
        if device is not None:
            trained, update = Trained(), 0
            if self.resume.is_file():
                update = load_facts(self.resume).update
                trained = self.trained()
            stage = stage_here(device, info.training, update)
            data["trained"] = dataclasses.asdict(trained.resumed(stage))
        self._write_json(data)

    def write_weights_digest(self) -> None:
        """Adds the digest of the finished weights to a `run.json` that names stages."""
        if not self._json.is_file():
            return
        data = _read_json(self._json)
        if "trained" in data:
            tensors, _ = load_tensors(self.weights)
            trained = trained_of(data, str(self._json))
            data["trained"] = dataclasses.asdict(
                dataclasses.replace(trained, weights=digest_of(tensors))
            )
            self._write_json(data)

    def copy_info(self, run: RunFolder, weights: str) -> None:
        """Copies the `run.json` of a run whose weights were rounded.

        Args:
            run: The run.
            weights: Digest of the rounded weights.
        """
        data = _read_json(run._json)
        trained = trained_of(data, str(run._json))
        data["trained"] = dataclasses.asdict(
            dataclasses.replace(trained, weights=weights)
        )
        self._write_json({**data, "packed_from": trained.weights})

    def _write_json(self, data: JsonObject) -> None:
        text = json.dumps({"format": FORMAT, **data}, indent=2)
        atomic_write_text(self._json, text + "\n")

    def trained(self) -> Trained:
        """Reads how the weights were trained; nothing where `run.json` is missing."""
        return read_run(self._json)[1] if self._json.is_file() else Trained()

    def info(self) -> RunInfo:
        """Reads `run.json`.

        Raises:
            BadInput: When it is missing, damaged or of another version.
        """
        if not self._json.is_file():
            raise BadInput(
                f"{self.path} is not a run folder: it has no run.json; "
                "`dp-bench train` makes run folders, under runs/ by default"
            )
        return read_info(self._json)

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
        stored, facts = load_tensors(file)
        tensors, checked = in_full_precision(stored), checked_facts(file, facts)
        if step is None:
            check_weights(digest_of(tensors), self.trained(), file)
        where = str(self._json)
        build = functools.partial(build_policy, info, where, pretrained=False)
        policy = built(build, tensors, file)
        try:
            policy.load_state_dict(tensors)
        except RuntimeError as error:
            raise BadInput(
                f"{file} does not fit the settings in run.json: "
                f"{' '.join(str(error).split())[:200]}"
            ) from None
        policy.train_seed = info.train_seed
        return policy.to(device).eval(), checked


def build_policy(
    info: RunInfo, where: str = "this run", *, pretrained: bool = True
) -> Policy:
    """Builds the policy that `info` describes, with new weights.

    Args:
        info: Settings of the run.
        where: Where they come from, for errors.
        pretrained: Whether an encoder begins with the ImageNet weights that settings
            ask for; False where trained weights are loaded next.

    Raises:
        BadInput: When there is no such method, or a setting does not fit it.
    """
    config = policy_config(info, where)
    cls = references.load(registry.method(info.method).policy)
    return new_policy(
        cls,
        config,
        obs_dim=info.obs_dim,
        action_dim=info.action_dim,
        observation=info.observation,
        vision=info.vision,
        pretrained=pretrained,
    )


def new_policy(
    cls: type[Policy],
    config: PolicyConfig,
    *,
    obs_dim: int,
    action_dim: int,
    observation: ObsSpec | None = None,
    vision: VisionConfig | None = None,
    pretrained: bool = True,
) -> Policy:
    """Builds a policy with new weights, and the encoder of its observations.

    Args:
        cls: Its class.
        config: Its settings.
        obs_dim: Do, or the number of features, F.
        action_dim: Da.
        observation: The keys of observations that are dictionaries; None for one array.
        vision: Settings of the encoders; None for the default ones.
        pretrained: See `build_policy`.
    """
    policy = cls(config, obs_dim=obs_dim, action_dim=action_dim)
    if observation is not None:
        from dp_bench.policies.vision.encoder import Encoder

        encoder = Encoder(vision or VisionConfig(), observation, pretrained=pretrained)
        policy.see_with(encoder)
    return policy


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
