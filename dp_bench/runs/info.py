"""What identifies a run, and what `run.json` says about it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field

from dp_bench.errors import BadInput
from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.util import settings
from dp_bench.util.files import is_plain
from dp_bench.util.types import JsonObject

# Settings that were added after the first runs, with the value that changes nothing.
# At that value they stay out of the settings hash, so older runs keep their names.
ADDED_LATER = {
    "obs_scale": 1.0, "obs_min_range": 1e-4, "causal": False, "sensor_noise": 0.0,
    "noise_draws": 1, "objective": "ddpm", "eta": 0.0, "spacing": "uniform",
    "conditioning": "cross_attention", "older_obs_noise": 0.0, "obs_dropout": 0.0,
    "hidden_obs": [], "past_samples": 1, "keyframe_weight": 0.0,
    "threads": 1,
}  # fmt: skip
# Settings of the training that cannot move a number, so the hash leaves them out.
SAME_NUMBERS = (
    "save_seconds", "log_every", "validate_every", "keep_every", "frames",
)  # fmt: skip

MOST_NUMBERS = 1_000_000  # in one observation or action
# Fields that are names, and may become a part of a path.
NAMES = ("task", "obs_kind", "control", "method", "preset", "demos_source")
# Number of hex digits of each digest; files from before it was recorded have "".
DIGESTS = {
    "settings": 8, "demos_digest": 64, "split_digest": 12, "order_digest": 12,
    "frames_digest": 64,
}  # fmt: skip
RECORDED_LATER = ("split_digest", "order_digest", "frames_digest")


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """What tells one run from every other; records and tables share these fields.

    Records of episodes and rollouts extend this class, so each line of a file carries
    the identity of its run.

    Attributes:
        task: Name of the task.
        obs_kind: Which observation the policy sees.
        control: What the actions mean, "position" or "velocity".
        method: Name of the method.
        preset: Tier of the settings: smoke, laptop, gpu, paper, or custom.
        settings: Short hash of all settings that can move a number.
        demos_digest: Content digest of the demonstrations.
        split_digest: Digest of the split into training and validation episodes.
        train_seed: Seed of the training.
        order_digest: Digest of the order in which training visits the rows; "" in
            runs from before this was recorded.
        frames_digest: Digest of images that lie apart from the demonstrations; "" for
            none.
    """

    task: str
    obs_kind: str
    control: str
    method: str
    preset: str
    settings: str
    demos_digest: str
    split_digest: str
    train_seed: int
    order_digest: str = ""
    frames_digest: str = field(default="", metadata={"optional": True})


@dataclass(frozen=True)
class RunInfo:
    """The content of `run.json`: enough to repeat the training and load its weights.

    `identity` gives the fields by which records and tables know the run; they are
    documented there.

    Attributes:
        policy: Settings of the policy, as JSON.
        training: Settings of the training, as JSON.
        demos_source: Name of the demonstrations' source.
        train_episodes: Number of training episodes.
        obs_dim: Do; the number of features, F, where the observation is a dictionary.
        action_dim: Da.
        observation: The keys of an observation that is a dictionary; None for one
            array.
        vision: Settings of the encoders of images; None without images.
        padded_episodes: Number of training episodes that are shorter than the method's
            window, and were padded to one. Older runs left such episodes out.
    """

    task: str
    obs_kind: str
    control: str
    method: str
    preset: str
    policy: JsonObject
    training: JsonObject
    demos_source: str
    demos_digest: str
    split_digest: str
    train_episodes: int
    train_seed: int
    obs_dim: int
    action_dim: int
    order_digest: str = ""
    frames_digest: str = ""
    padded_episodes: int = 0
    observation: ObsSpec | None = None
    vision: VisionConfig | None = None

    def __post_init__(self) -> None:
        least = {"train_episodes": 0, "train_seed": 0, "obs_dim": 1, "action_dim": 1}
        settings.check_at_least(self, least)
        for name in ("obs_dim", "action_dim"):
            if getattr(self, name) > MOST_NUMBERS:
                raise BadInput(
                    f"{name} must be at most {MOST_NUMBERS}, got {getattr(self, name)}"
                )

    @property
    def identity(self) -> RunIdentity:
        """The fields that tell this run from every other."""
        names = [field.name for field in dataclasses.fields(RunIdentity)]
        return RunIdentity(**{name: getattr(self, name) for name in names})

    @property
    def env_choices(self) -> dict[str, str]:
        """The arguments of `Task.make_env` that a run fixes."""
        return {
            "obs_kind": self.obs_kind,
            "control": self.control,
            "source": self.demos_source,
        }

    @property
    def settings(self) -> str:
        """Short hash of everything that can move a number, except data and seed."""
        hashed = dataclasses.asdict(self)
        hashed["training"] = {
            k: v for k, v in self.training.items() if k not in SAME_NUMBERS
        }
        # Older runs left such episodes out, so a run that has some needs another name.
        if hashed.pop("padded_episodes"):
            hashed["pads_episodes"] = True
        for name in ("observation", "vision"):  # older runs have none
            if hashed[name] is None:
                del hashed[name]
        # Older runs say "auto" where newer ones name the type, and it was float32.
        if hashed["training"].get("precision") == "float32":
            hashed["training"]["precision"] = "auto"
        for part in ("policy", "training"):
            hashed[part] = {
                k: v
                for k, v in hashed[part].items()
                if k not in ADDED_LATER or v != ADDED_LATER[k]
            }
        for name in (
            "preset", "demos_digest", "split_digest", "order_digest", "frames_digest",
            "train_seed",
        ):  # fmt: skip
            del hashed[name]
        return settings.short_hash(hashed)

    @property
    def name(self) -> str:
        """Name of the run folder; method, settings, data and seed determine it."""
        return run_name(self)


def run_name(run: RunInfo | RunIdentity) -> str:
    """Names a run folder; records name the same folder as the run itself."""
    digests = [run.demos_digest, run.split_digest, run.order_digest]
    digests += [run.frames_digest] if run.frames_digest else []
    data = settings.short_hash(digests)[:4]
    return f"{run.method}-{run.settings}-{data}-seed{run.train_seed}"


def check_identity(facts: RunInfo | RunIdentity, where: str) -> None:
    """Refuses names that could lead elsewhere in a path, and digests that are none.

    Args:
        facts: What a file says about a run.
        where: The file, for errors.

    Raises:
        BadInput: When a name or a digest breaks its rule.
    """
    for name in NAMES:
        value = getattr(facts, name, "none")
        if not is_plain(value):
            raise BadInput(
                f"{where}: {name} {value[:80]!r} is not a name: use letters, digits, "
                "'_', '-' and '.', and begin with a letter or a digit"
            )
    for name, digits in DIGESTS.items():
        value = getattr(facts, name)
        if value == "" and name in RECORDED_LATER:
            continue
        if not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
            raise BadInput(
                f"{where}: {name} {value[:80]!r} is not a digest, which is {digits} "
                "hex digits"
            )
