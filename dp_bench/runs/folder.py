"""A run folder: settings as JSON, weights as safetensors, nothing pickled.

run.json              what was trained: task, method, all settings, data, seed
log.jsonl             training and validation loss as training went
resume.safetensors    everything needed to go on, while training lasts
weights.safetensors   the weights to be evaluated, once training is done
kept/000500.safetensors   such weights on the way, where asked for
records.jsonl         evaluated episodes
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dp_bench import references, registry
from dp_bench.errors import BadInput
from dp_bench.util import settings
from dp_bench.util.files import atomic_write

if TYPE_CHECKING:
    from torch import Tensor

    from dp_bench.policies.base import Policy

FORMAT = 1
# settings that came later, at what was before
LATER = {
    "obs_scale": 1.0, "obs_min_range": 1e-4, "causal": False, "sensor_noise": 0.0,
}  # fmt: skip
SAME_NUMBERS = ("save_seconds", "log_every", "validate_every", "keep_every")
NUMBER_MOVERS = (
    "numpy",
    "torch",
    "diffusers",
    "scikit-learn",
    "gymnasium",
    "pymunk",
    "mujoco",
    "gymnasium-robotics",
    "robosuite",
)


@dataclass(frozen=True)
class RunInfo:
    """What a run is: enough to train it again, and to load what came out.

    Attributes:
        task: Name of the task.
        obs_kind: Which observation the policy sees.
        control: What its actions mean.
        method: Name of the method.
        preset: Tier of its settings: smoke, laptop, paper, or custom.
        policy: Settings of the policy, as JSON.
        training: Settings of the training, as JSON.
        demos_source: Which demonstrations.
        demos_digest: Their content digest.
        split_digest: Digest of the split into training and validation episodes.
        order_digest: Digest of the order in which training goes through the rows; ""
            in runs that were made before it was written down.
        train_episodes: How many episodes were trained on.
        train_seed: Seed of everything in the training.
        obs_dim: Do.
        action_dim: Da.
    """

    task: str
    obs_kind: str
    control: str
    method: str
    preset: str
    policy: dict[str, Any]
    training: dict[str, Any]
    demos_source: str
    demos_digest: str
    split_digest: str
    train_episodes: int
    train_seed: int
    obs_dim: int
    action_dim: int
    order_digest: str = ""

    @property
    def settings(self) -> str:
        """Short hash of all that could move a number, but the data and the seed."""
        what = dataclasses.asdict(self)
        what["training"] = {
            k: v for k, v in self.training.items() if k not in SAME_NUMBERS
        }
        # float32 is what "auto" was in all runs of the time when it was not resolved
        if what["training"].get("precision") == "float32":
            what["training"]["precision"] = "auto"
        for part in ("policy", "training"):
            what[part] = {
                k: v for k, v in what[part].items() if k not in LATER or v != LATER[k]
            }
        for other in (
            "preset", "demos_digest", "split_digest", "order_digest", "train_seed",
        ):  # fmt: skip
            del what[other]
        return settings.short_hash(what)

    @property
    def name(self) -> str:
        """Folder name: one for each method, settings, data and seed."""
        digests = [self.demos_digest, self.split_digest, self.order_digest]
        data = settings.short_hash(digests)[:4]
        return f"{self.method}-{self.settings}-{data}-seed{self.train_seed}"


class RunFolder:
    """Reads and writes the files of one run.

    Args:
        path: The folder; made when something is written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.log = self.path / "log.jsonl"
        self.resume = self.path / "resume.safetensors"
        self.weights = self.path / "weights.safetensors"
        self.records = self.path / "records.jsonl"

    def write_info(self, info: RunInfo) -> None:
        """Writes `run.json`, with versions, machine and commit beside the settings."""
        facts = {"commit": commit(), "versions": versions(), "machine": machine()}
        data = {"format": FORMAT, **dataclasses.asdict(info), **facts}
        with atomic_write(self.path / "run.json") as aside:
            aside.write_text(json.dumps(data, indent=2) + "\n")

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
        try:
            data = json.loads(file.read_text())
            version = data.pop("format")
        except (ValueError, KeyError, AttributeError, TypeError):
            raise BadInput(f"{file} is damaged; train the run again") from None
        if version != FORMAT:
            raise BadInput(
                f"{file} has format {version!r}; this version reads {FORMAT}"
            )
        for fact in ("commit", "versions", "machine"):
            data.pop(fact, None)
        return settings.from_json(RunInfo, data, str(file))

    def steps(self) -> list[int]:
        """Updates after which weights were kept on the way, increasing."""
        return sorted(int(f.stem) for f in (self.path / "kept").glob("*.safetensors"))

    def last_step(self) -> int:
        """Updates after which training was done."""
        return int(load_tensors(self.weights)[1]["update"])

    def kept(self, step: int) -> Path:
        """Where the weights after `step` updates are kept."""
        return self.path / "kept" / f"{step:06d}.safetensors"

    def load_policy(
        self, step: int | None = None, device: str = "cpu", info: RunInfo | None = None
    ) -> Policy:
        """Builds the policy and gives it the run's weights.

        Args:
            step: Of which kept weights; None for those at the end.
            device: Where it shall compute.
            info: Settings to build it with; None for those in `run.json`.

        Raises:
            BadInput: When there are no such weights, or they do not fit.
        """
        policy = build_policy(info or self.info())
        file = self.weights if step is None else self.kept(step)
        if not file.is_file():
            kept = ", ".join(map(str, self.steps())) or "none"
            raise BadInput(
                f"{self.path} has no {file.name} (kept on the way: {kept}); "
                "training has not got so far"
            )
        tensors, _ = load_tensors(file)
        try:
            policy.load_state_dict(tensors)
        except RuntimeError as error:
            raise BadInput(
                f"{file} does not fit the settings in run.json: "
                f"{' '.join(str(error).split())[:200]}"
            ) from None
        return policy.to(device).eval()


def build_policy(info: RunInfo) -> Policy:
    """Makes the policy that a run describes, with fresh weights."""
    cls = references.load(registry.method(info.method).policy)
    config = settings.from_json(cls.config_class, info.policy, "policy")
    return cls(config, obs_dim=info.obs_dim, action_dim=info.action_dim)


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Writes tensors and a few JSON facts, whole or not at all."""
    from safetensors.torch import save_file

    with atomic_write(path) as aside:
        data = {name: t.detach().contiguous().cpu() for name, t in tensors.items()}
        save_file(data, aside, metadata={"facts": json.dumps(facts)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save_tensors` wrote.

    Raises:
        BadInput: When the file is damaged or not ours.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            facts = json.loads((file.metadata() or {}).get("facts", "null"))
    except (SafetensorError, ValueError) as error:
        raise BadInput(
            f"{path} is damaged or no safetensors file ({error}); "
            "delete it and train again"
        ) from None
    if not isinstance(facts, dict):
        raise BadInput(f"{path} was not written by dp-bench; delete it and train again")
    return tensors, facts


@functools.cache
def commit() -> str:
    """Commit of this project's checkout, "+" appended when it has changes, or ""."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return ""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        code = ("dp_bench", "envs", "baselines", "setup.cfg")
        changed = git("status", "--porcelain", "--", *code)
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


@functools.cache
def versions() -> dict[str, str]:
    """Versions of python, this project, and the packages that can move numbers."""
    found = {"python": platform.python_version()}
    for package in ("dp-bench", *NUMBER_MOVERS):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def machine() -> dict[str, Any]:
    """Processor, cores, threads that torch computes with, accelerator."""
    import torch

    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    threads = torch.get_num_threads()
    cores = os.cpu_count()
    return {"processor": model, "cores": cores, "threads": threads, "gpu": gpu}
